import type { Fact, Failure, JsonObject } from '#libs/contracts';
import { isUndecided, join } from './children.js';
import { MAX_CONSEQUENCES, MAX_EVENTS, MAX_RESULT_BYTES, REQUEST_WITHIN_MS } from './limits.js';
import { expire, timeOut, withdraw } from './outcome.js';
import { deliveries } from './signals.js';
import { startBy } from './starting.js';
import type { State } from './state.js';
import { type TaskState, bytesOf, isJoined, isOrphan, isTerminal } from './task-state.js';

/** Why no further task of the execution may start, and whether running ones are given up at once. */
type Ending = { readonly why: string; readonly abandon: boolean; readonly failure: Failure | undefined };

const failedBy = (state: State, id: string): Failure => {
  const error = state.tasks.get(id)?.error;
  return {
    code: 'TASK_FAILED',
    message: `task '${id}' failed: ${error?.message ?? 'no reason recorded'}`,
    retryable: error?.retryable ?? false,
  };
};

/** Who requested it has told a part of its plan, and no more. */
const neverWhole = ({ gaveUp }: State, { missing, since }: NonNullable<State['incomplete']>, now: number): Ending | undefined => {
  if (!gaveUp && now < since + REQUEST_WITHIN_MS) return undefined;
  const message = `the rest of its plan (${missing} more events) has not come within ${REQUEST_WITHIN_MS / 1000} s; request it again under another key`;
  return { why: 'the rest of the plan never came', abandon: true, failure: { code: 'REQUEST_INCOMPLETE', message, retryable: true } };
};

export const endingOf = (state: State, now: number): Ending | undefined => {
  const overdue = state.deadlineAt !== undefined && (now >= state.deadlineAt || state.gaveUp);
  // The deadline is one for what is done, not for undoing it; and who cancels gracefully wants it undone.
  if (state.compensating && state.cancel?.mode !== 'immediate' && state.events < MAX_EVENTS) return undefined;
  if (state.cancel) return { why: 'execution cancelled', abandon: overdue, failure: undefined };
  if (state.incomplete) return neverWhole(state, state.incomplete, now);
  if (state.events >= MAX_EVENTS) {
    const message = `the history has reached its limit of ${MAX_EVENTS} events; split the plan`;
    return { why: 'history limit', abandon: true, failure: { code: 'HISTORY_LIMIT', message, retryable: false } };
  }
  if (overdue) {
    const message = `the execution did not end within ${state.plan.timeoutMs} ms`;
    return { why: 'execution timed out', abandon: true, failure: { code: 'EXECUTION_TIMED_OUT', message, retryable: true } };
  }
  if (state.stoppedBy !== undefined) {
    return { why: `task '${state.stoppedBy}' failed`, abandon: false, failure: failedBy(state, state.stoppedBy) };
  }
  return undefined;
};

/** What the end of a task says of why it could not go on. */
export const kindOf = ({ failure }: Ending): { readonly kind?: 'timeout' } => (failure?.code === 'EXECUTION_TIMED_OUT' ? { kind: 'timeout' } : {});

const endTask = (state: State, task: TaskState, ending: Ending): readonly Fact[] => {
  // Whether there is anything to undo shows when all else has ended.
  if (task.compensates !== undefined && !state.compensating && !state.incomplete) return [];
  const kind = kindOf(ending);
  if (task.status === 'pending') {
    const isNeverWhole = ending.failure?.code === 'REQUEST_INCOMPLETE';
    return [{ type: 'TaskSkipped', data: { taskId: task.id, why: ending.why, ...(isNeverWhole ? { kind: 'incomplete' } : kind) } }];
  }
  // What is done by others ends after them.
  if (task.status === 'running' && task.children) return task.children.open > 0 || isUndecided(state, task) ? [] : [join(state, task, kind)];
  // A wait has no process that could end in its own way; another execution has many, and ends by itself.
  if (task.status === 'running' && task.subExecution === undefined && (ending.abandon || task.executor === '')) {
    return [...withdraw(task), { type: 'TaskCancelled', data: { taskId: task.id, attempt: task.attempt, ...kind } }];
  }
  return [];
};

const settle = (state: State, task: TaskState): readonly Fact[] => {
  if (isJoined(task)) return [join(state, task)];
  const { id, brokenBy, parent } = task;
  if (!isOrphan(task) || brokenBy === undefined) return [];
  return [{ type: 'TaskSkipped', data: { taskId: id, why: `${parent ? 'item' : 'dependency'} '${brokenBy}' ${state.tasks.get(brokenBy)?.status}` } }];
};

/** What the leaves of the plan resulted in, in the plan's order, as far as it fits. */
const resultOf = (state: State): JsonObject => {
  const results: Record<string, JsonObject> = {};
  let room = MAX_RESULT_BYTES;
  for (const { id, result, parent } of state.tasks.values()) {
    if (result === undefined || parent !== undefined || state.graph.dependents.has(id)) continue;
    room -= bytesOf({ [id]: result });
    if (room < 0) break;
    results[id] = result;
  }
  return results;
};

