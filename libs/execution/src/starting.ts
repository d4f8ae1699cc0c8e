import type { State } from './state.js';
import type { TaskState } from './task-state.js';

/** True while the execution lets the task start once it is due. What undoes is started also while it is cancelled gracefully. */
export const mayStart = ({ status, stoppedBy, compensating, cancel, incomplete }: State, { compensates }: TaskState): boolean => {
  if (incomplete) return false;
  const isOpen = status === 'running' || status === 'pending';
  if (compensates === undefined) return isOpen && stoppedBy === undefined;
  return compensating !== undefined && (isOpen || (status === 'cancelling' && cancel?.mode === 'graceful'));
};

const isReady = (task: TaskState): boolean => task.status === 'pending' && task.waitingFor === 0;

/**
 * When the task fails by itself unless it is started before, in milliseconds since the epoch: so long after it came due, or after the
 * execution was resumed. Undefined where nothing limits that, and while it is not to start anyway.
 */
export const startBy = (state: State, task: TaskState): number | undefined => {
  if (!state.graph.limitsStarts || task.dueAt === undefined || !isReady(task) || !mayStart(state, task)) return undefined;
  const limit = state.graph.task.get(task.id)?.scheduleToStartMs;
  return limit === undefined ? undefined : Math.max(task.dueAt, state.resumedAt ?? 0) + limit;
};

/** True when the task may start now. */
export const startable = (state: State, task: TaskState, now: number): boolean =>
  isReady(task) && mayStart(state, task) && (task.retryAt === undefined || task.retryAt <= now) && now < (startBy(state, task) ?? Infinity);
