import type { Event, EventData, PlanTask } from '#libs/contracts';
import { withArtifact, withoutArtifact } from './artifacts.js';
import { childId, childPlan } from './children.js';
import { parseCause } from './commands.js';
import { Refused } from './refused.js';
import { relisten, withoutFirst } from './signals.js';
import { type State, initial, withEdges } from './state.js';
import { type TaskState, endedWell, hasEndedWell, isBusy, isJoined, isOrphan, isTerminal } from './task-state.js';

type Draft = { -readonly [K in keyof State]: State[K] };

const timeOf = (value: string | undefined): number | undefined => (value === undefined ? undefined : Date.parse(value));

const pendingTask = (task: PlanTask, at: number): TaskState => ({
  id: task.id,
  status: 'pending',
  attempt: 0,
  failures: 0,
  losses: 0,
  carriedFrom: undefined,
  passedOver: false,
  compensates: task.compensates,
  parent: undefined,
  children: undefined,
  waitingFor: task.compensates === undefined ? task.dependsOn.length : 1,
  brokenBy: undefined,
  dueAt: task.dependsOn.length === 0 && task.compensates === undefined ? at : undefined,
  executor: '',
  deadlineAt: undefined,
  wakeAt: undefined,
  signal: undefined,
  event: undefined,
  subExecution: undefined,
  clarification: undefined,
  retryAt: undefined,
  result: undefined,
  error: undefined,
  progress: undefined,
  steps: 0,
  openStep: undefined,
});

/** Replaces tasks, and keeps the counts of them true. */
const replace = (draft: Draft, changed: readonly (readonly [before: TaskState, after: TaskState])[]): void => {
  for (const [before, after] of changed) {
    draft.open += Number(isTerminal(before.status)) - Number(isTerminal(after.status));
    if (before.compensates === undefined) draft.forward += Number(isTerminal(before.status)) - Number(isTerminal(after.status));
    draft.running += Number(isBusy(after)) - Number(isBusy(before));
    draft.orphans += Number(isOrphan(after)) - Number(isOrphan(before));
    draft.joins += Number(isJoined(after)) - Number(isJoined(before));
    if (after.signal !== before.signal) draft.listeners = relisten(draft.listeners, after);
  }
  draft.tasks = draft.tasks.with(changed.map(([, after]) => after));
};

/** The task, waiting for one fewer. */
const released = (task: TaskState, at: number): TaskState => {
  const waitingFor = task.waitingFor - 1;
  return { ...task, waitingFor, dueAt: waitingFor === 0 ? at : undefined };
};

/** Calls the next compensation, one at a time. */
const undoNext = (draft: Draft): void => {
  while (draft.undo && isTerminal(draft.tasks.get(draft.undo.id)?.status)) draft.undo = draft.undo.next;
  const task = draft.compensating && draft.undo && draft.tasks.get(draft.undo.id);
  if (task && task.waitingFor > 0) replace(draft, [[task, released(task, draft.at)]]);
};

/** A task is done by others from here on, of which as many may start as its plan lets be under way at once. */
const expand = (draft: Draft, { taskId, first, count, items, notBefore }: EventData['TaskExpanded']): void => {
  const task = draft.tasks.get(taskId);
  const plan = draft.graph.task.get(taskId);
  if (!task || !plan) return;
  const plans = Array.from({ length: count }, (_, n) => childPlan(plan, first + n));
  const admitted = Math.min(count, plan.forEach?.concurrency ?? count);
  const retryAt = timeOf(notBefore);
  const states = plans.map((child, n): TaskState => {
    const isAdmitted = n < admitted;
    const parent = { id: taskId, index: first + n, item: items[n] };
    return { ...pendingTask(child, draft.at), parent, waitingFor: isAdmitted ? 0 : 1, dueAt: isAdmitted ? (retryAt ?? draft.at) : undefined, retryAt };
  });
  draft.tasks = draft.tasks.plus(states);
  draft.graph = { ...draft.graph, task: draft.graph.task.plus(plans.map((child) => [child.id, child])) };
  draft.open += count;
  if (plan.compensates === undefined) draft.forward += count;
  replace(draft, [[task, { ...task, children: { count: first + count, open: count, admitted: first + admitted, isStopped: false, isUndecided: false } }]]);
};

