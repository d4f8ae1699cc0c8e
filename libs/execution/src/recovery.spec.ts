import fc from 'fast-check';
import type { Event, Plan, PlanTask } from '#libs/contracts';
import { type Command, type Context, Refused, type State, decide, fold, initial, isTerminal, next, runningAttempts } from './index.js';

type Log = readonly (readonly Event[])[];

const ids = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];

/** Graphs of up to eight tasks; each may depend on tasks before it. */
const plans: fc.Arbitrary<Plan> = fc
  .array(
    fc.record({
      runner: fc.constantFrom('command', 'command', 'wait'),
      edges: fc.array(fc.nat(7), { maxLength: 3 }),
      maxAttempts: fc.integer({ min: 1, max: 3 }),
      timeoutMs: fc.option(fc.integer({ min: 1, max: 500 }), { nil: undefined }),
      onFailure: fc.constantFrom('skip' as const, 'stop' as const, 'continue' as const),
      onLost: fc.constantFrom('retry' as const, 'fail' as const),
    }),
    { minLength: 1, maxLength: 8 },
  )
  .chain((drafts) =>
    fc.record({
      tasks: fc.constant(
        drafts.map(
          ({ runner, edges, maxAttempts, timeoutMs, onFailure, onLost }, i): PlanTask => ({
            id: ids[i]!,
            runner,
            input: runner === 'wait' ? { durationMs: 50 } : {},
            dependsOn: [...new Set(edges.filter((edge) => edge < i))].map((edge) => ids[edge]!),
            retry: { maxAttempts, backoff: 'fixed', delayMs: 20 },
            ...(timeoutMs !== undefined && { timeoutMs }),
            onFailure,
            onLost,
          }),
        ),
      ),
      concurrency: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }),
      timeoutMs: fc.option(fc.integer({ min: 50, max: 2_000 }), { nil: undefined }),
    }),
  )
  .map(({ tasks, concurrency, timeoutMs }) => ({
    name: 'generated',
    tasks,
    ...(concurrency !== undefined && { concurrency }),
    ...(timeoutMs !== undefined && { timeoutMs }),
  }));

const moves = fc.constantFrom(
  ...(['start', 'start', 'start', 'succeed', 'fail', 'fail', 'crash', 'lose', 'sleep', 'sleep', 'advance', 'step', 'rewind'] as const),
  ...(['pause', 'resume', 'graceful', 'immediate', 'late'] as const),
);
type Move = { readonly kind: string; readonly pick: number };

/** One execution and what has been committed of it. */
class World {
  state: State = initial;
  now = 1_000_000;
  readonly log: Event[][] = [];
  private commands = 0;

  constructor(log: Log = []) {
    for (const commit of log) {
      this.state = fold(this.state, commit);
      this.log.push([...commit]);
    }
    this.now = Math.max(this.now, this.state.at);
  }

  /** Decides; what comes of it is one commit. Refusals are part of the game. */
  tell(command: Command): void {
    const context: Context = { now: this.now, cause: `c${this.commands++}`, actor: 'test', correlationId: 'test' };
    try {
      const events = decide(command, this.state, context);
      if (events.length === 0) return;
      this.log.push([...events]);
      this.state = fold(this.state, events);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
    }
  }

  attempts(): ReturnType<typeof runningAttempts> {
    return runningAttempts(this.state).filter(({ executor }) => executor !== '');
  }

  move({ kind, pick }: Move, executor: string): void {
    const { start, wakeAt } = next(this.state, this.now);
    const running = this.attempts();
    const { taskId = 'a', attempt = 1 } = running[pick % Math.max(1, running.length)] ?? {};
    const failed = (retryable: boolean): Command => ({
      type: 'RecordOutcome',
      taskId,
      attempt,
      outcome: { ok: false, error: { code: 'BROKEN', message: 'it broke', retryable } },
    });
    const waiting = start[pick % Math.max(1, start.length)];
    if (kind === 'start' && waiting !== undefined) this.tell({ type: 'StartTask', taskId: waiting, executor });
    if (kind === 'succeed') this.tell({ type: 'RecordOutcome', taskId, attempt, outcome: { ok: true, result: { n: pick } } });
    if (kind === 'fail') this.tell(failed(true));
    if (kind === 'crash') this.tell(failed(false));
    if (kind === 'late') this.tell({ type: 'RecordOutcome', taskId: 'a', attempt: 1, outcome: { ok: true, result: {} } });
    if (kind === 'lose') this.tell({ type: 'RecordLostAttempt', taskId, attempt });
    if (kind === 'step') this.tell({ type: 'RecordStep', taskId, attempt, step: { kind: 'started', name: 's', metadata: {} } });
    if (kind === 'sleep') this.now = Math.max(this.now + 1, wakeAt ?? 0);
    if (kind === 'rewind') this.now -= 10_000;
    if (kind === 'advance') this.tell({ type: 'Advance' });
    if (kind === 'pause') this.tell({ type: 'PauseExecution' });
    if (kind === 'resume') this.tell({ type: 'ResumeExecution' });
    if (kind === 'graceful' || kind === 'immediate') this.tell({ type: 'CancelExecution', mode: kind });
  }
}

const logs: fc.Arbitrary<Log> = fc
  .record({ plan: plans, moves: fc.array(fc.record({ kind: moves, pick: fc.nat(20) }), { maxLength: 80 }) })
  .map(({ plan, moves: played }) => {
    const world = new World();
    world.tell({ type: 'RequestExecution', plan, name: 'generated', labels: {}, input: {}, dialect: 'canonical' });
    for (const move of played) world.move(move, 'first');
    return world.log;
  });

