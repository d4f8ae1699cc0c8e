import type { EventData, Fact, Failure, Json, JsonObject, PlanTask } from '#libs/contracts';
import { MAX_EVENTS, MAX_ITEMS, MAX_ITEMS_BYTES, MAX_TASKS, MAX_TASK_RESULT_BYTES } from './limits.js';
import type { State } from './state.js';
import { type TaskState, bytesOf, hasEndedWell, isTerminal } from './task-state.js';

/** Failed items that an error names. */
const NAMED = 5;
const NAMED_LENGTH = 200;

export const childId = (id: string, index: number | '*'): string => `${id}--${index}`;

/** The tasks that an expansion brings. */
export const childIds = ({ taskId, first, count }: Pick<EventData['TaskExpanded'], 'taskId' | 'first' | 'count'>): readonly string[] =>
  Array.from({ length: count }, (_, n) => childId(taskId, first + n));

/** True for a task that is done by others, one for each item or iteration; nothing runs in it. */
export const isExpanded = ({ forEach, loop }: Pick<PlanTask, 'forEach' | 'loop'>): boolean => forEach !== undefined || loop !== undefined;

/** A child is its parent, but for what decides when that starts; one that fails is the parent's to judge. */
export const childPlan = ({ forEach: _forEach, loop: _loop, when: _when, ...plan }: PlanTask, index: number): PlanTask => ({
  ...plan,
  id: childId(plan.id, index),
  dependsOn: [],
  onFailure: 'continue',
});

/** The tasks that a task is done by come to be. */
export const expanded = ({ id: taskId, runner }: PlanTask, data: Omit<EventData['TaskExpanded'], 'taskId' | 'runner'>): Fact => ({
  type: 'TaskExpanded',
  data: { taskId, runner, ...data },
});

const failed = (taskId: string, attempt: number, error: Failure, result?: JsonObject): Fact => ({
  type: 'TaskFailed',
  data: { taskId, attempt, error, final: true, ...(result && { result }) },
});

const faultOf = ({ tasks }: State, count: number, items: readonly Json[]): Failure | undefined => {
  const fault = (code: string, message: string): Failure => ({ code, message, retryable: false });
  if (count > MAX_ITEMS) return fault('TOO_MANY_ITEMS', `${count} items; at most ${MAX_ITEMS} are allowed: have each of them stand for several`);
  const bytes = bytesOf(items);
  if (bytes > MAX_ITEMS_BYTES) return fault('ITEMS_TOO_LARGE', `items of ${bytes} bytes; at most ${MAX_ITEMS_BYTES} are allowed: have them name what is large`);
  if (tasks.size + count <= MAX_TASKS) return undefined;
  return fault('TOO_MANY_TASKS', `the execution has ${tasks.size} tasks; at most ${MAX_TASKS} are allowed, those of items and iterations included: split the plan`);
};

/** How a task begins that is done by others: for these items, or with its first iteration. */
export const begin = (state: State, plan: PlanTask, attempt: number, items: readonly Json[]): readonly Fact[] => {
  const count = plan.forEach ? items.length : 1;
  const fault = faultOf(state, count, items);
  if (fault) return [failed(plan.id, attempt - 1, fault)];
  return [{ type: 'TaskStarted', data: { taskId: plan.id, attempt, executor: '' } }, expanded(plan, { attempt, first: 0, count, items: plan.forEach ? items : [] })];
};

const childrenOf = (state: State, { id, children }: TaskState): readonly TaskState[] =>
  Array.from({ length: children?.count ?? 0 }, (_, index) => state.tasks.get(childId(id, index))).filter((child) => child !== undefined);

const cancelled = ({ id: taskId, attempt }: TaskState, kind: { readonly kind?: 'timeout' }): Fact => ({ type: 'TaskCancelled', data: { taskId, attempt, ...kind } });

/** All results or none: who goes through a list that is cut would not see it. */
const resultOf = (children: readonly TaskState[]): JsonObject => {
  const indices = children.flatMap(({ status }, index) => (status === 'failed' ? [index] : []));
  const summary = { count: children.length, ...(indices.length > 0 && { failed: indices }) };
  const whole = { ...summary, results: children.map(({ status, result }) => (status === 'completed' ? (result ?? {}) : null)) };
  return bytesOf(whole) <= MAX_TASK_RESULT_BYTES ? whole : { ...summary, resultsOmitted: true };
};

