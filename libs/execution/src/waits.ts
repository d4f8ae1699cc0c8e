import type { EventData, JsonObject, PlanTask } from '#libs/contracts';

type Wait = Pick<EventData['TaskStarted'], 'executor' | 'wakeAt' | 'signal'>;

const wakeAt = (input: JsonObject, now: number): string =>
  new Date(typeof input['until'] === 'string' ? Date.parse(input['until']) : now + Number(input['durationMs'] ?? 0)).toISOString();

const waits: Readonly<Record<string, (input: JsonObject, now: number) => Omit<Wait, 'executor'>>> = {
  wait: (input, now) => ({ wakeAt: wakeAt(input, now) }),
  approval: () => ({}),
  signal: (input) => ({ signal: input['name'] as string }),
};

/** True for a task in which nothing runs: it takes no executor's time, and ends by what comes, be it the time. */
export const isWait = ({ runner }: Pick<PlanTask, 'runner'>): boolean => Object.hasOwn(waits, runner);

/** What a task that starts at `now` waits for; undefined where an executor runs it. */
export const waitOf = ({ runner, input }: PlanTask, now: number): Wait | undefined =>
  isWait({ runner }) ? { executor: '', ...waits[runner]?.(input, now) } : undefined;
