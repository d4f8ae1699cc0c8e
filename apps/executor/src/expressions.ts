import type { ExecutionRef, Failure, Json, JsonObject, PlanTask } from '#libs/contracts';
import { type State, childId, isWait, ownInput } from '#libs/execution';
import { ExpressionError, type Scope, conditionHolds, hasTemplates, renderInput } from '#libs/expressions';
import { runnerInputs } from '#libs/runners';

/** What the iteration before came to; nothing before the first. */
const resultBefore = (state: State, loop: string, iteration: number): JsonObject => state.tasks.get(childId(loop, iteration - 1))?.result ?? {};

const namesOf = (state: State, id: string): JsonObject => {
  const { parent } = state.tasks.get(id) ?? {};
  if (!parent) return {};
  const { index, item } = parent;
  return item === undefined ? { iteration: index, result: resultBefore(state, parent.id, index) } : { item, index };
};

const scopeOf = (ref: ExecutionRef, state: State, attempt: number, names: JsonObject): Scope => ({
  input: state.input,
  execution: { id: ref.execution, name: state.name, labels: state.labels },
  attempt,
  names,
  task: (id) => {
    const task = state.tasks.get(id);
    return task && { result: task.result ?? {}, status: task.status };
  },
});

export const failureOf = (error: unknown): Failure => {
  if (!(error instanceof ExpressionError)) throw error;
  return { code: error.code, message: error.message, retryable: error.retryable };
};

/**
 * The task's input with its templates evaluated, before anything else is done with it: what a reference to a secret stands for never
 * goes through a template. By the state alone, so that it is the same whoever asks. Throws ExpressionError, also for what the runner
 * can't take.
 */
export const inputOf = (ref: ExecutionRef, state: State, task: PlanTask, attempt: number): JsonObject => {
  const own = ownInput(task);
  if (!hasTemplates(own)) return task.input;
  const input = { ...task.input, ...renderInput(own, scopeOf(ref, state, attempt, namesOf(state, task.id))) };
  const [problem] = runnerInputs.get(task.runner)?.(input) ?? [];
  if (problem) throw new ExpressionError(`input${problem.path} results in what ${task.runner} can't take: ${problem.message}; a template that is the whole text keeps the type of its value, which string(), int() and double() convert`);
  return input;
};

/** What is to become of a task that is due. */
type Verdict =
  | { readonly kind: 'start'; readonly input?: JsonObject; readonly items?: readonly Json[] }
  | { readonly kind: 'skip' }
  | { readonly kind: 'fail'; readonly error: Failure };

/** Never the value: it may be nobody's but its owner's, and what failed is read by others. */
const kindOf = (value: Json | undefined): string => (typeof value === 'string' ? 'text' : typeof value === 'object' && value !== null ? 'an object' : String(value === null ? null : `a ${typeof value}`));

const itemsOf = (items: Json, scope: Scope): readonly Json[] => {
  const { items: list } = renderInput({ items }, scope, 'forEach');
  if (Array.isArray(list)) return list as readonly Json[];
  throw new ExpressionError(`forEach/items results in ${kindOf(list)}, which is no list; let it be one template of a list, with nothing beside it, such as {{ tasks.<id>.result.<name> }}`);
};

/** A condition is asked once, before the first attempt. */
export const verdictOf = (ref: ExecutionRef, state: State, task: PlanTask, attempt: number): Verdict => {
  try {
    const { when, forEach, loop } = task;
    const scope = scopeOf(ref, state, attempt, {});
    if (when !== undefined && attempt === 1 && !conditionHolds(when, scope)) return { kind: 'skip' };
    if (forEach) return { kind: 'start', items: itemsOf(forEach.items, scope) };
    if (loop) return { kind: 'start' };
    // What the core itself runs, no runner looks at.
    return isWait(task) ? { kind: 'start', input: inputOf(ref, state, task, attempt) } : { kind: 'start' };
  } catch (error) {
    return { kind: 'fail', error: failureOf(error) };
  }
};

/** Whether the iteration that has ended was the loop's last, or why nobody can say. */
export const isLoopOver = (ref: ExecutionRef, state: State, task: PlanTask): boolean | Failure => {
  const { attempt = 1, children } = state.tasks.get(task.id) ?? {};
  const iteration = (children?.count ?? 1) - 1;
  const names = { iteration, result: resultBefore(state, task.id, iteration + 1) };
  try {
    return conditionHolds(task.loop?.until ?? 'true', scopeOf(ref, state, attempt, names), 'loop/until');
  } catch (error) {
    return failureOf(error);
  }
};
