import type { Event } from '#libs/contracts';
import { childIds } from '#libs/execution';

/** What is counted: executions and tasks over all, tasks by runner, executions by label. */
export type Scope = 'execution' | 'task' | 'runner' | 'label';
type Minute = 'requested' | 'completed' | 'failed' | 'cancelled';

/** An execution (task: '') or task as it is counted: what its next event, or its deletion, takes off again. Times are milliseconds since the epoch. */
export type Counted = {
  readonly status: string;
  readonly requestedMs: number;
  readonly startedMs: number | null;
  readonly endedMs: number | null;
  readonly runner: string;
  readonly labels: readonly string[];
};

/** Where the counts of one execution's tenant are kept. */
export type StatsStore = {
  counted(task: string): Counted | undefined;
  /** The execution and its tasks. */
  all(): readonly (readonly [task: string, counted: Counted])[];
  set(task: string, counted: Counted): void;
  /** Nothing of the execution is counted any more, its bytes neither. */
  drop(): void;
  count(scope: Scope, key: string, status: string, change: 1 | -1): void;
  duration(scope: Scope, key: string, ms: number, change: 1 | -1): void;
  minute(minute: string, column: Minute, change: 1 | -1): void;
};

const BASE = 1.1;

/** Bucket of a duration: each is 10 % wider than the one before. */
export const bucketOf = (ms: number): number => Math.round(Math.log(Math.max(0, ms) + 1) / Math.log(BASE));

/** The duration in the middle of a bucket, in milliseconds. */
export const msOf = (bucket: number): number => Math.round(BASE ** bucket - 1);

const keysOf = (task: string, { runner, labels }: Counted): readonly (readonly [Scope, string])[] =>
  task === ''
    ? [['execution', ''], ...labels.map((label) => ['label', label] as const)]
    : [
        ['task', ''],
        ['runner', runner],
      ];

const minuteOf = (ms: number): string => `${new Date(ms).toISOString().slice(0, 16)}:00.000Z`;

const ends = ['completed', 'failed', 'cancelled'] as const;

/** All that an execution or a task counts for, added or taken off again. */
const tally = (store: StatsStore, task: string, counted: Counted, change: 1 | -1): void => {
  const { status, requestedMs, startedMs, endedMs } = counted;
  const isTimed = status === 'completed' || status === 'failed';
  for (const [scope, key] of keysOf(task, counted)) {
    store.count(scope, key, status, change);
    if (isTimed && startedMs !== null && endedMs !== null && scope !== 'label') store.duration(scope, key, endedMs - startedMs, change);
  }
  if (task !== '') return;
  store.minute(minuteOf(requestedMs), 'requested', change);
  const end = ends.find((column) => column === status);
  if (end && endedMs !== null) store.minute(minuteOf(endedMs), end, change);
};

const begin = (store: StatsStore, task: string, runner: string, atMs: number, labels: readonly string[] = []): void => {
  const counted: Counted = { status: 'pending', requestedMs: atMs, startedMs: null, endedMs: null, runner, labels };
  store.set(task, counted);
  tally(store, task, counted, 1);
};

const move = (store: StatsStore, task: string, status: string, times: Partial<Pick<Counted, 'startedMs' | 'endedMs'>> = {}): void => {
  const before = store.counted(task);
  if (!before) return;
  const after = { ...before, ...times, status };
  tally(store, task, before, -1);
  tally(store, task, after, 1);
  store.set(task, after);
};

const remove = (store: StatsStore): void => {
  for (const [task, counted] of store.all()) tally(store, task, counted, -1);
  store.drop();
};

/** Counts one event. Applying the same log again ends in the same counts. */
export const countEvent = (store: StatsStore, event: Event): void => {
  const atMs = Date.parse(event.at);
  switch (event.type) {
    case 'ExecutionRequested': {
      const { plan, labels } = event.data;
      begin(store, '', '', atMs, Object.entries(labels).map(([key, value]) => `${key}=${value}`));
      for (const { id, runner } of plan.tasks) begin(store, id, runner, atMs);
      return;
    }
    case 'ExecutionPlanExtended':
      for (const { id, runner } of event.data.tasks) begin(store, id, runner, atMs);
      return;
    case 'ExecutionStarted':
      return move(store, '', 'running', { startedMs: atMs });
    case 'ExecutionPaused':
      return move(store, '', 'paused');
    case 'ExecutionResumed':
      return move(store, '', store.counted('')?.startedMs === null ? 'pending' : 'running');
    case 'ExecutionCancelRequested':
      return move(store, '', 'cancelling');
    case 'ExecutionCancelled':
      return move(store, '', 'cancelled', { endedMs: atMs });
    case 'ExecutionCompleted':
      return move(store, '', 'completed', { endedMs: atMs });
    case 'ExecutionFailed':
      return move(store, '', 'failed', { endedMs: atMs });
    case 'ExecutionDeleted':
      return remove(store);
    case 'TaskStarted':
      return move(store, event.data.taskId, 'running', { startedMs: atMs });
    case 'TaskExpanded': {
      for (const id of childIds(event.data)) begin(store, id, event.data.runner, atMs);
      return;
    }
    case 'TaskCompleted':
      return move(store, event.data.taskId, 'completed', { endedMs: atMs });
    case 'TaskFailed':
    case 'TaskTimedOut':
      return event.data.final ? move(store, event.data.taskId, 'failed', { endedMs: atMs }) : move(store, event.data.taskId, 'pending');
    case 'TaskSkipped':
      return move(store, event.data.taskId, 'skipped');
    case 'TaskCancelled':
      return move(store, event.data.taskId, 'cancelled');
    case 'TaskCarriedOver':
      return move(store, event.data.taskId, event.data.status);
    case 'TaskProgressed':
    case 'ExecutionMetadataRecorded':
    case 'TaskRetryScheduled':
    case 'TaskResultIgnored':
    case 'ClarificationRequested':
    case 'ClarificationResponded':
    case 'ClarificationDelegated':
    case 'ClarificationExpired':
    case 'ClarificationWithdrawn':
    case 'ExecutionCommandSatisfied':
    case 'ExecutionCompensationStarted':
    case 'SignalReceived':
    case 'ArtifactCreated':
    case 'ArtifactDeleted':
    case 'ArtifactExpired':
    case 'StepStarted':
    case 'StepCompleted':
    case 'StepFailed':
    case 'StepSkipped':
      return;
  }
};
