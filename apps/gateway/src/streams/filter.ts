import type { EventType, ExecutionStatus } from '#libs/contracts';
import type { Frame } from './frame.js';

/** Which events a client wants; what is undefined does not narrow it. All that is given has to fit. */
export type StreamFilter = {
  readonly tenant: string;
  readonly execution?: string;
  /** One of these types. */
  readonly types?: ReadonlySet<string>;
  readonly task?: string;
  /** Of the execution, every one of them. */
  readonly labels?: Readonly<Record<string, string>>;
};

/** The events by which an execution comes to a status. */
export const comesTo: Readonly<Record<ExecutionStatus, readonly EventType[]>> = {
  pending: ['ExecutionRequested'],
  running: ['ExecutionStarted', 'ExecutionResumed'],
  paused: ['ExecutionPaused'],
  cancelling: ['ExecutionCancelRequested'],
  completed: ['ExecutionCompleted'],
  failed: ['ExecutionFailed'],
  cancelled: ['ExecutionCancelled'],
};

const last: readonly string[] = [...comesTo.completed, ...comesTo.failed, ...comesTo.cancelled];
export const endsExecution = (type: string): boolean => last.includes(type);

/** Nothing may follow it. */
export const isDeletion = (type: string): boolean => type === ('ExecutionDeleted' satisfies EventType);

/** The labels of the frame have to be known where the filter names some. */
export const fits = ({ tenant, execution, types, task, labels }: StreamFilter, frame: Frame): boolean => {
  const { ref, type } = frame;
  if (ref.tenant !== tenant || (execution !== undefined && ref.execution !== execution)) return false;
  if (types && !types.has(type)) return false;
  if (task !== undefined && frame.task !== task) return false;
  return labels === undefined || Object.entries(labels).every(([name, value]) => frame.labels?.[name] === value);
};