/** One fewer is open of what the parent is done by; the next one's turn comes, or that of none any more. */
const childEnded = (draft: Draft, child: TaskState, parentId: string): void => {
  const parent = draft.tasks.get(parentId);
  if (!parent?.children) return;
  const { count, open, admitted, isStopped } = parent.children;
  const { forEach, loop } = draft.graph.task.get(parentId) ?? {};
  const stops = child.status === 'failed' && forEach?.failFast === true && !isStopped;
  const isUndecided = loop !== undefined && hasEndedWell(child);
  const children = { count, open: open - 1, admitted: Math.min(count, admitted + 1), isStopped: isStopped || stops, isUndecided };
  const waiting = (index: number): readonly TaskState[] => {
    const task = draft.tasks.get(childId(parentId, index));
    return task?.status === 'pending' && task.brokenBy === undefined ? [task] : [];
  };
  const changed = stops
    ? Array.from({ length: count }, (_, index) => waiting(index)).flat().map((task): [TaskState, TaskState] => [task, { ...task, waitingFor: task.waitingFor + 1, brokenBy: child.id }])
    : waiting(admitted).map((task): [TaskState, TaskState] => [task, released(task, draft.at)]);
  replace(draft, [[parent, { ...parent, children }], ...changed]);
};

/** Changes one task; what depends on it waits for one fewer, or for ever. */
const change = (draft: Draft, id: string, changes: Partial<TaskState>): void => {
  const before = draft.tasks.get(id);
  if (!before) return;
  const after: TaskState = { ...before, ...changes };
  if (isTerminal(before.status) || !isTerminal(after.status)) return replace(draft, [[before, after]]);
  const plan = draft.graph.task.get(id);
  const isWell = endedWell(after, plan);
  const dependents = (draft.graph.dependents.get(id) ?? []).flatMap((name) => draft.tasks.get(name) ?? []);
  const changed = dependents.map((task): [TaskState, TaskState] => [
    task,
    isWell ? released(task, draft.at) : { ...task, brokenBy: task.brokenBy ?? id },
  ]);
  replace(draft, [[before, after], ...changed]);
  if (after.parent) return childEnded(draft, after, after.parent.id);
  if (after.compensates !== undefined) {
    if (after.status === 'failed') draft.notUndone ??= id;
    return undoNext(draft);
  }
  const compensation = draft.graph.compensations.get(id);
  if (after.status === 'completed' && compensation !== undefined) draft.undo = { id: compensation, next: draft.undo };
  if (isWell || after.status !== 'failed') return;
  draft.failedTask ??= id;
  if (plan?.onFailure === 'stop') draft.stoppedBy ??= id;
};

const idle = {
  executor: '',
  deadlineAt: undefined,
  wakeAt: undefined,
  retryAt: undefined,
  signal: undefined,
  event: undefined,
  subExecution: undefined,
  openStep: undefined,
} as const;

const attemptFailed = (draft: Draft, id: string, final: boolean, changes: Partial<TaskState>): void =>
  change(draft, id, { ...idle, status: final ? 'failed' : 'pending', ...changes });

const remember = (draft: Draft, { cause }: Event): void => {
  const { key, fingerprint } = parseCause(cause);
  draft.applied = draft.applied.plus([[key, fingerprint]]);
};

const addTasks = (draft: Draft, tasks: readonly PlanTask[]): void => {
  draft.graph = withEdges(draft.graph, tasks);
  draft.tasks = draft.tasks.plus(tasks.map((task) => pendingTask(task, draft.at)));
  draft.open += tasks.length;
  draft.forward += tasks.filter(({ compensates }) => compensates === undefined).length;
};

/** One more of the events that the request is told in; with the last one it is whole. */
const cameIn = (draft: Draft): void => {
  if (!draft.incomplete) return;
  const missing = draft.incomplete.missing - 1;
  draft.incomplete = missing > 0 ? { missing, since: draft.at } : undefined;
  if (missing === 0) draft.resumedAt = draft.at;
};

