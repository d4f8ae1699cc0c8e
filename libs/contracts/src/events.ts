import type * as wire from './generated/runledger/v1/events.js';
import type { Json, JsonObject, Refine, Wire } from './json.js';
import type { Plan, PlanTask } from './plan.js';

export type CancelMode = 'graceful' | 'immediate';
export type Failure = Wire<wire.Failure>;
export type OriginKind = 'retry' | 'rerun' | 'fork';
export type Origin = Refine<Wire<wire.Origin>, { kind: OriginKind }>;

export const artifactTypes = ['document', 'image', 'data', 'log', 'archive', 'report', 'other'] as const;
export type ArtifactType = (typeof artifactTypes)[number];

/** Every event type and its data; the keys are the message names of events.proto. */
export type EventData = {
  ExecutionRequested: Refine<Wire<wire.ExecutionRequested>, { plan: Plan; origin?: Origin }>;
  ExecutionPlanExtended: Refine<Wire<wire.ExecutionPlanExtended>, { tasks: readonly PlanTask[] }>;
  ExecutionStarted: Wire<wire.ExecutionStarted>;
  ExecutionPaused: Wire<wire.ExecutionPaused>;
  ExecutionResumed: Wire<wire.ExecutionResumed>;
  ExecutionCancelRequested: Refine<Wire<wire.ExecutionCancelRequested>, { mode: CancelMode }>;
  ExecutionCommandSatisfied: Wire<wire.ExecutionCommandSatisfied>;
  ExecutionCompensationStarted: Wire<wire.ExecutionCompensationStarted>;
  ExecutionCancelled: Wire<wire.ExecutionCancelled>;
  ExecutionCompleted: Wire<wire.ExecutionCompleted>;
  ExecutionFailed: Wire<wire.ExecutionFailed>;
  ExecutionDeleted: Refine<Wire<wire.ExecutionDeleted>, { status: 'completed' | 'failed' | 'cancelled' }>;
  ExecutionMetadataRecorded: Wire<wire.ExecutionMetadataRecorded>;
  SignalReceived: Wire<wire.SignalReceived>;
  TaskStarted: Wire<wire.TaskStarted>;
  TaskExpanded: Refine<Wire<wire.TaskExpanded>, { items: readonly Json[] }>;
  TaskCompleted: Wire<wire.TaskCompleted>;
  TaskFailed: Wire<wire.TaskFailed>;
  TaskTimedOut: Wire<wire.TaskTimedOut>;
  TaskRetryScheduled: Wire<wire.TaskRetryScheduled>;
  TaskSkipped: Refine<Wire<wire.TaskSkipped>, { kind?: 'condition' | 'timeout' | 'origin' | 'incomplete' }>;
  TaskCancelled: Refine<Wire<wire.TaskCancelled>, { kind?: 'timeout' }>;
  TaskProgressed: Wire<wire.TaskProgressed>;
  TaskCarriedOver: Refine<Wire<wire.TaskCarriedOver>, { status: 'completed' | 'failed' | 'skipped' }>;
  TaskResultIgnored: Wire<wire.TaskResultIgnored>;
  StepStarted: Wire<wire.StepStarted>;
  StepCompleted: Wire<wire.StepCompleted>;
  StepFailed: Wire<wire.StepFailed>;
  StepSkipped: Wire<wire.StepSkipped>;
  ClarificationRequested: Wire<wire.ClarificationRequested>;
  ClarificationResponded: Wire<wire.ClarificationResponded>;
  ClarificationDelegated: Wire<wire.ClarificationDelegated>;
  ClarificationExpired: Wire<wire.ClarificationExpired>;
  ClarificationWithdrawn: Wire<wire.ClarificationWithdrawn>;
  ArtifactCreated: Refine<Wire<wire.ArtifactCreated>, { type: ArtifactType }>;
  ArtifactDeleted: Wire<wire.ArtifactDeleted>;
  ArtifactExpired: Wire<wire.ArtifactExpired>;
};

export type EventType = keyof EventData;

/** What an event says, without who, when and why: what the core decides and folds. */
export type Fact = { readonly [T in EventType]: { readonly type: T; readonly data: EventData[T] } }[EventType];

type Envelope = {
  /** RFC 3339, UTC, milliseconds; never before the previous event of the execution. */
  readonly at: string;
  /** `<key>#<fingerprint>` of a command that its client named, else a command id; `<task>/<attempt>` for what an attempt brought about. */
  readonly cause: string;
  readonly actor: string;
  readonly correlationId: string;
};

export type Event = Fact & Envelope;

const types: Record<EventType, true> = {
  ExecutionRequested: true,
  ExecutionPlanExtended: true,
  ExecutionStarted: true,
  ExecutionPaused: true,
  ExecutionResumed: true,
  ExecutionCancelRequested: true,
  ExecutionCommandSatisfied: true,
  ExecutionCompensationStarted: true,
  ExecutionCancelled: true,
  ExecutionCompleted: true,
  ExecutionFailed: true,
  ExecutionDeleted: true,
  ExecutionMetadataRecorded: true,
  SignalReceived: true,
  TaskStarted: true,
  TaskExpanded: true,
  TaskCompleted: true,
  TaskFailed: true,
  TaskTimedOut: true,
  TaskRetryScheduled: true,
  TaskSkipped: true,
  TaskCancelled: true,
  TaskProgressed: true,
  TaskCarriedOver: true,
  TaskResultIgnored: true,
  StepStarted: true,
  StepCompleted: true,
  StepFailed: true,
  StepSkipped: true,
  ClarificationRequested: true,
  ClarificationResponded: true,
  ClarificationDelegated: true,
  ClarificationExpired: true,
  ClarificationWithdrawn: true,
  ArtifactCreated: true,
  ArtifactDeleted: true,
  ArtifactExpired: true,
};

/** All event types this version knows. */
export const eventTypes = Object.keys(types) as readonly EventType[];

export const isEventType = (type: string): type is EventType => Object.hasOwn(types, type);

/** One message of the log; see commit.proto. */
export type Commit = {
  readonly id: string;
  readonly version: number;
  readonly previous: string;
  readonly events: readonly Event[];
};

/** `<execution>/<version>/<index>`: unique, stable, derivable; index counts from 0. */
export const eventId = (execution: string, version: number, index: number): string =>
  `${execution}/${version}/${index}`;

/**
 * True for the commit that ends a deleted execution. What stood before it is purged, now or later: it alone may follow a gap of versions,
 * or begin a history.
 */
export const isTombstone = ({ events }: { readonly events: readonly { readonly type: string }[] }): boolean =>
  events.length === 1 && events[0]?.type === 'ExecutionDeleted';

export type { JsonObject };
