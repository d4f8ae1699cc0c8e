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
