import type { EventData, JsonObject, PlanTask } from '#libs/contracts';

type Wait = Pick<EventData['TaskStarted'], 'executor' | 'wakeAt' | 'signal' | 'event'>;

const wakeAt = (input: JsonObject, now: number): string =>
  new Date(typeof input['until'] === 'string' ? Date.parse(input['until']) : now + Number(input['durationMs'] ?? 0)).toISOString();

const eventOf = (input: JsonObject, after: number): NonNullable<Wait['event']> => ({
  subject: input['subject'] as string,
  ...(input['match'] !== undefined && { match: input['match'] as JsonObject }),
  after,
});

const waits: Readonly<Record<string, (input: JsonObject, now: number, after: number) => Omit<Wait, 'executor'>>> = {
  wait: (input, now) => ({ wakeAt: wakeAt(input, now) }),
  approval: () => ({}),
  event: (input, _now, after) => ({ event: eventOf(input, after) }),
  signal: (input) => ({ signal: input['name'] as string }),
};

/** True for a task in which nothing runs: it takes no executor's time, and ends by what comes, be it the time. */
export const isWait = ({ runner }: Pick<PlanTask, 'runner'>): boolean => Object.hasOwn(waits, runner);

/** What a task that starts at `now`, behind log sequence `after`, waits for; undefined where an executor runs it. */
export const waitOf = ({ runner, input }: PlanTask, now: number, after: number): Wait | undefined =>
  isWait({ runner }) ? { executor: '', ...waits[runner]?.(input, now, after) } : undefined;
