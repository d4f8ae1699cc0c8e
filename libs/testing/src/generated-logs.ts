import fc from 'fast-check';
import type { Event, Plan, PlanTask } from '#libs/contracts';
import { type ChildEnd, type Command, type Context, Refused, type State, subExecutionsOf, decide, fold, initial, next, runningAttempts } from '#libs/execution';

/** Commits of one execution, each with its events. */
export type Log = readonly (readonly Event[])[];

const ids = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];

const people = ['user:0', 'user:1', 'user:2', 'user:3'];

const inputOf = (runner: string, n: number): PlanTask['input'] => {
  if (runner === 'wait') return { durationMs: 50 };
  if (runner === 'signal') return { name: 'go' };
  if (runner === 'event') return { subject: '*.execution.completed' };
  if (runner !== 'approval') return {};
  const expiry = { expiresInMs: 100, onExpiry: ['reject', 'approve', 'fail'][n % 3]! };
  return { title: '?', approvers: people.slice(0, 3), required: n, delegable: true, ...(n > 1 && expiry) };
};

type Expansion = 'items' | 'items one at a time' | 'items, failing fast' | 'loop' | undefined;

const expansionOf = (expansion: Expansion): Pick<PlanTask, 'forEach' | 'loop'> => {
  switch (expansion) {
    case 'items':
      return { forEach: { items: [] } };
    case 'items one at a time':
      return { forEach: { items: [], concurrency: 1 } };
    case 'items, failing fast':
      return { forEach: { items: [], failFast: true } };
    case 'loop':
      return { loop: { until: 'result.over', maxIterations: 3, delayMs: 20 } };
    case undefined:
      return {};
  }
};

const undoing = (compensates: string, maxAttempts: number): PlanTask => ({
  id: `undo-${compensates}`,
  runner: 'command',
  input: {},
  dependsOn: [],
  compensates,
  ...(maxAttempts === 3 && { forEach: { items: [] } }),
  retry: { maxAttempts, backoff: 'fixed', delayMs: 20 },
});

