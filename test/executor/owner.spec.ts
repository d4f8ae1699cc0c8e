import { randomUUID } from 'node:crypto';
import { Checkpoints, type JetStreamLog } from '#libs/jetstream';
import { load } from '#libs/ledger';
import type { Runner } from '#libs/runners';
import { eventually } from '#libs/testing';
import { type Broker, startBroker } from '../contract/servers.js';
import { type Held, Stage, cluster, heldRunner, noop, task } from './stage.js';

let broker: Broker;
let log: JetStreamLog;
let stage: Stage;

beforeEach(async () => {
  broker = await startBroker();
  ({ log } = broker);
  stage = new Stage(log, await Checkpoints.open(broker.nats));
});
afterEach(async () => {
  await stage.stop();
  await broker.close();
});

it('drives an execution requested before any executor ran, in one commit where nothing has side effects', async () => {
  const ref = await stage.request([task('a', 'noop'), task('b', 'noop', { dependsOn: ['a'] }), task('c', 'noop', { dependsOn: ['b'] })]);
  await stage.startOwner(cluster().join('one'), 'one', [noop]);
  const execution = await stage.ended(ref);
  expect(execution.state.status).toBe('completed');
  expect(execution.version).toBe(2);
});

it('commits facts that come together in few commits', async () => {
  const { runner, held } = heldRunner();
  await stage.startOwner(cluster().join('one'), 'one', [noop, runner], { concurrency: 200 });
  const ref = await stage.request([
    ...Array.from({ length: 100 }, (_, i) => task(`t${i}`, 'held')),
    task('join', 'noop', { dependsOn: Array.from({ length: 100 }, (_, i) => `t${i}`) }),
  ]);
  await eventually(() => held.size === 100, { what: '100 running attempts' });
  for (const { end } of held.values()) end({ ok: true, result: {} });
  const execution = await stage.ended(ref);
  expect(execution.state.status).toBe('completed');
  expect(execution.version).toBeLessThanOrEqual(25);
});

it('runs no more attempts at once than it may, over all executions', async () => {
  const { runner, held } = heldRunner();
  await stage.startOwner(cluster().join('one'), 'one', [runner], { concurrency: 2 });
  const refs = await Promise.all([stage.request([task('a', 'held'), task('b', 'held')]), stage.request([task('a', 'held'), task('b', 'held')])]);
  for (let done = 0; done < 4; done++) {
    const running = await eventually(() => held.size > 0 && [...held], { what: 'a running attempt' });
    expect(running.length).toBeLessThanOrEqual(2);
    const [key, { end }] = running[0]!;
    held.delete(key);
    end({ ok: true, result: {} });
  }
  for (const ref of refs) expect((await stage.ended(ref)).state.status).toBe('completed');
});

it('starts neither the next attempt nor what depends on a task before its timed-out attempt has ended', async () => {
  const stubborn = new Map<string, Held>();
  const runner: Runner = {
    name: 'stubborn',
    sideEffects: true,
    check: () => [],
    run: (attempt) => new Promise((end) => void stubborn.set(`${attempt.taskId}/${attempt.attempt}`, { attempt, end })),
  };
  await stage.startOwner(cluster().join('one'), 'one', [noop, runner]);
  const ref = await stage.request([
    task('a', 'stubborn', { timeoutMs: 20, onFailure: 'continue', retry: { maxAttempts: 2, delayMs: 0 } }),
    task('b', 'noop', { dependsOn: ['a'] }),
    task('other', 'stubborn'),
  ]);
  const end = (key: string): void => stubborn.get(key)?.end({ ok: true, result: {} });
  const isAborted = (key: string): Promise<unknown> =>
    eventually(() => stubborn.get(key)?.attempt.signal.aborted, { what: `${key} to be ended` });

  await isAborted('a/1');
  // Another task's end has the execution driven meanwhile.
  end('other/1');
  await eventually(async () => (await load(log, ref)).state.tasks.get('other')?.status === 'completed', { what: 'the other task' });
  expect(stubborn.has('a/2')).toBe(false);
  end('a/1');
  await isAborted('a/2');
  const { state } = await load(log, ref);
  expect([state.tasks.get('a')?.status, state.tasks.get('b')?.status]).toEqual(['failed', 'pending']);
  end('a/2');
  expect((await stage.ended(ref)).state.tasks.get('b')?.status).toBe('completed');
});

