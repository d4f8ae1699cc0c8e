import type { Event, EventData, PlanTask } from '#libs/contracts';
import { parseCause } from './commands.js';
import { afterChild, expansionOf, stoppedItem } from './expansion.js';
import { relisten } from './signals.js';
import { type State, withEdges } from './state.js';
import { type TaskState, endedWell, isBusy, isJoined, isOrphan, isTerminal, pendingTask, released } from './task-state.js';

/** A state while events are folded into it: what is changed through these keeps the counts and the order of its tasks true. */
export type Draft = { -readonly [K in keyof State]: State[K] };

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

/** Calls the next compensation, one at a time. */
export const undoNext = (draft: Draft): void => {
  while (draft.undo && isTerminal(draft.tasks.get(draft.undo.id)?.status)) draft.undo = draft.undo.next;
  const task = draft.compensating && draft.undo && draft.tasks.get(draft.undo.id);
  if (task && task.waitingFor > 0) replace(draft, [[task, released(task, draft.at)]]);
};

export const expand = (draft: Draft, data: EventData['TaskExpanded']): void => {
  const before = draft.tasks.get(data.taskId);
  const plan = draft.graph.task.get(data.taskId);
  if (!before || !plan) return;
  const { task, children, plans } = expansionOf(before, plan, data, draft.at);
  draft.tasks = draft.tasks.plus(children);
  draft.graph = { ...draft.graph, task: draft.graph.task.plus(plans.map((child) => [child.id, child])) };
  draft.open += data.count;
  if (plan.compensates === undefined) draft.forward += data.count;
  replace(draft, [[before, task]]);
};

/** Changes one task; what depends on it waits for one fewer, or for ever. */
export const change = (draft: Draft, id: string, changes: Partial<TaskState>): void => {
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
  const parent = draft.tasks.get(after.parent?.id ?? '');
  if (parent) return replace(draft, afterChild(draft.tasks, draft.graph.task.get(parent.id) ?? {}, parent, after, draft.at));
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

export const idle = {
  executor: '',
  deadlineAt: undefined,
  wakeAt: undefined,
  retryAt: undefined,
  signal: undefined,
  event: undefined,
  subExecution: undefined,
  openStep: undefined,
} as const;

export const attemptFailed = (draft: Draft, id: string, final: boolean, changes: Partial<TaskState>): void => {
  const stopped = final ? undefined : stoppedItem(draft.tasks, draft.tasks.get(id));
  change(draft, id, { ...idle, status: final ? 'failed' : 'pending', ...changes, ...stopped });
};

export const remember = (draft: Draft, { cause }: Event): void => {
  const { key, fingerprint } = parseCause(cause);
  draft.applied = draft.applied.plus([[key, fingerprint]]);
};

export const addTasks = (draft: Draft, tasks: readonly PlanTask[]): void => {
  draft.graph = withEdges(draft.graph, tasks);
  draft.tasks = draft.tasks.plus(tasks.map((task) => pendingTask(task, draft.at)));
  draft.open += tasks.length;
  draft.forward += tasks.filter(({ compensates }) => compensates === undefined).length;
};

/** One more of the events that the request is told in; with the last one it is whole. */
export const cameIn = (draft: Draft): void => {
  if (!draft.incomplete) return;
  const missing = draft.incomplete.missing - 1;
  draft.incomplete = missing > 0 ? { missing, since: draft.at } : undefined;
  if (missing === 0) draft.resumedAt = draft.at;
};
