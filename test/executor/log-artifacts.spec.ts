import { randomUUID } from 'node:crypto';
import { ArtifactRoom } from '#libs/artifacts';
import type { EventData, ExecutionRef } from '#libs/contracts';
import { ArtifactStore, OutputStore } from '#libs/jetstream';
import { LogError, type LogStore } from '#libs/ledger';
import { eventually } from '#libs/testing';
import type { Backlog } from '../../apps/executor/src/backlog.js';
import { systemClock } from '../../apps/executor/src/clock.js';
import { type LogArtifactsOptions, logArtifacts } from '../../apps/executor/src/log-artifacts.js';
import { type Broker, MIB, startBroker } from '../contract/servers.js';
import { MemoryCheckpoints, Stage, cluster, noop, task } from './stage.js';

let broker: Broker;
let output: OutputStore;
let store: ArtifactStore;
let checkpoints: MemoryCheckpoints;
let stage: Stage;
let ref: ExecutionRef;
let warnings: unknown[];
beforeAll(async () => {
  broker = await startBroker({}, { logMaxBytes: 64 * MIB, tenants: ['default'], artifactBucketBytes: 32 * MIB });
  output = new OutputStore(broker.nats);
  store = new ArtifactStore(broker.nats);
}, 30_000);
afterAll(() => broker.close());
beforeEach(() => {
  checkpoints = new MemoryCheckpoints();
  stage = new Stage(broker.log, checkpoints);
  ref = { tenant: 'default', execution: randomUUID() };
  warnings = [];
});
afterEach(() => stage.stop());

const making = (more: Partial<LogArtifactsOptions> = {}): Backlog =>
  logArtifacts({ log: broker.log, output, store, room: new ArtifactRoom(() => undefined, () => Promise.resolve(undefined)), maxBytes: MIB, incarnation: 'x', clock: { ...systemClock, after: (_, callback) => systemClock.after(5, callback) }, warn: (error) => warnings.push(error), ...more });

const request = async (logArtifact = true): Promise<void> => {
  const plan = { name: 'p', tasks: [task('a', 'noop')], ...(logArtifact && { logArtifact }) };
  await stage.submit(ref, { type: 'RequestExecution', plan, name: 'p', labels: {}, input: {}, dialect: 'canonical' });
};

const write = async (taskId: string, text: string, more: { readonly stream?: 'stdout' | 'stderr'; readonly attempt?: number } = {}): Promise<void> =>
  await output.append(ref, taskId, { attempt: 1, stream: 'stdout', chunk: 1, time: '2026-01-02T03:04:05.678Z', truncated: false, bytes: Buffer.from(text), ...more });

const created = async (): Promise<readonly EventData['ArtifactCreated'][]> =>
  (await broker.log.history(ref)).flatMap(({ commit }) => commit.events.flatMap((event) => (event.type === 'ArtifactCreated' ? [event.data] : [])));

const made = async (): Promise<EventData['ArtifactCreated']> =>
  await eventually(async () => (await created())[0], { timeoutMs: 15_000, what: 'the artifact' });

const objects = async (): Promise<readonly string[]> => {
  const all: string[] = [];
  for await (const page of store.wholeObjects('default')) for (const { object, execution } of page) if (execution === ref.execution) all.push(object);
  return all;
};

const textOf = async (object: string): Promise<string> => {
  const parts: Uint8Array[] = [];
  for await (const part of store.read({ tenant: 'default', object })) parts.push(part);
  return String(Buffer.concat(parts));
};

const start = async (incarnation: string, backlog: Backlog) => await stage.startOwner(cluster().join(incarnation), incarnation, [noop], { logArtifacts: backlog });

it('an execution whose plan asks for it has all its output as an artifact once it has ended, and no other one has', async () => {
  await write('a', 'one\ntw');
  await write('b', '\u001b[31mred\u001b[0m\n', { stream: 'stderr', attempt: 2 });
  await write('a', 'o\nno end');
  await start('one', making());
  await request();
  const { object, ...artifact } = await made();
  const text = ['a/1 stdout one', 'b/2 stderr red', 'a/1 stdout two', 'a/1 stdout no end'].map((line) => `2026-01-02T03:04:05.678Z ${line}\n`).join('');
  expect(await textOf(object)).toBe(text);
  expect(artifact).toMatchObject({ name: 'output.log', type: 'log', mimeType: 'text/plain; charset=utf-8', size: text.length, public: false });
  const { state } = await stage.ended(ref);
  expect([state.status, [...state.artifacts.keys()]]).toEqual(['completed', [artifact.artifactId]]);

  const asking = ref;
  ref = { ...ref, execution: randomUUID() };
  await request(false);
  await stage.ended(ref);
  // Whoever ends behind it has its turn behind it.
  const silent = ref;
  ref = { ...ref, execution: randomUUID() };
  await request();
  expect(await made()).toMatchObject({ size: 0, mimeType: 'text/plain; charset=utf-8', type: 'log' });
  ref = silent;
  expect([await created(), await objects()]).toEqual([[], []]);
  ref = asking;
  expect(await objects()).toEqual([object]);
});

