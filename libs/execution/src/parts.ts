import type { Event, PlanTask } from '#libs/contracts';
import { PART_BYTES } from './limits.js';

const utf8 = new TextEncoder();
const sizeOf = (value: unknown): number => utf8.encode(JSON.stringify(value)).length;

/** How many of the tasks there is room for. */
const fitting = (tasks: readonly PlanTask[], room: number): number => {
  let left = room;
  const none = tasks.findIndex((task) => (left -= sizeOf(task) + 1) < 0);
  return none < 0 ? tasks.length : none;
};

const extensions = (tasks: readonly PlanTask[], first: number, { at, cause, actor, correlationId }: Event): readonly Event[] => {
  const parts: Event[] = [];
  for (let from = 0, to = 0; from < tasks.length; from = to) {
    to = from + Math.max(1, fitting(tasks.slice(from), PART_BYTES));
    parts.push({ type: 'ExecutionPlanExtended', at, cause, actor, correlationId, data: { tasks: tasks.slice(from, to), first: first + from } });
  }
  return parts;
};

/** Of what a request decides, that which tells the request itself; the rest follows from it. */
const tells = ({ type, data }: Event): boolean =>
  type === 'ExecutionPlanExtended' || type === 'TaskCarriedOver' || type === 'TaskStarted' || type === 'TaskExpanded' || (type === 'TaskSkipped' && data.kind === 'origin');

/**
 * What a request decides, or the rest of it, with events that bring PART_BYTES of tasks at most, or one task, each. Where a part begins follows from
 * the tasks before it alone: a request that was interrupted goes on with the parts that it would have had.
 */
export const inParts = ([first, ...others]: readonly Event[]): readonly Event[] => {
  if (first?.type === 'ExecutionPlanExtended') return [...extensions(first.data.tasks, first.data.first, first), ...others];
  if (first?.type !== 'ExecutionRequested') return first ? [first, ...others] : [];
  const { plan } = first.data;
  const count = fitting(plan.tasks, PART_BYTES - sizeOf({ ...first.data, plan: { ...plan, tasks: [] } }));
  const behind = [...extensions(plan.tasks.slice(count), count, first), ...others];
  const following = behind.filter(tells).length;
  if (following === 0) return [first, ...others];
  return [{ ...first, data: { ...first.data, plan: { ...plan, tasks: plan.tasks.slice(0, count) }, following } }, ...behind];
};
