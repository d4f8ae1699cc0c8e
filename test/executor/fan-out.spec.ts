import { randomUUID } from 'node:crypto';
import type { JsonObject } from '#libs/contracts';
import { MemoryLog, load, submit } from '#libs/ledger';
import type { Runner } from '#libs/runners';
import { eventually } from '#libs/testing';
import { Stage, cluster, heldRunner, noop, task } from './stage.js';

let log: MemoryLog;
let stage: Stage;

beforeEach(() => {
  log = new MemoryLog();
  stage = new Stage(log);
});
afterEach(() => stage.stop());

const ended = async (tasks: Parameters<Stage['request']>[0], runners: readonly Runner[] = [noop]) => {
  await stage.startOwner(cluster().join('one'), 'one', runners);
  const { state } = await stage.ended(await stage.request(tasks));
  return { state, of: (id: string) => state.tasks.get(id) };
};

const result = (value: JsonObject) => ({ input: { result: value } });

describe('a task for each item', () => {
  it('of what another one has found knows the item and its place, and hands all results on', async () => {
    const { state, of } = await ended([
      task('find', 'noop', result({ files: [{ name: 'a' }, { name: 'b' }] })),
      task('read', 'noop', { dependsOn: ['find'], forEach: { items: '{{ tasks.find.result.files }}' }, ...result({ name: '{{ item.name }}', at: '{{ index + 1 }}' }) }),
      task('sum', 'noop', { dependsOn: ['read'], ...result({ names: '{{ tasks.read.result.results.map(r, r.name) }}', count: '{{ tasks.read.result.count }}' }) }),
    ]);
    expect(state.status).toBe('completed');
    expect(of('read--1')?.result).toEqual({ name: 'b', at: 2 });
    expect(of('sum')?.result).toEqual({ names: ['a', 'b'], count: 2 });
  });

  it('of items that the plan names has the templates in them evaluated, once', async () => {
    const { of } = await ended([task('a', 'noop', { forEach: { items: ['x', '{{ execution.name }}', { deep: ['{{ 1 + 1 }}'] }] }, ...result({ item: '{{ item }}' }) })]);
    expect(of('a')?.result).toEqual({ count: 3, results: [{ item: 'x' }, { item: 'test' }, { item: { deep: [2] } }] });
  });

  it('whose condition is false is skipped as a whole', async () => {
    const { state, of } = await ended([task('a', 'noop', { when: 'false', forEach: { items: [1, 2] } })]);
    expect([state.status, of('a')?.status, of('a--0')]).toEqual(['completed', 'skipped', undefined]);
  });

  it.each([
    ['that are no list', '{{ tasks.find.status }}', 'forEach/items results in text, which is no list; let it be one template of a list, with nothing beside it'],
    ['that can not be found', '{{ tasks.find.result.none }}', 'forEach/items '],
  ])('of items %s fails for good and says where', async (_, items, message) => {
    const { of } = await ended([task('find', 'noop'), task('a', 'noop', { dependsOn: ['find'], retry: { maxAttempts: 3 }, forEach: { items } })]);
    expect(of('a')).toMatchObject({ status: 'failed', error: { code: 'EXPRESSION_FAILED', message: expect.stringContaining(message) as string } });
  });

  it('fails the item alone whose input has no value', async () => {
    const { of } = await ended([task('a', 'noop', { forEach: { items: [{ n: 1 }, {}] }, ...result({ n: '{{ item.n }}' }) })]);
    expect([of('a--0')?.status, of('a--1')?.error?.code, of('a')?.error?.code]).toEqual(['completed', 'EXPRESSION_FAILED', 'ITEMS_FAILED']);
    expect(of('a')?.result).toEqual({ count: 2, failed: [1], results: [{ n: 1 }, null] });
  });

  it('waits for each of them: with a wait, with an approval', async () => {
    await stage.startOwner(cluster().join('one'), 'one', [noop]);
    const ref = await stage.request([task('ask', 'approval', { forEach: { items: ['ada', 'grace'] }, input: { title: 'May {{ item }}?', approvers: ['user:{{ item }}'] } }), task('rest', 'wait', { forEach: { items: [1, 2] }, input: { durationMs: '{{ item }}' } })]);
    const asked = await eventually(async () => (await load(log, ref)).state.tasks.get('ask--1')?.clarification, { what: 'the second question' });
    expect(asked.asked.title).toBe('May grace?');
    for (const [n, name] of ['ada', 'grace'].entries()) {
      const context = { now: Date.now(), cause: randomUUID(), actor: `user:${name}`, correlationId: 'test' };
      await submit(log, ref, { type: 'RespondToClarification', taskId: `ask--${n}`, decision: 'approve', roles: [] }, context);
    }
    expect((await stage.ended(ref)).state.status).toBe('completed');
  });

  it('is handed an idempotency key for each of them, and goes on with another executor where its own has died', async () => {
    const members = cluster();
    const [first, second] = [heldRunner(), heldRunner()];
    await stage.startOwner(members.join('first'), 'first', [first.runner]);
    const ref = await stage.request([task('a', 'held', { forEach: { items: [0, 1, 2], concurrency: 2 } })]);
    const attempt = (of: typeof first, key: string) => eventually(() => of.held.get(`${ref.execution}/${key}`), { timeoutMs: 10_000, what: key });
    (await attempt(first, 'a--0/1')).end({ ok: true, result: { by: 'first' } });
    await attempt(first, 'a--1/1');
    await attempt(first, 'a--2/1');
    members.kill('first');
    await stage.startOwner(members.join('second'), 'second', [second.runner]);
    const again = [await attempt(second, 'a--1/2'), await attempt(second, 'a--2/2')];
    expect(again.map((held) => held.attempt.idempotencyKey)).toEqual([`${ref.execution}/a--1`, `${ref.execution}/a--2`]);
    for (const held of again) held.end({ ok: true, result: { by: 'second' } });
    const { state } = await stage.ended(ref);
    expect(state.tasks.get('a')?.result).toEqual({ count: 3, results: [{ by: 'first' }, { by: 'second' }, { by: 'second' }] });
    expect(second.starts).toHaveLength(2);
  });

  it('takes no more commits than its events fill, also for a thousand', async () => {
    const { state } = await ended([task('a', 'noop', { forEach: { items: Array.from({ length: 1_000 }, (_, n) => n) }, ...result({ n: '{{ item }}' }) })]);
    expect(state.tasks.get('a')?.result).toMatchObject({ count: 1_000 });
    expect(log.lastSequence).toBeLessThan(20);
  });
});

