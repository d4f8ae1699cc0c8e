import type { Event, EventData, Fact, JsonObject, Origin, OriginKind, PlanTask } from '#libs/contracts';
import { childId, expanded } from './children.js';
import type { ClientCommand } from './commands.js';
import { refusalOf } from './deletion.js';
import { fold } from './evolve.js';
import { Refused } from './refused.js';
import { type State, initial } from './state.js';
import { endedWell, isTerminal } from './task-state.js';

/** An execution as far as its successor is to know it: all events up to `sequence`, the log sequence of the last commit that counts. */
type Predecessor = { readonly execution: string; readonly sequence: number; readonly events: readonly Event[] };

/**
 * How it is carried on. retry: what did not end well runs anew. rerun: so does `task`, with all that depends on it. fork: the successor goes its
 * own way beside it, with another input and other labels where these are given.
 */
export type Succession =
  | { readonly kind: 'retry' }
  | { readonly kind: 'rerun'; readonly task: string }
  | { readonly kind: 'fork'; readonly input?: JsonObject; readonly labels?: Readonly<Record<string, string>> };

/** What ended a task, with the execution and attempt that it ended in. */
type End = { readonly from: string; readonly attempt: number; readonly why: string | undefined };

/** By task, in the order in which they ended. */
const endsOf = ({ execution, events }: Predecessor): ReadonlyMap<string, End> => {
  const ends = new Map<string, End>();
  for (const { type, data } of events) {
    if (type === 'TaskCarriedOver') ends.set(data.taskId, { from: data.from, attempt: data.attempt, why: data.why });
    else if (type === 'TaskCompleted') ends.set(data.taskId, { from: execution, attempt: data.attempt, why: undefined });
    else if (type === 'TaskSkipped') ends.set(data.taskId, { from: execution, attempt: 0, why: data.why });
    else if ((type === 'TaskFailed' || type === 'TaskTimedOut') && data.final) ends.set(data.taskId, { from: execution, attempt: data.attempt, why: undefined });
  }
  return ends;
};

const mustSucceed = (state: State, { execution }: Predecessor, how: Succession): void => {
  if (state.status === undefined) throw new Refused('EXECUTION_NOT_FOUND', 'no such execution; check id and tenant');
  if (state.deleted) throw refusalOf(state.deleted);
  if (state.plan.tasks.some(({ runner }) => runner === 'bulk')) {
    throw new Refused('BULK_NOT_CARRIED_ON', `${execution} is a bulk operation, and what it did would be done twice; ask for another one with the same filter`);
  }
  if (state.incomplete) {
    const why = how.kind === 'fork' ? 'was not there as a whole then; fork it at a later log sequence, or request it again' : 'was never there as a whole; request it again';
    throw new Refused('PLAN_INCOMPLETE', `the plan of ${execution} ${why}`);
  }
  if (how.kind === 'fork') return;
  if (!isTerminal(state.status)) {
    throw new Refused('EXECUTION_NOT_ENDED', `${execution} is ${state.status}, and a ${how.kind} would do its work beside it; wait for its end, cancel it, or fork it`);
  }
  if (how.kind === 'retry' && state.status === 'completed') {
    throw new Refused('NOTHING_TO_RETRY', `${execution} completed; rerun it from a task, or fork it with another input`);
  }
  if (how.kind !== 'rerun') return;
  const plan = state.graph.task.get(how.task);
  if (!plan) throw new Refused('TASK_NOT_FOUND', `the plan of ${execution} has no task '${how.task}'`);
  const { parent } = state.tasks.get(how.task) ?? {};
  if (parent) throw new Refused('TASK_NOT_FOUND', `task '${how.task}' is a part of '${parent.id}'; name that`);
  if (plan.compensates !== undefined) throw new Refused('TASK_NOT_FOUND', `task '${how.task}' only undoes '${plan.compensates}'; name one that does something`);
};

/** A compensation that was begun has undone something, whatever became of it. */
const isUndone = ({ graph, tasks }: State, id: string): boolean => (tasks.get(graph.compensations.get(id) ?? '')?.attempt ?? 0) > 0;

/** Tasks that run anew: those that did not end well, or are undone, or are asked for, and whatever depends on one of them. */
const anew = (state: State, how: Succession): ReadonlySet<string> => {
  const found = new Set<string>();
  const add = (id: string): void => void found.add(id);
  for (const plan of state.plan.tasks) {
    const task = state.tasks.get(plan.id);
    if (!task || plan.compensates !== undefined || !endedWell(task, plan) || isUndone(state, plan.id)) add(plan.id);
  }
  if (how.kind === 'rerun') add(how.task);
  // What is added on the way is come by, too.
  for (const id of found) state.graph.dependents.get(id)?.forEach(add);
  return found;
};

