import type { EventData, Failure, JsonObject, PlanTask, TaskStatus } from '#libs/contracts';
import type { Clarification } from './clarifications.js';

/** One task of an execution. All times are milliseconds since the epoch. */
export type TaskState = {
  readonly id: string;
  readonly status: TaskStatus;
  /** The task that it undoes: it waits until it is called, or skipped. */
  readonly compensates: string | undefined;
  /** The current or last attempt; 0 before the first. */
  readonly attempt: number;
  /** Attempts that failed or timed out: what the retry policy counts. */
  readonly failures: number;
  /** Attempts that ended with their executor; they do not count against the retry policy. */
  readonly losses: number;
  /** The execution that it ended well in, where that was not this one. */
  readonly carriedFrom: string | undefined;
  /** True for one that was skipped and has what depends on it go on. */
  readonly passedOver: boolean;
  /** Dependencies that have not ended well yet. */
  readonly waitingFor: number;
  /** The dependency that was the first to end otherwise than well: the task can never start. */
  readonly brokenBy: string | undefined;
  /** While running: the incarnation that runs it; empty for a wait. */
  readonly executor: string;
  readonly deadlineAt: number | undefined;
  readonly wakeAt: number | undefined;
  /** While running: the name of the signal that ends it. */
  readonly signal: string | undefined;
  /** While running: the event that ends it. */
  readonly event: EventData['TaskStarted']['event'] | undefined;
  /** What the current or last attempt asks people. */
  readonly clarification: Clarification | undefined;
  /** When it, or its next attempt, comes or came due; undefined while it waits for others. */
  readonly dueAt: number | undefined;
  /** While pending after a failed attempt: not before. */
  readonly retryAt: number | undefined;
  readonly result: JsonObject | undefined;
  readonly error: Failure | undefined;
  /** Steps of the current attempt. */
  readonly steps: number;
  readonly openStep: string | undefined;
};

const ended = new Set<string | undefined>(['completed', 'failed', 'cancelled', 'skipped']);

/** True for a status that nothing changes any more, of an execution, a task or a step. */
export const isTerminal = (status: string | undefined): boolean => ended.has(status);

/** True when what depends on the task may run. */
export const endedWell = (task: TaskState, plan: PlanTask | undefined): boolean =>
  task.status === 'completed' || task.passedOver || (task.status === 'failed' && plan?.onFailure === 'continue');

/** True for a task that is to be skipped because of one that it depends on. */
export const isOrphan = ({ status, brokenBy }: TaskState): boolean => status === 'pending' && brokenBy !== undefined;

/** True for a task that something can happen to while no other task does anything: it runs, may start, or is to be skipped. */
export const isActionable = (task: TaskState): boolean =>
  task.status === 'running' || (task.status === 'pending' && task.waitingFor === 0) || isOrphan(task);
