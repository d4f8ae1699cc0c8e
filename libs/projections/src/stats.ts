import type { Event } from '#libs/contracts';
import { childIds } from '#libs/execution';

/** What is counted: executions and tasks over all, tasks by runner, executions by label. */
export type Scope = 'execution' | 'task' | 'runner' | 'label';
export type Minute = 'requested' | 'completed' | 'failed' | 'cancelled';

/** An execution (task: '') or task that has not ended, as far as its later events need it. */
export type Live = {
  readonly status: string;
  readonly startedMs: number | null;
  readonly runner: string;
  readonly labels: readonly string[];
};

/** Where the counts of one execution's tenant are kept. */
export type StatsStore = {
  live(task: string): Live | undefined;
  setLive(task: string, live: Live): void;
  /** The execution has ended: nothing of it is needed any more. */
  forget(): void;
  count(scope: Scope, key: string, status: string, change: 1 | -1): void;
  duration(scope: Scope, key: string, ms: number): void;
  minute(minute: string, column: Minute): void;
};

const BASE = 1.1;

/** Bucket of a duration: each is 10 % wider than the one before. */
export const bucketOf = (ms: number): number => Math.round(Math.log(Math.max(0, ms) + 1) / Math.log(BASE));

/** The duration in the middle of a bucket, in milliseconds. */
export const msOf = (bucket: number): number => Math.round(BASE ** bucket - 1);

const keysOf = (task: string, live: Live): readonly (readonly [Scope, string])[] =>
  task === ''
    ? [['execution', ''], ...live.labels.map((label) => ['label', label] as const)]
    : [
        ['task', ''],
        ['runner', live.runner],
      ];

const move = (store: StatsStore, task: string, status: string, atMs: number, started = false): void => {
  const before = store.live(task);
  if (!before) return;
  const startedMs = started ? atMs : before.startedMs;
  for (const [scope, key] of keysOf(task, before)) {
    store.count(scope, key, before.status, -1);
    store.count(scope, key, status, 1);
    const isEnd = status === 'completed' || status === 'failed';
    if (isEnd && startedMs !== null && scope !== 'label') store.duration(scope, key, atMs - startedMs);
  }
  store.setLive(task, { ...before, status, startedMs });
};

const begin = (store: StatsStore, task: string, runner: string, labels: readonly string[] = []): void => {
  const entry: Live = { status: 'pending', startedMs: null, runner, labels };
  store.setLive(task, entry);
  for (const [scope, key] of keysOf(task, entry)) store.count(scope, key, 'pending', 1);
};

const endExecution = (store: StatsStore, status: 'completed' | 'failed' | 'cancelled', at: string): void => {
  move(store, '', status, Date.parse(at));
  store.minute(minuteOf(at), status);
  store.forget();
};

const minuteOf = (at: string): string => `${at.slice(0, 16)}:00.000Z`;

/** Counts one event. Applying the same log again ends in the same counts. */
export const countEvent = (store: StatsStore, event: Event): void => {
  const atMs = Date.parse(event.at);
  switch (event.type) {
    case 'ExecutionRequested': {
      const { plan, labels } = event.data;
      begin(store, '', '', Object.entries(labels).map(([key, value]) => `${key}=${value}`));
      for (const { id, runner } of plan.tasks) begin(store, id, runner);
      store.minute(minuteOf(event.at), 'requested');
      return;
    }
    case 'ExecutionStarted':
      return move(store, '', 'running', atMs, true);
    case 'ExecutionPaused':
      return move(store, '', 'paused', atMs);
    case 'ExecutionResumed':
      return move(store, '', store.live('')?.startedMs === null ? 'pending' : 'running', atMs);
    case 'ExecutionCancelRequested':
      return move(store, '', 'cancelling', atMs);
    case 'ExecutionCancelled':
      return endExecution(store, 'cancelled', event.at);
    case 'ExecutionCompleted':
      return endExecution(store, 'completed', event.at);
    case 'ExecutionFailed':
      return endExecution(store, 'failed', event.at);
    case 'TaskStarted':
      return move(store, event.data.taskId, 'running', atMs, true);
    case 'TaskExpanded': {
      for (const id of childIds(event.data)) begin(store, id, event.data.runner);
      return;
    }
    case 'TaskCompleted':
      return move(store, event.data.taskId, 'completed', atMs);
    case 'TaskFailed':
    case 'TaskTimedOut':
      return move(store, event.data.taskId, event.data.final ? 'failed' : 'pending', atMs);
    case 'TaskSkipped':
      return move(store, event.data.taskId, 'skipped', atMs);
    case 'TaskCancelled':
      return move(store, event.data.taskId, 'cancelled', atMs);
    case 'TaskCarriedOver':
      return move(store, event.data.taskId, event.data.status, atMs);
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
