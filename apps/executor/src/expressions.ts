import type { ExecutionRef, Failure, JsonObject, PlanTask } from '#libs/contracts';
import { type State, isWait } from '#libs/execution';
import { ExpressionError, type Scope, conditionHolds, hasTemplates, renderInput } from '#libs/expressions';
import { runnerInputs } from '#libs/runners';

const scopeOf = (ref: ExecutionRef, state: State, attempt: number): Scope => ({
  input: state.input,
  execution: { id: ref.execution, name: state.name, labels: state.labels },
  attempt,
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
  if (!hasTemplates(task.input)) return task.input;
  const input = renderInput(task.input, scopeOf(ref, state, attempt));
  const [problem] = runnerInputs.get(task.runner)?.(input) ?? [];
  if (problem) throw new ExpressionError(`input${problem.path} results in what ${task.runner} can't take: ${problem.message}`);
  return input;
};

/** What is to become of a task that is due. */
export type Verdict =
  | { readonly kind: 'start'; readonly input?: JsonObject }
  | { readonly kind: 'skip' }
  | { readonly kind: 'fail'; readonly error: Failure };

/** A condition is asked once, before the first attempt. */
export const verdictOf = (ref: ExecutionRef, state: State, task: PlanTask, attempt: number): Verdict => {
  try {
    const { when } = task;
    if (when !== undefined && attempt === 1 && !conditionHolds(when, scopeOf(ref, state, attempt))) return { kind: 'skip' };
    // What the core itself runs, no runner looks at.
    return isWait(task) ? { kind: 'start', input: inputOf(ref, state, task, attempt) } : { kind: 'start' };
  } catch (error) {
    return { kind: 'fail', error: failureOf(error) };
  }
};
