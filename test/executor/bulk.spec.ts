import { BULK, type BulkAction, type BulkInput, type Event, type ExecutionRef, type JsonObject } from '#libs/contracts';
import { MemoryLog, derivedId, load } from '#libs/ledger';
import { eventually } from '#libs/testing';
import { SelectError, type Select, bulkRunner } from '../../apps/executor/src/bulk-runner.js';
import { AttemptCourse } from '../../apps/executor/src/attempt-course.js';
import { systemClock } from '../../apps/executor/src/clock.js';
import { type Cluster, Stage, cluster, heldRunner, noop, task } from './stage.js';

let log: MemoryLog;
let stage: Stage;
let members: Cluster;
/** What a read model would know of, the newest first. */
let known: ExecutionRef[];
let isAway: boolean;
beforeEach(() => {
  log = new MemoryLog();
  stage = new Stage(log);
  members = cluster();
  known = [];
  isAway = false;
});
afterEach(() => stage.stop());

/** As the status read model would answer: cursors stay where they are, whatever ends meanwhile. */
const select: Select = async ({ status = [], limit, cursor }) => {
  if (isAway) throw new SelectError('no projector has answered');
  const states = await Promise.all(known.map(async (ref) => (await load(log, ref)).state.status));
  const fitting = known.map(({ execution }, n) => ({ execution, n })).filter(({ n }) => (status as readonly unknown[]).includes(states[n]));
  const from = cursor === undefined ? -1 : Number(cursor);
  const rest = fitting.filter(({ n }) => n > from);
  const page = rest.slice(0, limit);
  return {
    asOfSeq: 0,
    ids: page.map(({ execution }) => execution),
    counts: cursor === undefined ? { running: fitting.length } : null,
    next: rest.length > limit ? String(page.at(-1)?.n) : null,
  };
};

const sleeping = async (n: number): Promise<void> => {
  for (let i = 0; i < n; i++) known.unshift(await stage.request([task('a', 'wait', { input: { durationMs: 3_600_000 } })]));
};

const operation = async (action: BulkAction, more: Partial<BulkInput> = {}): Promise<ExecutionRef> => {
  const filter = { status: action === 'retry' ? (['failed'] as const) : (['pending', 'running'] as const) };
  const input: BulkInput = { action, filter, ratePerSecond: 200, actor: 'user:ada', correlationId: 'asked', ...more };
  const ref = await stage.request([task(BULK, BULK, { input: JSON.parse(JSON.stringify(input)) as JsonObject, retry: { maxAttempts: 100, delayMs: 10, maxDelayMs: 100 } })]);
  known.unshift(ref);
  return ref;
};

const runners = () => [bulkRunner({ log, select, clock: systemClock }), noop, heldRunner().runner];
const join = (name: string) => stage.startOwner(members.join(name), name, runners());
const eventsOf = async (ref: ExecutionRef): Promise<readonly Event[]> => (await log.history(ref)).flatMap(({ commit }) => commit.events);
const resultOf = async (ref: ExecutionRef): Promise<unknown> => (await stage.ended(ref)).state.tasks.get(BULK)?.result;
const all = async (wanted: (events: readonly Event[]) => boolean, but: ExecutionRef): Promise<boolean> =>
  (await Promise.all(known.filter((ref) => ref !== but).map(async (ref) => wanted(await eventsOf(ref))))).every(Boolean);