/** Compensations of what is another execution's to undo. */
const foreign = ({ events }: Predecessor): ReadonlySet<string> =>
  new Set(events.flatMap(({ type, data }) => (type === 'TaskSkipped' && data.kind === 'origin' ? [data.taskId] : [])));

const over = (state: State, taskId: string, { from, attempt, why }: End): Fact => {
  const { status, result, error } = state.tasks.get(taskId) ?? {};
  const data: EventData['TaskCarriedOver'] = {
    taskId,
    status: status as EventData['TaskCarriedOver']['status'],
    from,
    attempt,
    ...(result && { result }),
    ...(error && { error }),
    ...(why !== undefined && { why }),
  };
  return { type: 'TaskCarriedOver', data };
};

/** Whether an item that is done may stay so: not once the whole was undone, nor where it would be undone by who has not done it. */
const keepsItems = (state: State, { id }: PlanTask, how: Succession): boolean => !isUndone(state, id) && !(how.kind === 'fork' && state.graph.compensations.has(id));

/**
 * Of a task that is done for each item and did not end well: begun again for the same items, without those that are done. What it depends on is
 * the same, so its items are.
 */
const itemsOver = (state: State, again: ReadonlySet<string>, how: Succession, ends: ReadonlyMap<string, End>): readonly Fact[] => {
  if (how.kind === 'fork' && (how.input !== undefined || how.labels !== undefined)) return [];
  return state.plan.tasks.flatMap((plan): readonly Fact[] => {
    const { children } = state.tasks.get(plan.id) ?? {};
    const isOwnFault = plan.forEach !== undefined && plan.compensates === undefined && again.has(plan.id) && !plan.dependsOn.some((id) => again.has(id));
    if (!children || !isOwnFault || !keepsItems(state, plan, how) || (how.kind === 'rerun' && how.task === plan.id)) return [];
    const items = Array.from({ length: children.count }, (_, index) => state.tasks.get(childId(plan.id, index)));
    const done = items.flatMap((item) => {
      const end = item?.status === 'completed' ? ends.get(item.id) : undefined;
      return item && end ? [over(state, item.id, end)] : [];
    });
    const facts: readonly Fact[] = [
      { type: 'TaskStarted', data: { taskId: plan.id, attempt: 1, executor: '' } },
      expanded(plan, { attempt: 1, first: 0, count: children.count, items: items.map((item) => item?.parent?.item ?? null) }),
      ...done,
    ];
    return done.length === 0 ? [] : facts;
  });
};

/** In the order in which they ended, as what is to be undone later goes by that. */
const carriedOver = (state: State, predecessor: Predecessor, how: Succession): readonly Fact[] => {
  const [again, left, ends] = [anew(state, how), foreign(predecessor), endsOf(predecessor)];
  // Items and iterations are carried over with what they are parts of.
  const carried = [...ends].filter(([id]) => state.tasks.get(id)?.parent === undefined && !again.has(id));
  const whole = carried.flatMap(([taskId, end]): readonly Fact[] => {
    const compensation = state.graph.compensations.get(taskId);
    const fact = over(state, taskId, end);
    // The execution that did it goes on beside a fork, or has ended with it done: it is not the fork's to undo, nor that of what carries on the fork.
    const isForeign = compensation !== undefined && (how.kind === 'fork' || left.has(compensation));
    if (!isForeign) return [fact];
    return [fact, { type: 'TaskSkipped', data: { taskId: compensation, why: `'${taskId}' is left to ${end.from}, where it was done`, kind: 'origin' } }];
  });
  return [...whole, ...itemsOver(state, again, how, ends)];
};

/**
 * The request of an execution that carries another one on. Throws Refused EXECUTION_NOT_FOUND, EXECUTION_NOT_ENDED, NOTHING_TO_RETRY,
 * BULK_NOT_CARRIED_ON, PLAN_INCOMPLETE, TASK_NOT_FOUND, EXECUTION_DELETED, EVENT_UNKNOWN.
 */
export const successorOf = (predecessor: Predecessor, how: Succession): Extract<ClientCommand, { readonly type: 'RequestExecution' }> => {
  const state = fold(initial, predecessor.events);
  mustSucceed(state, predecessor, how);
  const { plan, name, dialect } = state;
  const { input = state.input, labels = state.labels } = how.kind === 'fork' ? how : {};
  const kind: OriginKind = how.kind;
  const origin: Origin = { execution: predecessor.execution, kind, sequence: predecessor.sequence, ...(how.kind === 'rerun' && { task: how.task }) };
  return { type: 'RequestExecution', plan, name, labels, input, dialect, origin, carried: carriedOver(state, predecessor, how) };
};