const apply = (draft: Draft, event: Event): void => {
  draft.at = Date.parse(event.at);
  draft.events += 1;
  switch (event.type) {
    case 'ExecutionRequested': {
      const { plan, name, labels, input, dialect, origin, parent, following = 0 } = event.data;
      draft.status = 'pending';
      Object.assign(draft, { plan, name, labels, input, dialect, origin, parent });
      if (following > 0) draft.incomplete = { missing: following, since: draft.at };
      addTasks(draft, plan.tasks);
      draft.correlationId = event.correlationId;
      draft.requestedBy = event.actor;
      draft.seed = event.cause;
      remember(draft, event);
      return;
    }
    case 'ExecutionPlanExtended': {
      const { tasks } = event.data;
      draft.plan = { ...draft.plan, tasks: [...draft.plan.tasks, ...tasks] };
      addTasks(draft, tasks);
      cameIn(draft);
      return;
    }
    case 'ExecutionStarted':
      draft.status = 'running';
      draft.startedAt = draft.at;
      draft.deadlineAt = timeOf(event.data.deadlineAt);
      return;
    case 'ExecutionPaused':
      draft.status = 'paused';
      remember(draft, event);
      return;
    case 'ExecutionResumed':
      draft.status = draft.startedAt === undefined ? 'pending' : 'running';
      draft.resumedAt = draft.at;
      remember(draft, event);
      return;
    case 'ExecutionCancelRequested':
      draft.status = 'cancelling';
      draft.cancel = { mode: event.data.mode, reason: event.data.reason };
      remember(draft, event);
      return;
    case 'ExecutionCommandSatisfied':
      remember(draft, event);
      return;
    case 'ExecutionCompensationStarted':
      draft.compensating = { reason: event.data.reason };
      undoNext(draft);
      return;
    case 'ExecutionCancelled':
      draft.status = 'cancelled';
      return;
    case 'ExecutionCompleted':
      draft.status = 'completed';
      draft.result = event.data.result;
      return;
    case 'ExecutionFailed':
      draft.status = 'failed';
      draft.reason = event.data.reason;
      return;
    case 'ExecutionDeleted': {
      const { status, workspace, reason } = event.data;
      const labels = workspace === undefined ? {} : { workspace };
      Object.assign(draft, initial, { status, labels, at: draft.at, events: 1, deleted: { at: draft.at, by: event.actor, reason } });
      remember(draft, event);
      return;
    }
    case 'SignalReceived': {
      const { name, payload } = event.data;
      draft.signals = [...draft.signals, { name, payload, receivedAt: event.at, by: event.actor }];
      remember(draft, event);
      return;
    }
    case 'ArtifactCreated':
      draft.artifacts = withArtifact(draft, event.data);
      // What an attempt has made was asked for by nobody.
      if (event.data.attempt === undefined) remember(draft, event);
      return;
    case 'ArtifactDeleted':
      draft.artifacts = withoutArtifact(draft, event.data.artifactId);
      remember(draft, event);
      return;
    case 'ArtifactExpired':
      draft.artifacts = withoutArtifact(draft, event.data.artifactId);
      return;
    case 'TaskStarted':
      change(draft, event.data.taskId, {
        status: 'running',
        attempt: event.data.attempt,
        executor: event.data.executor,
        deadlineAt: timeOf(event.data.deadlineAt),
        wakeAt: timeOf(event.data.wakeAt),
        signal: event.data.signal,
        event: event.data.event,
        subExecution: event.data.child,
        clarification: undefined,
        retryAt: undefined,
        steps: 0,
        openStep: undefined,
      });
      return;
    case 'TaskExpanded':
      return expand(draft, event.data);
    case 'TaskCompleted': {
      const { taskId, result } = event.data;
      draft.signals = withoutFirst(draft.signals, draft.tasks.get(taskId)?.signal);
      change(draft, taskId, { ...idle, status: 'completed', result, error: undefined });
      return;
    }
    case 'TaskFailed': {
      const { taskId, error, final, result } = event.data;
      const task = draft.tasks.get(taskId);
      const count =
        error.code === 'ATTEMPT_LOST' ? { losses: (task?.losses ?? 0) + 1 } : { failures: (task?.failures ?? 0) + 1 };
      attemptFailed(draft, taskId, final, { ...count, error, result });
      return;
    }
    case 'TaskTimedOut': {
      const { taskId, timeoutMs, final } = event.data;
      const error = { code: 'TASK_TIMED_OUT', message: `no end within ${timeoutMs} ms`, retryable: true };
      attemptFailed(draft, taskId, final, { failures: (draft.tasks.get(taskId)?.failures ?? 0) + 1, error });
      return;
    }
    case 'TaskRetryScheduled': {
      const retryAt = Date.parse(event.data.at);
      change(draft, event.data.taskId, { retryAt, dueAt: retryAt });
      return;
    }
    case 'TaskSkipped':
      if (event.data.kind === 'timeout' || event.data.kind === 'incomplete') draft.gaveUp = true;
      change(draft, event.data.taskId, { ...idle, status: 'skipped', passedOver: event.data.kind === 'condition' });
      if (event.data.kind === 'origin') cameIn(draft);
      return;
    case 'TaskCancelled':
      if (event.data.kind === 'timeout') draft.gaveUp = true;
      change(draft, event.data.taskId, { ...idle, status: 'cancelled', result: event.data.result });
      return;
    case 'TaskProgressed': {
      const { taskId, attempt: _, ...progress } = event.data;
      change(draft, taskId, { progress });
      return;
    }
    case 'TaskCarriedOver': {
      const { taskId, status, from, result, error } = event.data;
      change(draft, taskId, { status, passedOver: status === 'skipped', carriedFrom: from, result, error });
      cameIn(draft);
      return;
    }
    case 'TaskResultIgnored':
      draft.ignored += 1;
      return;
    case 'ClarificationRequested': {
      const { taskId, expiresAt } = event.data;
      change(draft, taskId, { clarification: { asked: event.data, expiresAt: timeOf(expiresAt), answers: [], delegations: [] } });
      return;
    }
    case 'ClarificationResponded': {
      const { taskId, decision, reason } = event.data;
      const { clarification } = draft.tasks.get(taskId) ?? {};
      const answer = { by: event.actor, decision, reason, at: event.at };
      if (clarification) change(draft, taskId, { clarification: { ...clarification, answers: [...clarification.answers, answer] } });
      remember(draft, event);
      return;
    }
    case 'ClarificationDelegated': {
      const { taskId, to } = event.data;
      const { clarification } = draft.tasks.get(taskId) ?? {};
      const delegation = { from: event.actor, to };
      if (clarification) change(draft, taskId, { clarification: { ...clarification, delegations: [...clarification.delegations, delegation] } });
      remember(draft, event);
      return;
    }
    case 'ClarificationExpired':
    case 'ClarificationWithdrawn':
      return;
    case 'StepStarted':
      change(draft, event.data.taskId, {
        openStep: event.data.stepId,
        steps: (draft.tasks.get(event.data.taskId)?.steps ?? 0) + 1,
      });
      return;
    case 'StepCompleted':
    case 'StepFailed':
    case 'StepSkipped':
      change(draft, event.data.taskId, { openStep: undefined });
      return;
  }
  // Reached only by data from a later version: who decides on a history must know all of it.
  const unknown: { type: string } = event;
  throw new Refused('EVENT_UNKNOWN', `event type ${unknown.type} is not known to this version; upgrade before going on`);
};

/**
 * Folds events in order; the state handed in stays as it was. `before` sees each event with the state that it meets, which is not to
 * be kept. Throws Refused EVENT_UNKNOWN, and what `before` throws.
 */
export const fold = (state: State, events: readonly Event[], before?: (state: State, event: Event) => void): State => {
  if (events.length === 0) return state;
  const draft: Draft = { ...state };
  for (const event of events) {
    before?.(draft, event);
    apply(draft, event);
  }
  return draft;
};

export const evolve = (state: State, event: Event): State => fold(state, [event]);
