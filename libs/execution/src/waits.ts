import type { EventData, JsonObject, PlanTask } from '#libs/contracts';

type Wait = Pick<EventData['TaskStarted'], 'executor' | 'wakeAt' | 'signal' | 'event' | 'child'>;

/** Log sequence behind which an attempt begins, and the id of the execution that it is to be, where it is one. */
type Begin = { readonly after: number; readonly child: string | undefined };

const wakeAt = (input: JsonObject, now: number): string =>
  new Date(typeof input['until'] === 'string' ? Date.parse(input['until']) : now + Number(input['durationMs'] ?? 0)).toISOString();

const eventOf = (input: JsonObject, after: number): NonNullable<Wait['event']> => ({
  subject: input['subject'] as string,
  ...(input['match'] !== undefined && { match: input['match'] as JsonObject }),
  after,
});

const waits: Readonly<Record<string, (input: JsonObject, now: number, begin: Begin) => Omit<Wait, 'executor'>>> = {
  wait: (input, now) => ({ wakeAt: wakeAt(input, now) }),
  approval: () => ({}),
  event: (input, _now, { after }) => ({ event: eventOf(input, after) }),
  execution: (_input, _now, { child }) => (child === undefined ? {} : { child }),
  signal: (input) => ({ signal: input['name'] as string }),
};

/** True for a task in which nothing runs: it takes no executor's time, and ends by what comes, be it the time. */
export const isWait = ({ runner }: Pick<PlanTask, 'runner'>): boolean => Object.hasOwn(waits, runner);

/** What a task that starts at `now` waits for; undefined where an executor runs it. */
export const waitOf = ({ runner, input }: PlanTask, now: number, begin: Begin): Wait | undefined =>
  isWait({ runner }) ? { executor: '', ...waits[runner]?.(input, now, begin) } : undefined;
