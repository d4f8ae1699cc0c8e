import { isUndecided } from './children.js';
import { consequences, due } from './consequences.js';
import { REQUEST_WITHIN_MS } from './limits.js';
import { mayStart, startBy, startable } from './starting.js';
import type { State } from './state.js';
import { isTerminal } from './task-state.js';

/** What has to happen next with an execution. Never stored: it follows from the state and the time. */
export type Next = {
  /** Tasks to start now, in the plan's order, as many as the plan's own limit leaves room for. */
  readonly start: readonly string[];
  /** Loops of which an iteration has ended well: whether it was the last is for their condition to say. */
  readonly decide: readonly string[];
  /** True when an Advance would decide something now. */
  readonly advance: boolean;
  /** Milliseconds since the epoch when to look again; undefined when no timer is set. */
  readonly wakeAt: number | undefined;
};

/** What the state calls for at `now` (milliseconds since the epoch). */
export const next = (state: State, clock: number): Next => {
  if (state.status === undefined || isTerminal(state.status)) return { start: [], decide: [], advance: false, wakeAt: undefined };
  const now = Math.max(clock, state.at);
  const advance = due(state, now).length > 0 || consequences(state, now).length > 0;
  // Past it, the execution may still wait for children to end.
  const timers: number[] = state.deadlineAt === undefined || state.deadlineAt <= now || state.compensating ? [] : [state.deadlineAt];
  if (state.incomplete && !state.cancel) timers.push(state.incomplete.since + REQUEST_WITHIN_MS);
  const start: string[] = [];
  const undecided: string[] = [];
  let room = (state.plan.concurrency ?? Infinity) - state.running;
  for (const task of state.tasks.actionable()) {
    if (task.status === 'running') {
      if (isUndecided(state, task)) undecided.push(task.id);
      if (task.wakeAt !== undefined) timers.push(task.wakeAt);
      if (task.deadlineAt !== undefined && (task.subExecution === undefined || task.deadlineAt > now)) timers.push(task.deadlineAt);
      if (task.clarification?.expiresAt !== undefined) timers.push(task.clarification.expiresAt);
      continue;
    }
    const limit = startBy(state, task);
    if (limit !== undefined) timers.push(limit);
    if (room > 0 && startable(state, task, now)) {
      start.push(task.id);
      room -= 1;
    } else if (mayStart(state, task) && task.status === 'pending' && task.retryAt !== undefined && task.retryAt > now) {
      timers.push(task.retryAt);
    }
  }
  const wakeAt = timers.reduce<number | undefined>((first, at) => (first === undefined || at < first ? at : first), undefined);
  return { start: advance ? [] : start, decide: advance ? [] : undecided, advance, wakeAt };
};

/** Attempts that run now, with who runs them (empty for a wait). */
export const runningAttempts = (
  state: State,
): readonly { readonly taskId: string; readonly attempt: number; readonly executor: string }[] =>
  state.running === 0
    ? []
    : [...state.tasks.actionable()]
        .filter((task) => task.status === 'running')
        .map(({ id, attempt, executor }) => ({ taskId: id, attempt, executor }));

/** True when the attempt has to be ended: it is no longer current, or the execution is cancelled at once. */
export const mustStop = (state: State, taskId: string, attempt: number): boolean => {
  const task = state.tasks.get(taskId);
  return task?.status !== 'running' || task.attempt !== attempt || state.cancel?.mode === 'immediate';
};