/** What an owner does that knows nothing but the log: whatever the dead executor ran is lost, whatever it runs itself ends. */
const recover = (prefix: Log): World => {
  const world = new World(prefix);
  for (const { taskId, attempt } of world.attempts()) world.tell({ type: 'RecordLostAttempt', taskId, attempt });
  for (let round = 0; round < 500 && !isTerminal(world.state.status); round++) {
    if (world.state.status === 'paused') world.tell({ type: 'ResumeExecution' });
    const due = next(world.state, world.now);
    if (due.advance) world.tell({ type: 'Advance' });
    for (const taskId of due.start) world.tell({ type: 'StartTask', taskId, executor: 'second' });
    for (const { taskId, attempt } of world.attempts()) {
      world.tell({ type: 'RecordOutcome', taskId, attempt, outcome: { ok: true, result: {} } });
    }
    if (!due.advance && due.start.length === 0 && due.wakeAt !== undefined) world.now = Math.max(world.now, due.wakeAt);
  }
  return world;
};

const expectedEnd = (state: State): string => {
  if (state.cancel) return 'cancelled';
  const failed = [...state.tasks.values()].some(
    ({ id, status }) => status === 'failed' && state.graph.task.get(id)?.onFailure !== 'continue',
  );
  return failed || state.reason?.code === 'EXECUTION_TIMED_OUT' ? 'failed' : 'completed';
};

describe('every generated log', () => {
  it('is driven to a correct end from every prefix of it', () => {
    fc.assert(
      fc.property(logs, (log) => {
        for (let length = 1; length <= log.length; length++) {
          const { state } = recover(log.slice(0, length));
          expect(state.status).toBe(expectedEnd(state));
          for (const task of state.tasks.values()) expect(isTerminal(task.status)).toBe(true);
          expect([state.open, state.running]).toEqual([0, 0]);
        }
      }),
      { numRuns: 600 },
    );
  });

  it('says nothing after its end but that a result came too late, and time never runs backwards in it', () => {
    fc.assert(
      fc.property(logs, (log) => {
        const events = log.flat();
        const end = events.findIndex(({ type }) => /^Execution(Completed|Failed|Cancelled)$/.test(type));
        if (end >= 0) expect(events.slice(end + 1).every(({ type }) => type === 'TaskResultIgnored')).toBe(true);
        const times = events.map(({ at }) => Date.parse(at));
        expect(times).toEqual(times.toSorted((a, b) => a - b));
      }),
      { numRuns: 1_000 },
    );
  });

  it('starts a task only after what it depends on ended well, within its attempts and the concurrency of the plan', () => {
    fc.assert(
      fc.property(logs, (log) => {
        let state = initial;
        for (const event of log.flat()) {
          if (event.type === 'TaskStarted') {
            const plan = state.graph.task.get(event.data.taskId);
            for (const id of plan?.dependsOn ?? []) {
              const { status } = state.tasks.get(id) ?? {};
              const passed = status === 'failed' && state.graph.task.get(id)?.onFailure === 'continue';
              expect(status === 'completed' || passed).toBe(true);
            }
            const { losses = 0 } = state.tasks.get(event.data.taskId) ?? {};
            expect(event.data.attempt).toBeLessThanOrEqual((plan?.retry?.maxAttempts ?? 1) + losses);
          }
          state = fold(state, [event]);
          expect(state.running).toBeLessThanOrEqual(state.plan.concurrency ?? Infinity);
          const tasks = [...state.tasks.values()];
          expect(state.running).toBe(tasks.filter(({ status }) => status === 'running').length);
          expect(state.open).toBe(tasks.filter(({ status }) => !isTerminal(status)).length);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it('folds to the same state in one go and event by event, and a task that has ended never changes its status', () => {
    fc.assert(
      fc.property(logs, (log) => {
        const ended = new Map<string, string>();
        let stepwise = initial;
        for (const event of log.flat()) {
          stepwise = fold(stepwise, [event]);
          for (const [id, { status }] of stepwise.tasks) {
            expect(status).toBe(ended.get(id) ?? status);
            if (isTerminal(status)) ended.set(id, status);
          }
        }
        expect(stepwise).toEqual(fold(initial, log.flat()));
      }),
      { numRuns: 600 },
    );
  });

  it('asks to be woken in the future only, unless there is something to do now', () => {
    fc.assert(
      fc.property(logs, (log) => {
        let state = initial;
        for (const commit of log) {
          state = fold(state, commit);
          for (const now of [state.at, state.at + 100, state.at + 5_000]) {
            const { start, advance, wakeAt } = next(state, now);
            if (start.length === 0 && !advance && wakeAt !== undefined) expect(wakeAt).toBeGreaterThan(now);
          }
        }
      }),
      { numRuns: 600 },
    );
  });

  it('waits for something for as long as it has not ended', () => {
    fc.assert(
      fc.property(logs, (log) => {
        let state = initial;
        for (const commit of log) {
          state = fold(state, commit);
          if (isTerminal(state.status) || state.status === 'paused') continue;
          const { start, advance, wakeAt } = next(state, state.at);
          expect(start.length > 0 || advance || wakeAt !== undefined || state.running > 0).toBe(true);
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
