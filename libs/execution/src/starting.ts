import type { State } from './state.js';
import type { TaskState } from './task-state.js';

/** True while the execution lets tasks start that are due. */
const mayStart = (state: State): boolean =>
  (state.status === 'running' || state.status === 'pending') && state.stoppedBy === undefined;

const isReady = (task: TaskState): boolean => task.status === 'pending' && task.waitingFor === 0;

/**
 * When the task fails by itself unless it is started before, in milliseconds since the epoch: so long after it came due, or after the
 * execution was resumed. Undefined where nothing limits that, and while it is not to start anyway.
 */
export const startBy = (state: State, task: TaskState): number | undefined => {
  if (!state.graph.limitsStarts || task.dueAt === undefined || !isReady(task) || !mayStart(state)) return undefined;
  const limit = state.graph.task.get(task.id)?.scheduleToStartMs;
  return limit === undefined ? undefined : Math.max(task.dueAt, state.resumedAt ?? 0) + limit;
};

/** True when the task may start now. */
export const startable = (state: State, task: TaskState, now: number): boolean =>
  isReady(task) && mayStart(state) && (task.retryAt === undefined || task.retryAt <= now) && now < (startBy(state, task) ?? Infinity);
