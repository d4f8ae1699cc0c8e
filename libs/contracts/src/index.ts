export type { AuditRecord } from './audit.js';
export { BULK, type BulkAction, type BulkInput, type Selection } from './bulk.js';
export { harmless } from './harmless.js';
export { type Json, type JsonObject, type Refine, type Wire } from './json.js';
export { type Plan, type PlanTask, type RetryPolicy } from './plan.js';
export {
  type ArtifactType,
  type CancelMode,
  type Commit,
  type Event,
  type EventData,
  type EventType,
  type Fact,
  type Failure,
  artifactTypes,
  type Origin,
  type OriginKind,
  eventId,
  eventTypes,
  isEventType,
  isTombstone,
} from './events.js';
export {
  ENDED_TENANTS,
  EXPIRED,
  type ExecutionRef,
  QUERIES,
  REBUILD,
  SELECT,
  SHARDS,
  auditSubject,
  feedFilter,
  feedSubject,
  isToken,
  logSubject,
  outputFilter,
  outputSubject,
  parseLogSubject,
  rateSubject,
  shardFilter,
  shardOf,
} from './subjects.js';
export { type ExecutionStatus, type StepStatus, type TaskStatus } from './statuses.js';
export { schemaFault } from './schema.js';
export { parseTime } from './time.js';