it('runs an attempt anew elsewhere when its executor is gone, and ignores what that one says later', async () => {
  const members = cluster();
  const first = heldRunner();
  const view = members.join('first');
  const doomed = await stage.startOwner(view, 'first', [first.runner]);
  const ref = await stage.request([task('a', 'held')]);
  await eventually(() => first.held.size === 1, { what: 'the first attempt' });
  const second = heldRunner();
  members.kill('first');
  await stage.startOwner(members.join('second'), 'second', [second.runner]);
  const again = await eventually(() => [...second.held.values()][0], { timeoutMs: 10_000, what: 'the second attempt' });
  expect(again.attempt).toMatchObject({ taskId: 'a', attempt: 2, idempotencyKey: `${ref.execution}/a` });
  again.end({ ok: true, result: { by: 'second' } });
  const execution = await stage.ended(ref);
  expect(execution.state.tasks.get('a')).toMatchObject({ status: 'completed', attempt: 2, losses: 1, result: { by: 'second' } });
  // The one taken for dead hears of it and ends what it still runs.
  await eventually(() => [...first.held.values()].every(({ attempt }) => attempt.signal.aborted), { timeoutMs: 5_000, what: 'the first attempt to be ended' });
  expect(doomed.counts.running).toBeLessThanOrEqual(1);
});

it('goes on behind its checkpoint after a restart, with the executions that were active before it', async () => {
  const { runner, held } = heldRunner();
  const members = cluster();
  const before = await stage.startOwner(members.join('one'), 'one', [noop, runner]);
  const paused = await stage.request([task('a', 'held'), task('b', 'noop', { dependsOn: ['a'] })]);
  const attempt = await eventually(() => [...held.values()][0], { what: 'the attempt' });
  await stage.submit(paused, { type: 'PauseExecution' });
  attempt.end({ ok: true, result: {} });
  await eventually(async () => (await load(log, paused)).state.tasks.get('a')?.status === 'completed', { what: 'a completed' });
  for (let i = 0; i < 20; i++) await stage.ended(await stage.request([task('n', 'noop')]));
  await before.stop(0, 100);
  members.kill('one');
  await stage.startOwner(members.join('two'), 'two', [noop, runner]);
  await stage.submit(paused, { type: 'ResumeExecution' });
  expect((await stage.ended(paused)).state.status).toBe('completed');
});

it('survives a killed broker: what was running is recorded once it is back', async () => {
  const { runner, held } = heldRunner();
  await stage.startOwner(cluster().join('one'), 'one', [runner]);
  const ref = await stage.request([task('a', 'held')]);
  const attempt = await eventually(() => [...held.values()][0], { what: 'the attempt' });
  await broker.server.kill();
  attempt.end({ ok: true, result: { kept: true } });
  await broker.server.restart();
  const execution = await stage.ended(ref);
  expect(execution.state.tasks.get('a')).toMatchObject({ status: 'completed', attempt: 1, result: { kept: true } });
});

it('halts an execution whose history it can not fold, and drives the others on', async () => {
  await stage.startOwner(cluster().join('one'), 'one', [noop]);
  const bad = { tenant: 'default', execution: randomUUID() };
  const events = [{ type: 'ExecutionTeleported', at: new Date().toISOString(), cause: 'x', actor: 'x', correlationId: 'x', data: {} }];
  const body = Buffer.from(JSON.stringify({ id: randomUUID(), version: 1, previous: 'x', events }));
  await log.append({ ref: bad, id: 'x', body, expected: 0 });
  const good = await stage.request([task('a', 'noop')]);
  expect((await stage.ended(good)).state.status).toBe('completed');
  expect((await log.history(bad)).length).toBe(1);
});