const itemsFailed = (children: readonly TaskState[]): Failure => {
  const failures = children.filter(({ status }) => status === 'failed');
  const named = failures.slice(0, NAMED).map(({ parent, error }) => `item ${parent?.index}: ${(error?.message ?? '').slice(0, NAMED_LENGTH)}`);
  const more = failures.length > NAMED ? `; and ${failures.length - NAMED} more` : '';
  const message = `${failures.length} of ${children.length} items failed: ${named.join('; ')}${more}`;
  return { code: 'ITEMS_FAILED', message, retryable: failures.every(({ error }) => error?.retryable === true) };
};

const joinItems = (state: State, task: TaskState, kind: { readonly kind?: 'timeout' }): Fact => {
  const { id: taskId, attempt } = task;
  const children = childrenOf(state, task);
  if (children.some(({ status }) => status === 'failed')) return failed(taskId, attempt, itemsFailed(children), resultOf(children));
  if (!children.every(hasEndedWell)) return cancelled(task, kind);
  return { type: 'TaskCompleted', data: { taskId, attempt, result: resultOf(children) } };
};

/** How many iterations have ended well, and what came of the last of them. */
const progressOf = (state: State, { id, children }: TaskState): { readonly count: number; readonly result: JsonObject } => {
  const ended = children?.count ?? 0;
  const last = state.tasks.get(childId(id, ended - 1));
  const count = last && hasEndedWell(last) ? ended : ended - 1;
  return { count, result: state.tasks.get(childId(id, count - 1))?.result ?? {} };
};

const joinIterations = (state: State, task: TaskState, kind: { readonly kind?: 'timeout' }): Fact => {
  const progress = progressOf(state, task);
  const last = state.tasks.get(childId(task.id, progress.count));
  if (last?.status !== 'failed') return cancelled(task, kind);
  const { message = '', retryable = false } = last.error ?? {};
  return failed(task.id, task.attempt, { code: 'ITERATION_FAILED', message: `iteration ${progress.count} failed: ${message}`, retryable }, progress);
};

/** How a task ends all of whose children have; `kind` says why they could not go on. */
export const join = (state: State, task: TaskState, kind: { readonly kind?: 'timeout' } = {}): Fact =>
  state.graph.task.get(task.id)?.loop ? joinIterations(state, task, kind) : joinItems(state, task, kind);

/**
 * True for a loop of which an iteration has ended well: its owner is to say whether that was the last. Nothing runs for that, so that it is asked also in a pause and before the
 * execution comes to its end: what was done is undone only where it is known to be.
 */
export const isUndecided = ({ status, cancel, events }: State, task: TaskState): boolean =>
  task.children?.isUndecided === true && task.status === 'running' && !isTerminal(status) && cancel?.mode !== 'immediate' && events < MAX_EVENTS;

/** What follows an iteration that ended well, by what the loop's condition says of it; `ending` where no other one may begin. */
export const decideLoop = (state: State, { taskId, isOver }: { readonly taskId: string; readonly isOver: boolean }, now: number, ending?: { readonly kind?: 'timeout' }): readonly Fact[] => {
  const [task, plan] = [state.tasks.get(taskId), state.graph.task.get(taskId)];
  if (!task || !plan?.loop || !isUndecided(state, task)) return [];
  const { attempt, children } = task;
  const { until, maxIterations, delayMs = 0 } = plan.loop;
  const progress = progressOf(state, task);
  if (isOver) return [{ type: 'TaskCompleted', data: { taskId, attempt, result: progress } }];
  if (progress.count >= maxIterations) {
    const message = `not over after ${maxIterations} iterations, as this is still false: ${until}; allow for more with maxIterations`;
    return [failed(taskId, attempt, { code: 'LOOP_EXHAUSTED', message, retryable: false }, progress)];
  }
  if (ending) return [cancelled(task, ending)];
  const fault = faultOf(state, 1, []);
  if (fault) return [failed(taskId, attempt, fault, progress)];
  const notBefore = delayMs > 0 ? { notBefore: new Date(now + delayMs).toISOString() } : {};
  return [expanded(plan, { attempt, first: children?.count ?? 0, count: 1, items: [], ...notBefore })];
};
