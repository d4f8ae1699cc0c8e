export { type Committed, feedEvent } from './feed-event.js';
export { detailOf, tasksOf } from './from-state.js';
export {
  type Answer,
  type Durations,
  type ExecutionDetail,
  type ExecutionSummary,
  type ListAnswer,
  type ListQuery,
  type StatsAnswer,
  type StepView,
  type TaskView,
  queries,
} from './queries.js';
export { type Live, type Minute, type Scope, type StatsStore, bucketOf, countEvent, msOf } from './stats.js';
export { type StatusChange, statusChanges } from './status.js';
