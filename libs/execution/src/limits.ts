/** Tasks of one execution. */
export const MAX_TASKS = 10_000;
/** Plans within one another, the outermost included. */
export const MAX_PLAN_DEPTH = 8;
/** Bytes of JSON of tasks that one event brings of a plan that one commit has not room enough for. Another number would part plans otherwise, also those of requests that are under way. */
export const PART_BYTES = 192 * 1024;
/** A request of which a part is missing is given up when nothing more of it has come for so long, in milliseconds. */
export const REQUEST_WITHIN_MS = 60_000;
/** Events of one execution; past it the execution fails with HISTORY_LIMIT, with room for what that takes. */
export const MAX_EVENTS = 50_000;
/** Events that one decision adds of itself; what is left follows in further commits. */
export const MAX_CONSEQUENCES = 200;
/** Attempts of one task that may be lost with their executor before the task fails. */
export const MAX_LOSSES = 10;
/** Keys of an execution's metadata, and how often they may be given a value; what is more is not recorded. */
export const MAX_METADATA = { keys: 100, changes: 1_000 } as const;
/** Steps of one attempt; later ones are not recorded. */
export const MAX_STEPS = 1_000;
/** TaskResultIgnored events of one execution. */
export const MAX_IGNORED = 20;
/** Artifacts that one execution has at a time. */
export const MAX_ARTIFACTS = 1_000;
/** Signals of one execution that no task has taken yet. */
export const MAX_SIGNALS = 100;
/** Bytes of JSON that one signal may carry. */
export const MAX_SIGNAL_BYTES = 16 * 1024;
/** Times that one clarification may be delegated. */
export const MAX_DELEGATIONS = 100;
/** Items of one fan-out. */
export const MAX_ITEMS = 1_000;
/** Bytes of JSON of all of them. */
export const MAX_ITEMS_BYTES = 128 * 1024;
/** Iterations of one loop. */
export const MAX_ITERATIONS = 1_000;
/** Bytes of JSON that the results of a fan-out's items may take in its own. */
export const MAX_TASK_RESULT_BYTES = 32 * 1024;
/** Bytes of JSON that ExecutionCompleted carries of its tasks' results. */
export const MAX_RESULT_BYTES = 64 * 1024;
/** Longest wait that a Retry-After brings about where the plan sets no maximum. */
export const MAX_RETRY_AFTER_MS = 3_600_000;
/** Longest timeout, delay or wait in milliseconds: 366 days. */
export const MAX_DURATION_MS = 366 * 24 * 3_600_000;
