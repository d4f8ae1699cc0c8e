import type { Event, Fact, Json, PlanTask } from '#libs/contracts';
import { type ChildEnd, type Command, type Context, Refused, type State, decide, fold, initial } from '#libs/execution';

/** When every specification happens: 2026-01-01T00:00:00Z plus the given milliseconds. */
export const T0 = Date.parse('2026-01-01T00:00:00.000Z');

export const iso = (ms: number): string => new Date(T0 + ms).toISOString();

export type Step = Command & { readonly at?: number; readonly cause?: string; readonly actor?: string };

/** A command at a time (milliseconds after T0), with a cause of its own. */
export const at = (ms: number, command: Command, cause?: string): Step => ({
  ...command,
  at: ms,
  ...(cause !== undefined && { cause }),
});

const contextOf = (step: Step, index: number): Context => ({
  now: T0 + (step.at ?? 0),
  cause: step.cause ?? `command-${index}`,
  actor: step.actor ?? 'specification',
  correlationId: 'specification',
});

const factOf = ({ type, data }: Event): Fact => ({ type, data }) as Fact;

type Outcome = {
  /** Exactly these facts, in order. */
  decides(...facts: readonly Fact[]): void;
  /** Facts of exactly these types, in order. */
  decidesTypes(...types: readonly Fact['type'][]): void;
  refuses(code: string): void;
  readonly state: () => State;
};

/** Commands that have been applied before; each must change something. */
export const given = (...steps: readonly Step[]): { when(step: Step): Outcome; readonly state: State } => {
  const state = steps.reduce((folded, step, index) => {
    const events = decide(step, folded, contextOf(step, index));
    if (events.length === 0) throw new Error(`step ${index} of the specification, ${step.type}, changes nothing`);
    return fold(folded, events);
  }, initial);
  return {
    state,
    when: (step) => {
      const decided = (): readonly Event[] => decide(step, state, contextOf(step, steps.length));
      return {
        decides: (...facts) => expect(decided().map(factOf)).toEqual(facts),
        decidesTypes: (...types) => expect(decided().map(({ type }) => type)).toEqual(types),
        refuses: (code) => {
          expect(decided).toThrow(Refused);
          expect(decided).toThrow(expect.objectContaining({ code }) as Error);
        },
        state: () => fold(state, decided()),
      };
    },
  };
};

/** A task of a plan; a command without dependencies unless told otherwise. */
export const task = (id: string, more: Partial<PlanTask> = {}): PlanTask => ({
  id,
  runner: 'command',
  input: {},
  dependsOn: [],
  ...more,
});

export const request = (tasks: readonly PlanTask[], more: { concurrency?: number; timeoutMs?: number; logArtifact?: boolean } = {}): Command => ({
  type: 'RequestExecution',
  plan: { name: 'plan', tasks, ...more },
  name: 'plan',
  labels: {},
  input: {},
  dialect: 'canonical',
});

export const start = (taskId: string, executor = 'one'): Command => ({ type: 'StartTask', taskId, executor });
/** A fan-out begins, for these items. */
export const startEach = (taskId: string, items: readonly Json[]): Command => ({ type: 'StartTask', taskId, executor: 'one', items });
/** What the condition of a loop says of the iteration that has ended. */
export const again = (taskId: string): Command => ({ type: 'DecideLoop', taskId, isOver: false });
export const over = (taskId: string): Command => ({ type: 'DecideLoop', taskId, isOver: true });
export const succeed = (taskId: string, attempt = 1, result = {}): Command => ({
  type: 'RecordOutcome',
  taskId,
  attempt,
  outcome: { ok: true, result },
});
export const fail = (taskId: string, attempt = 1, retryable = true, code = 'BROKEN'): Command => ({
  type: 'RecordOutcome',
  taskId,
  attempt,
  outcome: { ok: false, error: { code, message: 'it broke', retryable } },
});
export const lose = (taskId: string, attempt = 1): Command => ({ type: 'RecordLostAttempt', taskId, attempt });
export const pause: Command = { type: 'PauseExecution' };
export const resume: Command = { type: 'ResumeExecution' };
export const cancel = (mode: 'graceful' | 'immediate'): Command => ({ type: 'CancelExecution', mode });
export const signal = (name: string, payload = {}): Command => ({ type: 'SendSignal', name, payload });
/** The task's child has ended; it completed unless told otherwise. */
export const childEnded = (taskId: string, end: ChildEnd = { status: 'completed', result: {} }, attempt = 1): Command => ({ type: 'RecordChildEnd', taskId, attempt, end });
export const found = (taskId: string, event = {}, attempt = 1): Command => ({ type: 'RecordEvent', taskId, attempt, event });
/** The same, by somebody. */
export const by = (actor: string, step: Step): Step => ({ ...step, actor });
export const approve = (taskId: string, roles: readonly string[] = []): Command => ({ type: 'RespondToClarification', taskId, decision: 'approve', roles });
export const reject = (taskId: string, reason?: string): Command => ({
  type: 'RespondToClarification',
  taskId,
  decision: 'reject',
  roles: [],
  ...(reason !== undefined && { reason }),
});
export const delegate = (taskId: string, to: string): Command => ({ type: 'DelegateClarification', taskId, to, roles: [] });
export const advance: Command = { type: 'Advance' };