describe('a bulk operation', () => {
  it('commands each execution that fits, in the name of who asked for it, and not itself', async () => {
    await sleeping(25);
    await join('one');
    const ref = await operation('cancel', { reason: 'enough', mode: 'graceful' });
    expect(await resultOf(ref)).toEqual({ done: 25, failed: 0, failures: [] });
    const asked = { type: 'ExecutionCancelRequested', actor: 'user:ada', correlationId: 'asked', data: { mode: 'graceful', reason: 'enough' } };
    expect(await all((events) => events.some((event) => expect.objectContaining(asked).asymmetricMatch(event)), ref)).toBe(true);
    expect((await load(log, ref)).state.tasks.get(BULK)?.progress).toMatchObject({ done: 25, failed: 0, total: 25 });
  });

  it('deletes what has ended and fits, in the name of who asked for it', async () => {
    await join('one');
    for (let i = 0; i < 12; i++) {
      const ref = await stage.request([task('a', 'noop')]);
      await stage.ended(ref);
      known.unshift(ref);
    }
    const ref = await operation('delete', { reason: 'old', filter: { status: ['completed'] } });
    expect(await resultOf(ref)).toEqual({ done: 12, failed: 0, failures: [] });
    for (const other of known.filter((one) => one !== ref)) {
      expect((await load(log, other)).state.deleted).toMatchObject({ by: 'user:ada', reason: 'old' });
    }
  });

  it('goes on where a lost attempt was, and does nothing twice nor counts it so', async () => {
    await sleeping(60);
    await join('one');
    const ref = await operation('pause', { ratePerSecond: 100 });
    await eventually(async () => (await log.history(known[5]!)).length > 2 || (await eventsOf(known[5]!)).some(({ type }) => type === 'ExecutionPaused'), { what: 'some to be paused' });
    await stage.stop();
    members.kill('one');
    await join('two');
    expect(await resultOf(ref)).toEqual({ done: 60, failed: 0, failures: [] });
    expect((await load(log, ref)).state.tasks.get(BULK)?.attempt).toBe(2);
    expect(await all((events) => events.filter(({ type }) => type === 'ExecutionPaused' || type === 'ExecutionCommandSatisfied').length === 1, ref)).toBe(true);
  });

  it('stops when it is cancelled, and says how far it came', async () => {
    await sleeping(40);
    await join('one');
    const ref = await operation('pause', { ratePerSecond: 40 });
    const paused = async (): Promise<number> => (await Promise.all(known.map(async (one) => (await load(log, one)).state.status))).filter((status) => status === 'paused').length;
    await eventually(async () => (await paused()) > 3, { what: 'it to begin' });
    await stage.submit(ref, { type: 'CancelExecution', mode: 'immediate' });
    const { state } = await stage.ended(ref);
    expect(state.status).toBe('cancelled');
    expect(state.tasks.get(BULK)?.result).toMatchObject({ done: await paused(), failed: 0 });
  });

  it('goes no further while its execution is paused', async () => {
    await sleeping(60);
    const ref = { tenant: 'default', execution: 'bulk' };
    const input = { action: 'pause', filter: { status: ['pending', 'running'] }, ratePerSecond: 200, actor: 'ada', correlationId: 'c' };
    const course = new AttemptCourse(undefined, (progress, settled) => {
      // Paused while it is being told that a page is to be done.
      course.hold(true);
      settled();
    });
    const controller = new AbortController();
    const attempt = { ref, taskId: BULK, attempt: 1, input, executionInput: {}, idempotencyKey: 'k', signal: controller.signal, output: () => Promise.resolve(), step: () => undefined, course };
    let isWaiting = (): void => undefined;
    const waits = new Promise<void>((resolve) => (isWaiting = resolve));
    const mayGoOn = course.mayGoOn.bind(course);
    course.mayGoOn = () => {
      isWaiting();
      return mayGoOn();
    };
    const ended = Promise.resolve(bulkRunner({ log, select, clock: systemClock }).run(attempt));
    await waits;
    expect(await all((events) => events.length === 1, ref)).toBe(true);
    course.hold(false);
    await eventually(async () => !(await all((events) => events.length === 1, ref)), { what: 'it to go on' });
    controller.abort();
    course.end();
    expect((await ended).ok).toBe(false);
  });

  it('tells what refused, and of how many it was', async () => {
    await sleeping(3);
    await stage.submit(known[1]!, { type: 'CancelExecution', mode: 'immediate' });
    const asked: Select = async (query) => ({ ...(await select(query)), ids: known.slice(1).map(({ execution }) => execution) });
    await stage.startOwner(members.join('one'), 'one', [bulkRunner({ log, select: asked, clock: systemClock })]);
    const ref = await operation('pause');
    expect(await resultOf(ref)).toEqual({ done: 2, failed: 1, failures: [{ id: known[2]!.execution, code: 'EXECUTION_TERMINAL' }] });
  });

  it('retries each in one new execution, whose id follows from both', async () => {
    const held = heldRunner();
    const failed = await stage.request([task('a', 'noop'), task('b', 'unknown', { dependsOn: ['a'] })]);
    await stage.startOwner(members.join('one'), 'one', [...runners(), held.runner]);
    await stage.ended(failed);
    known.unshift(failed);
    const ref = await operation('retry');
    expect(await resultOf(ref)).toEqual({ done: 1, failed: 0, failures: [] });
    const successor = { tenant: ref.tenant, execution: derivedId(ref.tenant, `bulk ${ref.execution} ${failed.execution}`) };
    expect(await eventsOf(successor)).toMatchObject([
      { type: 'ExecutionRequested', actor: 'user:ada', data: { origin: { execution: failed.execution, kind: 'retry' } } },
      { type: 'TaskCarriedOver', data: { taskId: 'a' } },
      ...Array.from({ length: (await eventsOf(successor)).length - 2 }, () => ({})),
    ]);
  });

  it('counts a retry that it has made as done although what was retried, or the new execution, has been deleted since', async () => {
    const [first, second] = [await stage.request([task('a', 'unknown')]), await stage.request([task('a', 'unknown')])];
    const pages: Select = async (query) => {
      if (query.cursor === undefined) return { asOfSeq: 0, ids: [first.execution, second.execution], counts: { failed: 2 }, next: 'more' };
      if (isAway) throw new SelectError('no projector has answered');
      return { asOfSeq: 0, ids: [], counts: null, next: null };
    };
    isAway = true;
    await stage.startOwner(members.join('one'), 'one', [bulkRunner({ log, select: pages, clock: systemClock })]);
    await Promise.all([first, second].map((origin) => stage.ended(origin)));
    const ref = await operation('retry');
    const successor = { tenant: ref.tenant, execution: derivedId(ref.tenant, `bulk ${ref.execution} ${first.execution}`) };
    await eventually(async () => (await eventsOf(ref)).some(({ type }) => type === 'TaskFailed'), { what: 'an attempt that has not got to its end' });
    await stage.ended(successor);
    for (const gone of [successor, second]) await stage.submit(gone, { type: 'DeleteExecution' });
    isAway = false;
    expect(await resultOf(ref)).toEqual({ done: 2, failed: 0, failures: [] });
  });

  it('is tried again while nobody says what fits', async () => {
    await sleeping(2);
    isAway = true;
    await join('one');
    const ref = await operation('pause', { filter: { status: ['pending', 'running'] } });
    await eventually(async () => (await eventsOf(ref)).some((event) => event.type === 'TaskFailed' && event.data.error.code === 'PROJECTION_UNAVAILABLE'), { what: 'a failed attempt' });
    isAway = false;
    expect(await resultOf(ref)).toMatchObject({ done: 2 });
  });
});

