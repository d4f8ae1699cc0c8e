export {
  type ChildEnd,
  type ClientCommand,
  type Command,
  type Context,
  type OwnerCommand,
  type StepProgress,
  type TaskOutcome,
  keyedCause,
} from './commands.js';
export { LOG_ARTIFACT, type NewArtifact, lacksLog } from './artifacts.js';
export { childId, childIds, isExpanded } from './children.js';
export { type Clarification, countOf, whyNot } from './clarifications.js';
export { type Decision, decide, decision } from './decide.js';
export { refusalOf } from './deletion.js';
export { evolve, fold } from './evolve.js';
export { illegality } from './legality.js';
export {
  MAX_ARTIFACTS,
  MAX_DURATION_MS,
  MAX_EVENTS,
  MAX_ITEMS,
  MAX_ITEMS_BYTES,
  MAX_ITERATIONS,
  MAX_SIGNALS,
  MAX_SIGNAL_BYTES,
  MAX_TASKS,
  REQUEST_WITHIN_MS,
} from './limits.js';
export { type Next, mustStop, next, runningAttempts } from './next.js';
export { type Expression, type ExpressionRules } from './plan-expressions.js';
export { stepIdOf } from './outcome.js';
export { inParts } from './parts.js';
export { type PlanProblem } from './plan-faults.js';
export { type RunnerInputs, parsePlan } from './plan.js';
export { Refused, type RefusalCode } from './refused.js';
export { type Signal } from './signals.js';
export { type Succession, successorOf } from './succession.js';
export { mayStart, startBy, startable } from './starting.js';
export { type Deletion, type State, initial, remainsOf } from './state.js';
export { type SubExecution, subExecutionsOf, endOf, isSubExecution, ownInput, planOfChild } from './sub-executions.js';
export { type Children, type TaskProgress, type TaskState, isBusy, isTerminal } from './task-state.js';
export { isWait } from './waits.js';
