import type { EventData, PlanTask } from '#libs/contracts';

export type TaskModel = {
  readonly plan: PlanTask;
  /** The task that it is a part of. */
  readonly whole: string | undefined;
  status: 'pending' | 'running' | 'completed' | 'failed' | 'skipped' | 'cancelled';
  attempt: number;
  failures: number;
  isLost: boolean;
  /** Its condition was false: what depends on it goes on. */
  isPassedOver: boolean;
  executor: string;
  notBefore: number;
  wakeAt: number | undefined;
  deadlineAt: number | undefined;
};

const endings: readonly string[] = ['completed', 'failed', 'skipped', 'cancelled'];

const endedWell = ({ status, isPassedOver }: TaskModel): boolean => status === 'completed' || isPassedOver;

/** Loops that are simulated end with the iteration that their condition names. */
const lastIteration = (until: string): number => Number(/^iteration >= (\d+)$/.exec(until)?.[1]);

export const isWhole = ({ forEach, loop }: PlanTask): boolean => forEach !== undefined || loop !== undefined;

/** The plans of the parts that an expansion brings. */
export const partsOf = ({ id, runner, input, compensates, retry, timeoutMs, heartbeatMs, onLost }: PlanTask, { first, count }: EventData['TaskExpanded']): readonly PlanTask[] =>
  Array.from({ length: count }, (_, n) => ({
    id: `${id}--${first + n}`,
    runner,
    input,
    dependsOn: [],
    onFailure: 'continue',
    ...(compensates !== undefined && { compensates }),
    ...(retry && { retry }),
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(heartbeatMs !== undefined && { heartbeatMs }),
    ...(onLost && { onLost }),
  }));

/** What is wrong with an expansion of a task that has these parts already. */
export function* ofExpansion({ plan, status }: TaskModel, parts: readonly TaskModel[], { first, count, items, notBefore }: EventData['TaskExpanded'], at: number): Generator<string> {
  const { id, forEach, loop } = plan;
  if (status !== 'running') yield `${id} is expanded while ${status}`;
  if (first !== parts.length) yield `${id} has ${parts.length} parts, and ${first} comes next`;
  if (forEach && (first !== 0 || JSON.stringify(items) !== JSON.stringify(forEach.items) || count !== items.length)) yield `${id} is done for ${JSON.stringify(items)}`;
  if (!loop) return;
  const last = parts.at(-1);
  if (count !== 1 || items.length > 0) yield `${id} turns ${count} times at once`;
  if (first >= loop.maxIterations) yield `${id} turns once too often`;
  if (last && !endedWell(last)) yield `${id} goes on although ${last.plan.id} is ${last.status}`;
  if (first > lastIteration(loop.until)) yield `${id} goes on although it is over`;
  const wanted = last && loop.delayMs ? at + loop.delayMs : undefined;
  if (wanted !== (notBefore === undefined ? undefined : Date.parse(notBefore))) yield `${id}--${first} is to start at ${notBefore}`;
}

/** What is wrong with the start of one of a task's parts. */
export function* ofStart({ plan: { id } }: TaskModel, whole: TaskModel, parts: readonly TaskModel[]): Generator<string> {
  const { forEach, loop } = whole.plan;
  const underWay = parts.filter(({ plan, status, attempt }) => plan.id !== id && (status === 'running' || (status === 'pending' && attempt > 0)));
  if (whole.status !== 'running') yield `${id} starts while ${whole.plan.id} is ${whole.status}`;
  if (underWay.length >= (loop ? 1 : (forEach?.concurrency ?? Infinity))) yield `${id} starts beside ${underWay.map(({ plan }) => plan.id).join(', ')}`;
  if (forEach?.failFast && parts.some(({ status }) => status === 'failed')) yield `${id} starts although another item has failed`;
}

/** What is wrong with how a task ends that has these parts. */
export function* ofWhole({ plan: { id, forEach, loop } }: TaskModel, parts: readonly TaskModel[], status: string): Generator<string> {
  const open = parts.filter((part) => !endings.includes(part.status));
  if (open.length > 0) yield `${id} is ${status} before ${open.map(({ plan }) => plan.id).join(', ')}`;
  const hasFailed = parts.some((part) => part.status === 'failed');
  const isExhausted = loop !== undefined && parts.length >= loop.maxIterations && parts.length <= lastIteration(loop.until);
  if (status === 'completed' && !parts.every(endedWell)) yield `${id} is completed, and not all of its parts are`;
  if (status === 'completed' && loop && parts.length !== lastIteration(loop.until) + 1) yield `${id} is completed after ${parts.length} iterations`;
  if (status === 'failed' && !hasFailed && !isExhausted) yield `${id} fails, and no part of it has`;
  if (forEach && hasFailed && status !== 'failed') yield `${id} is ${status}, and a part of it has failed`;
}
