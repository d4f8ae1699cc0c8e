import type { CancelMode, Fact, Failure, JsonObject, Plan, PlanTask } from '#libs/contracts';
import type { ChildEnd } from './commands.js';
import { endingOf } from './consequences.js';
import { current, failAttempt, timeOut } from './outcome.js';
import type { State } from './state.js';
import type { TaskState } from './task-state.js';

/** A task that is an execution of its own: the child of this one. */
export const isSubExecution = ({ runner }: Pick<PlanTask, 'runner'>): boolean => runner === 'execution';

/** The part of a task's input that is the task's own: what stands in the plan of a child, templates included, is the child's. */
export const ownInput = (task: Pick<PlanTask, 'runner' | 'input'>): JsonObject => {
  if (!isSubExecution(task)) return task.input;
  const { plan: _, ...own } = task.input;
  return own;
};

/** The plan of a child, as parsePlan has left it. */
export const planOfChild = ({ input }: Pick<PlanTask, 'input'>): Plan => input['plan'] as unknown as Plan;

/** A running attempt that is another execution, and how that is to be cancelled, where it is. */
export type SubExecution = { readonly taskId: string; readonly attempt: number; readonly child: string; readonly cancel: CancelMode | undefined };

/**
 * What the attempt's child is to be told at `now`: it ends as its parent is cancelled, and at once where the time of the attempt or of the
 * whole execution is over. An execution that stops because a task failed lets its children end as it lets its tasks.
 */
const cancelOf = (state: State, task: TaskState, now: number): CancelMode | undefined => {
  const ending = endingOf(state, now);
  const isLate = task.deadlineAt !== undefined && now >= task.deadlineAt;
  return isLate || ending?.abandon ? 'immediate' : ending && state.cancel?.mode;
};

/** The children that the execution waits for at `now` (milliseconds since the epoch). */
export const subExecutionsOf = (state: State, now: number): readonly SubExecution[] => {
  if (state.running === 0) return [];
  return [...state.tasks.actionable()].flatMap((task) => {
    const { id: taskId, status, attempt, subExecution: child } = task;
    return status === 'running' && child !== undefined ? [{ taskId, attempt, child, cancel: cancelOf(state, task, now) }] : [];
  });
};

/** Undefined while it has not ended. */
export const endOf = ({ status, result = {}, reason }: Pick<State, 'status' | 'result' | 'reason'>): ChildEnd | undefined => {
  if (status === 'completed') return { status, result };
  if (status === 'failed') return { status, reason: reason ?? { code: 'TASK_FAILED', message: 'no reason recorded', retryable: false } };
  return status === 'cancelled' ? { status } : undefined;
};

/** Bytes of JSON that a task keeps of its child's result. */
const MAX_CHILD_RESULT_BYTES = 30 * 1024;
const MAX_MESSAGE_LENGTH = 2_000;
const utf8 = new TextEncoder();

const resultOf = (execution: string, result: JsonObject): JsonObject => {
  const fits = utf8.encode(JSON.stringify(result)).length <= MAX_CHILD_RESULT_BYTES;
  return { execution, status: 'completed', ...(fits ? { result } : { resultOmitted: true }) };
};

const errorOf = (child: string, end: Exclude<ChildEnd, { status: 'completed' }>): Failure => {
  if (end.status === 'lost') return end.reason;
  if (end.status === 'cancelled') return { code: 'CHILD_CANCELLED', message: `execution ${child} was cancelled`, retryable: false };
  const { message, retryable } = end.reason;
  return { code: 'CHILD_FAILED', message: `execution ${child} failed: ${message}`.slice(0, MAX_MESSAGE_LENGTH), retryable };
};

/** The attempt ends as its child did. Told twice, or by two processes, it changes nothing. */
export const recordChildEnd = (state: State, taskId: string, attempt: number, end: ChildEnd, now: number): readonly Fact[] => {
  const task = current(state, taskId, attempt);
  if (task?.subExecution === undefined) return [];
  const { subExecution: child } = task;
  if (end.status === 'completed') return [{ type: 'TaskCompleted', data: { taskId, attempt, result: resultOf(child, end.result) } }];
  const result = { execution: child, status: end.status };
  const ending = endingOf(state, now);
  if (ending?.abandon || (ending && state.cancel)) {
    const kind = ending.failure?.code === 'EXECUTION_TIMED_OUT' ? ({ kind: 'timeout' } as const) : {};
    return [{ type: 'TaskCancelled', data: { taskId, attempt, result, ...kind } }];
  }
  if (cancelOf(state, task, now)) return timeOut(state, task, now);
  const error = errorOf(child, end);
  return failAttempt(state, task, now, (final) => ({ type: 'TaskFailed', data: { taskId, attempt, error, final, result } }), error);
};