it('is made once, however many set about it, and not again where it has been deleted', async () => {
  await write('a', 'one\n');
  const owner = await start('one', making());
  await request();
  const { artifactId, object } = await made();
  await eventually(() => owner.counts.active === 0, { what: 'the end' });
  await stage.stop();
  const others = Array.from({ length: 4 }, () => making());
  for (const other of others) other.add(ref, 1);
  await eventually(() => others.every(({ size }) => size === 0), { what: 'the others to see it' });
  await stage.submit(ref, { type: 'DeleteArtifact', artifactId });
  others[0]?.add(ref, 1);
  await eventually(() => others[0]?.size === 0, { what: 'it to see that it is gone' });
  expect([(await created()).length, await objects(), warnings]).toEqual([1, [object], []]);
});

it('is made once where several store it at the same time', async () => {
  await write('a', 'one\n');
  await stage.startOwner(cluster().join('one'), 'one', [noop]);
  await request();
  await stage.ended(ref);
  const waiting: (() => void)[] = [];
  const together: LogArtifactsOptions['store'] = {
    delete: (object) => store.delete(object),
    put: async (...of) => {
      const stored = await store.put(...of);
      await new Promise<void>((go) => void (waiting.push(go) === 3 && waiting.forEach((each) => each())));
      return stored;
    },
  };
  const all = Array.from({ length: 3 }, () => making({ store: together }));
  for (const each of all) each.add(ref, 1);
  await eventually(() => all.every(({ size }) => size === 0), { what: 'all to be done' });
  const artifacts = await created();
  expect([artifacts.length, await objects()]).toEqual([1, artifacts.map(({ object }) => object)]);
});

describe('an executor that dies between the bytes and the event', () => {
  /** Nobody knows of its commit, and there is none. */
  const died = async (): Promise<void> => {
    await write('a', 'one\n');
    const { log } = broker;
    const append = (): Promise<never> => Promise.reject(new LogError('OUTCOME_UNKNOWN', 'gone'));
    const cutOff: LogStore = { append, history: (...of) => log.history(...of), head: () => log.head(), follow: (...of) => log.follow(...of), at: (sequence) => log.at(sequence) };
    await start('one', making({ log: cutOff, clock: systemClock }));
    await request();
    await eventually(async () => (await objects()).length === 1, { what: 'the bytes' });
    expect(await created()).toEqual([]);
  };

  it('is followed by one that makes it, although its checkpoint is behind the end', async () => {
    await died();
    // Stopping writes where it has come to.
    await stage.stop();
    const { sequence } = await stage.ended(ref);
    const marks = [...checkpoints.values.values()].flatMap((value) => (value as { position?: { sequence: number } }).position?.sequence ?? []);
    expect(Math.min(...marks)).toBeGreaterThanOrEqual(sequence);
    await start('two', making());
    expect(await textOf((await made()).object)).toContain('a/1 stdout one');
  });

  it('is followed by one that makes it, from the log alone', async () => {
    await died();
    await stage.stop();
    checkpoints.values.clear();
    await start('two', making());
    expect(await textOf((await made()).object)).toContain('a/1 stdout one');
  });
});

it('leaves nothing where its execution is deleted meanwhile', async () => {
  await write('a', 'one\n');
  await stage.startOwner(cluster().join('one'), 'one', [noop]);
  await request();
  await stage.ended(ref);
  const late = making({
    store: {
      delete: (object) => store.delete(object),
      put: async (...of) => {
        const stored = await store.put(...of);
        await stage.submit(ref, { type: 'DeleteExecution' });
        return stored;
      },
    },
  });
  late.add(ref, 1);
  await eventually(() => late.size === 0, { what: 'it to give up' });
  expect([await objects(), warnings]).toEqual([[], []]);
});

it('is tried again while it can not be stored, and says so', async () => {
  let failures = 2;
  const failing = { delete: store.delete.bind(store), put: (...of: Parameters<ArtifactStore['put']>) => (failures-- > 0 ? Promise.reject(new Error('full')) : store.put(...of)) };
  await start('one', making({ store: failing }));
  await request();
  await made();
  expect(warnings).toHaveLength(2);
});

it('waits for a broker that has not read on to the end of the output', async () => {
  await write('a', 'one\n');
  await write('a', 'two\n');
  let reads = 0;
  const behind: LogArtifactsOptions['output'] = {
    lastSequence: (of) => output.lastSequence(of),
    read: async (of, taskId, range) => await output.read(of, taskId, reads++ === 0 ? { ...range, limit: 1 } : range).then(({ chunks }) => ({ chunks, more: false })),
  };
  await start('one', making({ output: behind }));
  await request();
  expect(await textOf((await made()).object)).toMatch(/one\n.* two\n$/);
  expect([reads, warnings.length, (await objects()).length]).toEqual([2, 1, 1]);
});

it('holds as much as an artifact may have, and says where there is more', async () => {
  await write('a', `${'x'.repeat(99)}\n`.repeat(300));
  await start('one', making({ maxBytes: 10_000 }));
  await request();
  const { object, size } = await made();
  const lines = (await textOf(object)).trimEnd().split('\n');
  expect(size).toBeLessThanOrEqual(10_000);
  // Each takes 136 bytes.
  expect(lines).toHaveLength(Math.floor((10_000 - 69) / 136) + 1);
  expect(lines.at(-1)).toBe('[runledger] not all of it: the rest does not fit into one artifact');
});