/** Graphs of up to eight tasks; each may depend on tasks before it. */
const plans: fc.Arbitrary<Plan> = fc
  .array(
    fc.record({
      runner: fc.constantFrom('command', 'command', 'wait', 'signal', 'approval', 'event', 'execution'),
      isUndone: fc.boolean(),
      expansion: fc.constantFrom<Expansion>(undefined, undefined, undefined, undefined, 'items', 'items one at a time', 'items, failing fast', 'loop'),
      edges: fc.array(fc.nat(7), { maxLength: 3 }),
      maxAttempts: fc.integer({ min: 1, max: 3 }),
      jitter: fc.constantFrom(0, 1),
      finalErrors: fc.constantFrom([], ['FATAL']),
      timeoutMs: fc.option(fc.integer({ min: 1, max: 500 }), { nil: undefined }),
      scheduleToStartMs: fc.option(fc.integer({ min: 1, max: 500 }), { nil: undefined, freq: 2 }),
      onFailure: fc.constantFrom('skip' as const, 'stop' as const, 'continue' as const),
      onLost: fc.constantFrom('retry' as const, 'fail' as const),
    }),
    { minLength: 1, maxLength: 8 },
  )
  .chain((drafts) =>
    fc.record({
      tasks: fc.constant(
        drafts.flatMap(
          ({ isUndone, expansion, runner, edges, maxAttempts, jitter, finalErrors, timeoutMs, scheduleToStartMs, onFailure, onLost }, i): PlanTask[] => [
            {
              id: ids[i]!,
              runner,
              input: inputOf(runner, maxAttempts),
              dependsOn: [...new Set(edges.filter((edge) => edge < i))].map((edge) => ids[edge]!),
              ...expansionOf(expansion),
              retry: { maxAttempts, backoff: 'fixed', delayMs: 20, jitter, finalErrors },
              ...(timeoutMs !== undefined && { timeoutMs }),
              ...(scheduleToStartMs !== undefined && { scheduleToStartMs }),
              onFailure,
              onLost,
            },
            ...(isUndone ? [undoing(ids[i]!, maxAttempts)] : []),
          ],
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
  ...(['start', 'start', 'start', 'succeed', 'fail', 'fail', 'fatal', 'busy', 'unwanted', 'unstartable', 'crash', 'lose', 'sleep', 'sleep', 'advance', 'step', 'rewind'] as const),
  ...(['again', 'again', 'over', 'undecidable'] as const),
  ...(['pause', 'resume', 'graceful', 'immediate', 'late', 'signal', 'signal', 'stray', 'approve', 'approve', 'reject', 'delegate', 'event', 'event'] as const),
  ...(['child', 'child', 'broken child', 'cancelled child'] as const),
);
const ends = new Map<string, ChildEnd>([
  ['child', { status: 'completed', result: {} }],
  ['broken child', { status: 'failed', reason: { code: 'TASK_FAILED', message: 'it broke', retryable: true } }],
  ['cancelled child', { status: 'cancelled' }],
]);

type Move = { readonly kind: string; readonly pick: number };

/** One execution and what has been committed of it. */
export class World {
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
  tell(command: Command, actor = 'test'): void {
    const context: Context = { now: this.now, cause: `c${this.commands++}`, actor, correlationId: 'test' };
    try {
      const events = decide(command, this.state, context);
      if (events.length === 0) return;
      this.log.push([...events]);
      this.state = fold(this.state, events);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
    }
  }

  /** A fan-out is for so many items. */
  start(taskId: string, executor: string, items: number): void {
    this.tell({ type: 'StartTask', taskId, executor, child: `child-of-${taskId}`, items: Array.from({ length: items }, (_, n) => n) });
  }

  /** Tasks that wait for people. */
  questions(): readonly string[] {
    return runningAttempts(this.state).flatMap(({ taskId }) => (this.state.tasks.get(taskId)?.clarification ? [taskId] : []));
  }

  /** Everybody who could approve what is asked does. */
  approveAll(): void {
    for (const taskId of this.questions()) {
      for (const actor of people) this.tell({ type: 'RespondToClarification', taskId, decision: 'approve', roles: [] }, actor);
    }
  }

  /** Attempts that wait for an event. */
  eventWaits(): ReturnType<typeof runningAttempts> {
    return runningAttempts(this.state).filter(({ taskId }) => this.state.tasks.get(taskId)?.event !== undefined);
  }

  /** Attempts that are other executions. */
  subExecutions(): ReturnType<typeof subExecutionsOf> {
    return subExecutionsOf(this.state, this.now);
  }

  attempts(): ReturnType<typeof runningAttempts> {
    return runningAttempts(this.state).filter(({ executor }) => executor !== '');
  }

  move({ kind, pick }: Move, executor: string): void {
    const { start, decide: loops, wakeAt } = next(this.state, this.now);
    const running = this.attempts();
    const { taskId = 'a', attempt = 1 } = running[pick % Math.max(1, running.length)] ?? {};
    const failed = (retryable: boolean, code = 'BROKEN', retryAfterMs = 0): Command => ({
      type: 'RecordOutcome',
      taskId,
      attempt,
      outcome: { ok: false, error: { code, message: 'it broke', retryable }, retryAfterMs },
    });
    const waiting = start[pick % Math.max(1, start.length)];
    if (kind === 'unwanted' && waiting !== undefined) this.tell({ type: 'SkipTask', taskId: waiting });
    if (kind === 'unstartable' && waiting !== undefined) {
      this.tell({ type: 'FailTask', taskId: waiting, error: { code: 'EXPRESSION_FAILED', message: 'no such key', retryable: false } });
    }
    if (kind === 'start' && waiting !== undefined) this.start(waiting, executor, pick % 4);
    const [loop] = loops;
    if ((kind === 'again' || kind === 'over') && loop !== undefined) this.tell({ type: 'DecideLoop', taskId: loop, isOver: kind === 'over' });
    if (kind === 'undecidable' && loop !== undefined) this.tell({ type: 'FailTask', taskId: loop, error: { code: 'EXPRESSION_FAILED', message: 'no such key', retryable: false } });
    if (kind === 'succeed') this.tell({ type: 'RecordOutcome', taskId, attempt, outcome: { ok: true, result: { n: pick } } });
    if (kind === 'fail') this.tell(failed(true));
    if (kind === 'fatal') this.tell(failed(true, 'FATAL'));
    if (kind === 'busy') this.tell(failed(true, 'BUSY', 200));
    if (kind === 'crash') this.tell(failed(false));
    if (kind === 'late') this.tell({ type: 'RecordOutcome', taskId: 'a', attempt: 1, outcome: { ok: true, result: {} } });
    if (kind === 'lose') this.tell({ type: 'RecordLostAttempt', taskId, attempt });
    if (kind === 'step') this.tell({ type: 'RecordStep', taskId, attempt, step: { kind: 'started', name: 's', metadata: {} } });
    if (kind === 'sleep') this.now = Math.max(this.now + 1, wakeAt ?? 0);
    if (kind === 'rewind') this.now -= 10_000;
    if (kind === 'advance') this.tell({ type: 'Advance' });
    const [awaiting] = this.eventWaits();
    if (kind === 'event' && awaiting) this.tell({ type: 'RecordEvent', taskId: awaiting.taskId, attempt: awaiting.attempt, event: { n: pick } });
    const [child] = this.subExecutions();
    const end = ends.get(kind);
    if (child && end) this.tell({ type: 'RecordChildEnd', taskId: child.taskId, attempt: child.attempt, end });
    const asking = this.questions();
    const [asked = 'a', who] = [asking[pick % Math.max(1, asking.length)], people[pick % people.length]];
    if (kind === 'approve' || kind === 'reject') this.tell({ type: 'RespondToClarification', taskId: asked, decision: kind, roles: [] }, who);
    if (kind === 'delegate') this.tell({ type: 'DelegateClarification', taskId: asked, to: people[(pick + 1) % people.length]!, roles: [] }, who);
    if (kind === 'signal') this.tell({ type: 'SendSignal', name: 'go', payload: { n: pick } });
    if (kind === 'stray') this.tell({ type: 'SendSignal', name: 'gone', payload: {} });
    if (kind === 'pause') this.tell({ type: 'PauseExecution' });
    if (kind === 'resume') this.tell({ type: 'ResumeExecution' });
    if (kind === 'graceful' || kind === 'immediate') this.tell({ type: 'CancelExecution', mode: kind });
  }
}

/** What may become of plans of up to eight tasks, under commands, outcomes, losses and clocks that go back. */
export const generatedLogs: fc.Arbitrary<Log> = fc
  .record({ plan: plans, moves: fc.array(fc.record({ kind: moves, pick: fc.nat(20) }), { maxLength: 80 }) })
  .map(({ plan, moves: played }) => {
    const world = new World();
    world.tell({ type: 'RequestExecution', plan, name: 'generated', labels: {}, input: {}, dialect: 'canonical' });
    for (const move of played) world.move(move, 'first');
    return world.log;
  });
