import { randomUUID } from 'node:crypto';
import { Checkpoints, JetStreamLog, type Nats, connectNats, provision } from '#libs/jetstream';
import type { ExecutionRef, PlanTask } from '#libs/contracts';
import { type Execution, load, submit } from '#libs/ledger';
import { createLogger } from '#libs/platform';
import type { Attempt, Outcome, Runner } from '#libs/runners';
import { type NatsServer, eventually, startNatsServer } from '#libs/testing';
import { type MembersView, Owner } from '../../apps/executor/src/owner.js';

const logger = createLogger('executor', 'silent');
const noop: Runner = { name: 'noop', sideEffects: false, check: () => [], run: () => ({ ok: true, result: {} }) };

/** A runner whose attempts end when the test says so. */
const heldRunner = (): { runner: Runner; held: Map<string, { attempt: Attempt; end: (outcome: Outcome) => void }> } => {
  const held = new Map<string, { attempt: Attempt; end: (outcome: Outcome) => void }>();
  const run = (attempt: Attempt): Promise<Outcome> =>
    new Promise((end) => {
      held.set(`${attempt.ref.execution}/${attempt.taskId}/${attempt.attempt}`, { attempt, end });
      attempt.signal.addEventListener('abort', () =>
        end({ ok: false, error: { code: 'COMMAND_ABORTED', message: 'aborted', retryable: false } }),
      );
    });
  return { runner: { name: 'held', sideEffects: true, check: () => [], run }, held };
};

/** Members as one test wants them to be seen. */
const cluster = (): { join(incarnation: string): MembersView; kill(incarnation: string): void } => {
  const live = new Map<string, unknown>();
  const killed = new Set<string>();
  const callbacks = new Set<() => void>();
  const tell = (): void => callbacks.forEach((callback) => callback());
  return {
    join: (incarnation) => {
      live.set(incarnation, {});
      tell();
      return {
        ttlMs: 10,
        live: () => live,
        onChange: (callback) => void callbacks.add(callback),
        goneFor: (member) => (killed.has(member) ? 1_000 : 0),
      };
    },
    kill: (incarnation) => {
      live.delete(incarnation);
      killed.add(incarnation);
      tell();
    },
  };
};

let server: NatsServer;
let nats: Nats;
let log: JetStreamLog;
const owners: Owner[] = [];

beforeEach(async () => {
  server = await startNatsServer();
  nats = await connectNats({ url: server.url, name: 'test', wait: true });
  await provision(nats, { logMaxBytes: 256 * 1024 * 1024 });
  log = new JetStreamLog(nats);
});
afterEach(async () => {
  await Promise.all(owners.splice(0).map((owner) => owner.stop(0, 1_000)));
  await nats.close();
  await server.stop();
});

const startOwner = async (members: MembersView, incarnation: string, runners: readonly Runner[], concurrency = 8): Promise<Owner> => {
  const owner = new Owner({
    log,
    host: { runners: new Map(runners.map((runner) => [runner.name, runner])), output: () => Promise.resolve() },
    members,
    checkpoints: await Checkpoints.open(nats),
    incarnation,
    concurrency,
    logger,
  });
  owners.push(owner);
  await owner.start();
  return owner;
};

const task = (id: string, runner: string, more: Partial<PlanTask> = {}): PlanTask => ({ id, runner, input: {}, dependsOn: [], ...more });

const request = async (tasks: readonly PlanTask[]): Promise<ExecutionRef> => {
  const ref = { tenant: 'default', execution: randomUUID() };
  const plan = { name: 'test', tasks };
  const context = { now: Date.now(), cause: randomUUID(), actor: 'test', correlationId: 'test' };
  await submit(log, ref, { type: 'RequestExecution', plan, name: 'test', labels: {}, input: {}, dialect: 'canonical' }, context);
  return ref;
};

const command = (ref: ExecutionRef, type: 'PauseExecution' | 'ResumeExecution'): Promise<unknown> =>
  submit(log, ref, { type }, { now: Date.now(), cause: randomUUID(), actor: 'test', correlationId: 'test' });

const ended = (ref: ExecutionRef): Promise<Execution> =>
  eventually(
    async () => {
      const execution = await load(log, ref);
      return ['completed', 'failed', 'cancelled'].includes(execution.state.status ?? '') && execution;
    },
    { timeoutMs: 15_000, what: `${ref.execution} to end` },
  );

it('drives an execution requested before any executor ran, in one commit where nothing has side effects', async () => {
  const ref = await request([task('a', 'noop'), task('b', 'noop', { dependsOn: ['a'] }), task('c', 'noop', { dependsOn: ['b'] })]);
  await startOwner(cluster().join('one'), 'one', [noop]);
  const execution = await ended(ref);
  expect(execution.state.status).toBe('completed');
  expect(execution.version).toBe(2);
});