const failureOf = (state: State, ending: Ending | undefined): Failure | undefined => {
  if (state.compensating?.reason) return state.compensating.reason;
  if (ending?.failure) return ending.failure;
  return state.failedTask === undefined ? undefined : failedBy(state, state.failedTask);
};

const notUndone = (state: State): string | undefined =>
  state.notUndone === undefined ? undefined : `compensation '${state.notUndone}' failed: ${state.tasks.get(state.notUndone)?.error?.message ?? ''}`;

const end = (state: State, ending: Ending | undefined): Fact => {
  const left = notUndone(state);
  if (state.cancel) {
    const reason = [state.cancel.reason, left].filter((part) => part !== undefined).join('; ');
    return { type: 'ExecutionCancelled', data: reason === '' ? {} : { reason } };
  }
  const failure = failureOf(state, ending);
  if (!failure) return { type: 'ExecutionCompleted', data: { result: resultOf(state) } };
  if (left === undefined) return { type: 'ExecutionFailed', data: { reason: failure } };
  return { type: 'ExecutionFailed', data: { reason: { code: 'COMPENSATION_FAILED', message: `${failure.message}; ${left}`, retryable: false } } };
};

/** All but compensations has ended: those that nothing calls for are skipped, then what was done is undone. */
const undo = (state: State, ending: Ending | undefined, limit: number): readonly Fact[] => {
  const failure = state.cancel ? undefined : failureOf(state, ending);
  const isCalledFor = state.events < MAX_EVENTS && (state.cancel ? state.cancel.mode === 'graceful' : failure !== undefined);
  const skipped: Fact[] = [];
  for (const { id: taskId, status, compensates = '' } of state.tasks.values()) {
    if (skipped.length >= limit) break;
    const target = state.tasks.get(compensates);
    if (status !== 'pending' || !target || (isCalledFor && target.status === 'completed')) continue;
    const why = isCalledFor ? `nothing to undo: '${compensates}' ${target.status}` : 'nothing to undo';
    skipped.push({ type: 'TaskSkipped', data: { taskId, why } });
  }
  if (skipped.length > 0) return skipped;
  return [{ type: 'ExecutionCompensationStarted', data: failure ? { reason: failure } : {} }];
};

/** True for a state that can still change. */
const isLive = (state: State): boolean => state.status !== undefined && !isTerminal(state.status);

/**
 * What follows from the state alone: signals that tasks wait for, tasks to skip or cancel or whose children have all ended, at most `limit` of them, and once all have ended, the end. Empty when settled.
 * `now` counts only for the execution's own deadline.
 */
export const consequences = (state: State, now: number, limit = MAX_CONSEQUENCES): readonly Fact[] => {
  if (!isLive(state)) return [];
  const ending = endingOf(state, now);
  if (state.incomplete && !ending) return [];
  if (state.open === 0) return [end(state, ending)];
  if (state.forward === 0 && !state.compensating && !state.incomplete) return undo(state, ending, limit);
  const delivered = ending ? [] : deliveries(state, limit);
  if (delivered.length > 0) return delivered;
  if (!ending && state.orphans === 0 && state.joins === 0) return [];
  const facts: Fact[] = [];
  for (const task of ending ? state.tasks.values() : state.tasks.actionable()) {
    if (facts.length >= limit) break;
    facts.push(...(ending ? endTask(state, task, ending) : settle(state, task)));
  }
  return facts;
};

const notStarted = (state: State, { id: taskId, attempt }: TaskState): Fact => {
  const { concurrency } = state.plan;
  const inLine = concurrency !== undefined && state.running >= concurrency;
  const [why, way] = inLine ? [`the plan lets ${concurrency} run at once`, 'raise its concurrency'] : ['no executor has taken it', 'start another executor'];
  const message = `not started within ${state.graph.task.get(taskId)?.scheduleToStartMs ?? 0} ms of being due: ${why}; ${way}, or allow for more in scheduleToStartMs`;
  // Another attempt would wait in the same line.
  return { type: 'TaskFailed', data: { taskId, attempt, error: { code: 'TASK_START_TIMED_OUT', message, retryable: false }, final: true } };
};

/** What the time alone brings about: waits that are over, attempts past their deadline, and tasks that nobody started in time. */
export const due = (state: State, now: number): readonly Fact[] => {
  if (!isLive(state) || (state.running === 0 && !state.graph.limitsStarts)) return [];
  const facts: Fact[] = [];
  for (const task of state.tasks.actionable()) {
    if (task.status !== 'running') {
      if (now >= (startBy(state, task) ?? Infinity)) facts.push(notStarted(state, task));
    } else if (task.wakeAt !== undefined && now >= task.wakeAt) {
      facts.push({ type: 'TaskCompleted', data: { taskId: task.id, attempt: task.attempt, result: {} } });
    } else if (task.clarification?.expiresAt !== undefined && now >= task.clarification.expiresAt) {
      facts.push(...expire(state, task, task.clarification, now));
    } else if (task.deadlineAt !== undefined && now >= task.deadlineAt && task.subExecution === undefined) {
      facts.push(...timeOut(state, task, now));
    }
    if (facts.length >= MAX_CONSEQUENCES) break;
  }
  return facts;
};
