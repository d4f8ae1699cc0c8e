import type { EventData, PlanTask } from '#libs/contracts';
import { childId, childPlan } from './children.js';
import { type TaskState, hasEndedWell, isTerminal, pendingTask, released } from './task-state.js';
import type { TaskTable } from './task-table.js';

type Expansion = {
  readonly task: TaskState;
  readonly children: readonly TaskState[];
  readonly plans: readonly PlanTask[];
};

/** A task that is done by others from here on, of which as many may start as its plan lets be under way at once. */
export const expansionOf = (task: TaskState, plan: PlanTask, { first, count, items, notBefore }: EventData['TaskExpanded'], at: number): Expansion => {
  const plans = Array.from({ length: count }, (_, n) => childPlan(plan, first + n));
  const admitted = Math.min(count, plan.forEach?.concurrency ?? count);
  const retryAt = notBefore === undefined ? undefined : Date.parse(notBefore);
  const children = plans.map((child, n): TaskState => {
    const isAdmitted = n < admitted;
    const parent = { id: plan.id, index: first + n, item: items[n] };
    return { ...pendingTask(child, at), parent, waitingFor: isAdmitted ? 0 : 1, dueAt: isAdmitted ? (retryAt ?? at) : undefined, retryAt };
  });
  const whole = { ...task, children: { count: first + count, open: count, admitted: first + admitted, isStopped: false, isUndecided: false } };
  return { task: whole, children, plans };
};

/** What the end of a child changes: one fewer is open of its parent's; and the next one's turn comes, or that of none any more. */
export const afterChild = (tasks: TaskTable, { forEach, loop }: Partial<PlanTask>, parent: TaskState, child: TaskState, at: number): readonly (readonly [TaskState, TaskState])[] => {
  if (!parent.children) return [];
  const { count, open, admitted, isStopped } = parent.children;
  const stops = child.status === 'failed' && forEach?.failFast === true && !isStopped;
  const isUndecided = loop !== undefined && hasEndedWell(child);
  const sibling = (index: number): TaskState | undefined => tasks.get(childId(parent.id, index));
  // One that was carried over before its turn has none to hand on, and none to take.
  const hadTurn = (child.parent?.index ?? 0) < admitted;
  let turn = admitted;
  while (hadTurn && isTerminal(sibling(turn)?.status)) turn += 1;
  const children = { count, open: open - 1, admitted: hadTurn ? Math.min(count, turn + 1) : admitted, isStopped: isStopped || stops, isUndecided };
  const waiting = (index: number): readonly TaskState[] => {
    const task = sibling(index);
    return task?.status === 'pending' && task.brokenBy === undefined ? [task] : [];
  };
  const others = stops ? Array.from({ length: count }, (_, index) => index).flatMap(waiting) : hadTurn ? waiting(turn) : [];
  const changed = others.map((task) => [task, stops ? { ...task, waitingFor: task.waitingFor + 1, brokenBy: child.id } : released(task, at)] as const);
  return [[parent, { ...parent, children }], ...changed];
};

/** What keeps an item from another attempt that was decided on without knowing of the failure of another item: both had run out of time at once. */
export const stoppedItem = (tasks: TaskTable, task: TaskState | undefined): Partial<TaskState> | undefined => {
  const whole = task?.parent && tasks.get(task.parent.id)?.children;
  if (!task?.parent || !whole?.isStopped) return undefined;
  const { id } = task.parent;
  const items = Array.from({ length: whole.count }, (_, index) => childId(id, index));
  const brokenBy = items.find((item) => tasks.get(item)?.status === 'failed');
  return brokenBy === undefined ? undefined : { waitingFor: task.waitingFor + 1, brokenBy };
};