it('commits facts that come together in few commits', async () => {
  const { runner, held } = heldRunner();
  await startOwner(cluster().join('one'), 'one', [noop, runner], 200);
  const ref = await request([
    ...Array.from({ length: 100 }, (_, i) => task(`t${i}`, 'held')),
    task('join', 'noop', { dependsOn: Array.from({ length: 100 }, (_, i) => `t${i}`) }),
  ]);
  await eventually(() => held.size === 100, { what: '100 running attempts' });
  for (const { end } of held.values()) end({ ok: true, result: {} });
  const execution = await ended(ref);
  expect(execution.state.status).toBe('completed');
  expect(execution.version).toBeLessThanOrEqual(25);
});

it('runs no more attempts at once than it may, over all executions', async () => {
  const { runner, held } = heldRunner();
  await startOwner(cluster().join('one'), 'one', [runner], 2);
  const refs = await Promise.all([request([task('a', 'held'), task('b', 'held')]), request([task('a', 'held'), task('b', 'held')])]);
  for (let done = 0; done < 4; done++) {
    const running = await eventually(() => held.size > 0 && [...held], { what: 'a running attempt' });
    expect(running.length).toBeLessThanOrEqual(2);
    const [key, { end }] = running[0]!;
    held.delete(key);
    end({ ok: true, result: {} });
  }
  for (const ref of refs) expect((await ended(ref)).state.status).toBe('completed');
});

it('runs an attempt anew elsewhere when its executor is gone, and ignores what that one says later', async () => {
  const members = cluster();
  const first = heldRunner();
  const view = members.join('first');
  const doomed = await startOwner(view, 'first', [first.runner]);
  const ref = await request([task('a', 'held')]);
  await eventually(() => first.held.size === 1, { what: 'the first attempt' });
  const second = heldRunner();
  members.kill('first');
  await startOwner(members.join('second'), 'second', [second.runner]);
  const again = await eventually(() => [...second.held.values()][0], { timeoutMs: 10_000, what: 'the second attempt' });
  expect(again.attempt).toMatchObject({ taskId: 'a', attempt: 2, idempotencyKey: `${ref.execution}/a` });
  again.end({ ok: true, result: { by: 'second' } });
  const execution = await ended(ref);
  expect(execution.state.tasks.get('a')).toMatchObject({ status: 'completed', attempt: 2, losses: 1, result: { by: 'second' } });
  // The one taken for dead hears of it and ends what it still runs.
  await eventually(() => [...first.held.values()].every(({ attempt }) => attempt.signal.aborted), { timeoutMs: 5_000, what: 'the first attempt to be ended' });
  expect(doomed.counts.running).toBeLessThanOrEqual(1);
});

it('goes on behind its checkpoint after a restart, with the executions that were active before it', async () => {
  const { runner, held } = heldRunner();
  const members = cluster();
  const before = await startOwner(members.join('one'), 'one', [noop, runner]);
  const paused = await request([task('a', 'held'), task('b', 'noop', { dependsOn: ['a'] })]);
  const attempt = await eventually(() => [...held.values()][0], { what: 'the attempt' });
  await command(paused, 'PauseExecution');
  attempt.end({ ok: true, result: {} });
  await eventually(async () => (await load(log, paused)).state.tasks.get('a')?.status === 'completed', { what: 'a completed' });
  for (let i = 0; i < 20; i++) await ended(await request([task('n', 'noop')]));
  await before.stop(0, 100);
  members.kill('one');
  await startOwner(members.join('two'), 'two', [noop, runner]);
  await command(paused, 'ResumeExecution');
  expect((await ended(paused)).state.status).toBe('completed');
});

it('survives a killed broker: what was running is recorded once it is back', async () => {
  const { runner, held } = heldRunner();
  await startOwner(cluster().join('one'), 'one', [runner]);
  const ref = await request([task('a', 'held')]);
  const attempt = await eventually(() => [...held.values()][0], { what: 'the attempt' });
  await server.kill();
  attempt.end({ ok: true, result: { kept: true } });
  await server.restart();
  const execution = await ended(ref);
  expect(execution.state.tasks.get('a')).toMatchObject({ status: 'completed', attempt: 1, result: { kept: true } });
});

it('halts an execution whose history it can not fold, and drives the others on', async () => {
  await startOwner(cluster().join('one'), 'one', [noop]);
  const bad = { tenant: 'default', execution: randomUUID() };
  const events = [{ type: 'ExecutionTeleported', at: new Date().toISOString(), cause: 'x', actor: 'x', correlationId: 'x', data: {} }];
  const body = Buffer.from(JSON.stringify({ id: randomUUID(), version: 1, previous: 'x', events }));
  await log.append({ ref: bad, id: 'x', body, expected: 0 });
  const good = await request([task('a', 'noop')]);
  expect((await ended(good)).state.status).toBe('completed');
  expect((await log.history(bad)).length).toBe(1);
});
