import type { EventData, Failure, Json, JsonObject, PlanTask, TaskStatus } from '#libs/contracts';
import type { Clarification } from './clarifications.js';

/** The tasks by which another one is done. */
export type Children = {
  readonly count: number;
  /** Those that have not ended. */
  readonly open: number;
  /** Those whose turn has come: the others wait for it. */
  readonly admitted: number;
  /** An item has failed, and none starts any more. */
  readonly isStopped: boolean;
  /** An iteration has ended well, and nobody has said yet whether another follows. */
  readonly isUndecided: boolean;
};

/** Of `total`: what is done, and what failed beside that. `resume` is the runner's own, for an attempt that goes on where one was lost. */
export type TaskProgress = Omit<EventData['TaskProgressed'], 'taskId' | 'attempt'>;

/** One task of an execution. All times are milliseconds since the epoch. */
export type TaskState = {
  readonly id: string;
  readonly status: TaskStatus;
  /** The task that it undoes: it waits until it is called, or skipped. */
  readonly compensates: string | undefined;
  /** The task that it is a part of, which one of its parts, from 0, and of a fan-out, what for. */
  readonly parent: { readonly id: string; readonly index: number; readonly item: Json | undefined } | undefined;
  /** Once the task is done by others. */
  readonly children: Children | undefined;
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
  /** While running: the execution that the attempt is. */
  readonly subExecution: string | undefined;
  /** What the current or last attempt asks people. */
  readonly clarification: Clarification | undefined;
  /** When it, or its next attempt, comes or came due; undefined while it waits for others. */
  readonly dueAt: number | undefined;
  /** While pending after a failed attempt: not before. */
  readonly retryAt: number | undefined;
  readonly result: JsonObject | undefined;
  readonly error: Failure | undefined;
  /** How far its attempts have come. */
  readonly progress: TaskProgress | undefined;
  /** Steps of the current attempt. */
  readonly steps: number;
  readonly openStep: string | undefined;
};

export const pendingTask = (task: PlanTask, at: number): TaskState => ({
  id: task.id,
  status: 'pending',
  attempt: 0,
  failures: 0,
  losses: 0,
  carriedFrom: undefined,
  passedOver: false,
  compensates: task.compensates,
  parent: undefined,
  children: undefined,
  waitingFor: task.compensates === undefined ? task.dependsOn.length : 1,
  brokenBy: undefined,
  dueAt: task.dependsOn.length === 0 && task.compensates === undefined ? at : undefined,
  executor: '',
  deadlineAt: undefined,
  wakeAt: undefined,
  signal: undefined,
  event: undefined,
  subExecution: undefined,
  clarification: undefined,
  retryAt: undefined,
  result: undefined,
  error: undefined,
  progress: undefined,
  steps: 0,
  openStep: undefined,
});

/** The task, waiting for one fewer. */
export const released = (task: TaskState, at: number): TaskState => {
  const waitingFor = task.waitingFor - 1;
  return { ...task, waitingFor, dueAt: waitingFor === 0 ? at : undefined };
};

const ended = new Set<string | undefined>(['completed', 'failed', 'cancelled', 'skipped']);

/** True for a status that nothing changes any more, of an execution, a task or a step. */
export const isTerminal = (status: string | undefined): boolean => ended.has(status);

export const hasEndedWell = ({ status, passedOver }: TaskState): boolean => status === 'completed' || passedOver;

/** True when what depends on the task may run. */
export const endedWell = (task: TaskState, plan: PlanTask | undefined): boolean =>
  hasEndedWell(task) || (task.status === 'failed' && plan?.onFailure === 'continue');

/** True for a task whose children have all ended, which ends it. */
export const isJoined = ({ status, children }: TaskState): boolean => status === 'running' && children?.open === 0 && !children.isUndecided;

/** True for a task that something runs in, or that waits by itself, and not for its children. */
export const isBusy = ({ status, children }: TaskState): boolean => status === 'running' && children === undefined;

/** True for a task that is to be skipped because of one that it depends on. */
export const isOrphan = ({ status, brokenBy }: TaskState): boolean => status === 'pending' && brokenBy !== undefined;

/** True for a task that something can happen to while no other task does anything: it runs, may start, or is to be skipped. */
export const isActionable = (task: TaskState): boolean =>
  task.status === 'running' || (task.status === 'pending' && task.waitingFor === 0) || isOrphan(task);

const utf8 = new TextEncoder();

/** Of the value as JSON. */
export const bytesOf = (value: Json): number => utf8.encode(JSON.stringify(value)).length;
