import { createHash } from 'node:crypto';
import type { ExecutionRef, JsonObject } from '#libs/contracts';
import { type SubExecution, type ClientCommand, type Context, type State, planOfChild } from '#libs/execution';
import { inputOf } from './expressions.js';

/** A child as its parent's attempt asks for it. */
export type ChildRequest = { readonly command: ClientCommand; readonly context: Omit<Context, 'now'> };

/** The same child for the same attempt, whoever requests it: a UUID of version 8 (RFC 9562), whose bits come from SHA-256 of all of it. */
export const childOf = ({ tenant, execution }: ExecutionRef, taskId: string, attempt: number): string => {
  const bytes = createHash('sha256').update(`child\0${tenant}\0${execution}\0${taskId}\0${attempt}`).digest().subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x80, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
};

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