it('what depends on items that were given up waits until they have ended in this process, too', async () => {
  const { runner, held, starts } = heldRunner({ endsOnAbort: false });
  await stage.startOwner(cluster().join('one'), 'one', [runner]);
  const ref = await stage.request([task('a', 'held', { forEach: { items: [1] }, timeoutMs: 20, onFailure: 'continue' }), task('b', 'held', { dependsOn: ['a'] })]);
  const attempt = (key: string) => eventually(() => held.get(`${ref.execution}/${key}`), { what: key });
  const item = await attempt('a--0/1');
  await eventually(async () => (await load(log, ref)).state.tasks.get('a')?.status === 'failed', { what: 'the items to be given up' });
  await new Promise(setImmediate);
  expect(starts).toHaveLength(1);
  item.end({ ok: false, error: { code: 'COMMAND_ABORTED', message: 'aborted', retryable: false } });
  (await attempt('b/1')).end({ ok: true, result: {} });
  expect((await stage.ended(ref)).state.status).toBe('completed');
});

it('what undoes for each item does so side by side', async () => {
  const { runner, held } = heldRunner();
  const broken: Runner = { name: 'broken', sideEffects: true, check: () => [], run: () => ({ ok: false, error: { code: 'BROKEN', message: 'it broke', retryable: false } }) };
  await stage.startOwner(cluster().join('one'), 'one', [noop, broken, runner]);
  const ref = await stage.request([
    task('make', 'noop', result({ ids: [7, 8] })),
    task('remove', 'held', { compensates: 'make', forEach: { items: '{{ tasks.make.result.ids }}' }, input: { id: '{{ item }}' } }),
    task('use', 'broken', { dependsOn: ['make'] }),
  ]);
  const attempt = (n: number) => eventually(() => held.get(`${ref.execution}/remove--${n}/1`), { what: `item ${n}` });
  const both = [await attempt(0), await attempt(1)];
  expect(both.map((one) => one.attempt.input['id'])).toEqual([7, 8]);
  for (const one of both) one.end({ ok: true, result: {} });
  expect((await stage.ended(ref)).state.reason?.code).toBe('TASK_FAILED');
});

describe('a loop', () => {
  it('is done until its condition holds, and knows what the iteration before came to', async () => {
    const { state, of } = await ended([
      task('double', 'noop', { loop: { until: 'result.n >= 8', maxIterations: 9 }, ...result({ n: '{{ has(result.n) ? result.n * 2 : 1 }}', turn: '{{ iteration }}' }) }),
      task('use', 'noop', { dependsOn: ['double'], ...result({ n: '{{ tasks.double.result.result.n }}', took: '{{ tasks.double.result.count }}' }) }),
    ]);
    expect(state.status).toBe('completed');
    expect(of('double')?.result).toEqual({ count: 4, result: { n: 8, turn: 3 } });
    expect(of('use')?.result).toEqual({ n: 8, took: 4 });
  });

  it('that is never over fails with its bound, and one whose condition has no value with that', async () => {
    const loops = [
      task('a', 'noop', { loop: { until: 'iteration < 0', maxIterations: 3 }, onFailure: 'continue' }),
      task('b', 'noop', { loop: { until: 'result.missing', maxIterations: 3 }, onFailure: 'continue' }),
    ];
    const { of } = await ended(loops);
    expect([of('a')?.error?.code, of('a')?.result]).toEqual(['LOOP_EXHAUSTED', { count: 3, result: {} }]);
    expect(of('b')?.error).toMatchObject({ code: 'EXPRESSION_FAILED', message: expect.stringMatching(/^loop\/until /) as string });
  });

  it('waits between its iterations', async () => {
    await ended([task('a', 'noop', { loop: { until: 'iteration == 2', maxIterations: 3, delayMs: 30 } })]);
    const stored = await Promise.all(Array.from({ length: log.lastSequence }, (_, i) => log.at(i + 1)));
    const events = stored.flatMap((one) => one?.commit.events ?? []);
    const starts = events.flatMap((event) => (event.type === 'TaskStarted' && event.data.taskId.startsWith('a--') ? [Date.parse(event.at)] : []));
    expect(starts).toHaveLength(3);
    expect(starts[2]! - starts[0]!).toBeGreaterThanOrEqual(60);
  });
});
