import type { ExecutionRef, JsonObject } from '#libs/contracts';
import { type SubExecution, type ClientCommand, type Context, type State, planOfChild } from '#libs/execution';
import { derivedId } from '#libs/ledger';
import { inputOf } from './expressions.js';

/** A child as its parent's attempt asks for it. */
type ChildRequest = { readonly command: ClientCommand; readonly context: Omit<Context, 'now'> };

/** The same child for the same attempt, whoever requests it. No idempotency key holds a NUL. */
export const childOf = ({ tenant, execution }: ExecutionRef, taskId: string, attempt: number): string =>
  derivedId(tenant, `child\0${execution}\0${taskId}\0${attempt}`);

/** Who it is for, and where: a child is its parent's requester's, and stays in its parent's workspace. Throws ExpressionError. */
export const requestOf = (parent: ExecutionRef, state: State, { taskId, attempt }: SubExecution): ChildRequest => {
  const task = state.graph.task.get(taskId);
  if (!task) throw new Error(`task '${taskId}' of ${parent.execution} has a child and no plan`);
  const { name, labels = {}, input = {} } = inputOf(parent, state, task, attempt);
  const plan = planOfChild(task);
  const { workspace } = state.labels;
  return {
    command: {
      type: 'RequestExecution',
      plan,
      name: typeof name === 'string' ? name : plan.name,
      labels: { ...state.labels, ...(labels as Record<string, string>), ...(workspace !== undefined && { workspace }) },
      input: input as JsonObject,
      dialect: state.dialect,
      parent: { execution: parent.execution, task: taskId, attempt, depth: (state.parent?.depth ?? 0) + 1 },
    },
    context: { cause: `${parent.execution}/${taskId}/${attempt}`, actor: state.requestedBy, correlationId: state.correlationId },
  };
};
