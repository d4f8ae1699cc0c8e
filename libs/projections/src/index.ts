export {
  type ArtifactAnswer,
  type ArtifactChange,
  type ArtifactRef,
  type ArtifactUsage,
  type ArtifactView,
  type ArtifactsAnswer,
  type ArtifactsQuery,
  type DueAnswer,
  type DueArtifact,
  type DueQuery,
  type KnownAnswer,
  type KnownQuery,
  type StoredArtifact,
  artifactChange,
  artifactOf,
  artifactQueries,
} from './artifacts.js';
export { feedEvent } from './feed-event.js';
export { ExecutionView } from './execution-view.js';
export { type Moment } from './moments.js';
export {
  type Answer,
  type AtLeast,
  type Durations,
  type ExpiredAnswer,
  type ExpiredQuery,
  type Head,
  type HeadsAnswer,
  type HeadsQuery,
  type ListAnswer,
  type ListQuery,
  type Loss,
  type PendingAnswer,
  type PendingQuery,
  type ProjectionInfo,
  type ProjectionsAnswer,
  type QueryRefusal,
  type Rebuild,
  type RebuildPhase,
  type RebuildQuery,
  type SelectAnswer,
  type StatsAnswer,
  type TenantsAnswer,
  type UsageAnswer,
  queries,
} from './queries.js';
export {
  type AnswerView,
  type ClarificationView,
  type ExecutionDetail,
  type ExecutionSummary,
  type StepView,
  type TaskView,
  type WaitsFor,
} from './views.js';
export { type Row, clarificationOf, detailOf, summaryOf, tasksOf } from './rows.js';
export { type Counted, type Scope, type StatsStore, bucketOf, countEvent, msOf } from './stats.js';
export { type StatusChange, statusChanges } from './status.js';
export { type EndedBy, type Wait } from './wait.js';
export { type Why, whyOf } from './why.js';
