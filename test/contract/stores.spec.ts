import { randomUUID } from 'node:crypto';
import { Catalog, Checkpoints, FEED_BATCH_MAX, type FeedMessage, FeedStream, OutputStore, connectNats } from '#libs/jetstream';
import { eventually, natsServers } from '#libs/testing';
import { someone } from './commits.js';
import { type Broker, startBroker } from './servers.js';
import { startProxy } from './swallowing-proxy.js';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe.each(natsServers())('the stores beside the log, on $name', ({ name: version }) => {
  let broker: Broker;
  beforeAll(async () => {
    broker = await startBroker({ version });
  });
  afterAll(() => broker.close());

  describe('checkpoints', () => {
    it('keep the last value of a key until it is deleted', async () => {
      const checkpoints = await Checkpoints.open(broker.nats);
      const key = `owner.${randomUUID()}`;
      expect(await checkpoints.get(key)).toBeUndefined();
      await checkpoints.put(key, { position: 1 });
      await checkpoints.put(key, { position: 2 });
      expect(await (await Checkpoints.open((await broker.connect()).nats)).get(key)).toEqual({ position: 2 });
      await checkpoints.delete(key);
      expect(await checkpoints.get(key)).toBeUndefined();
    });
  });

  describe('a catalog', () => {
    type Entry = { readonly n: number };
    const open = async (): Promise<Catalog<Entry>> => Catalog.open<Entry>((await broker.connect()).nats, 'keys');

    it('knows at once what it stored, soon what others did, and all of it from the start', async () => {
      const [one, other, key] = [await open(), await open(), randomUUID()];
      await one.put(key, { n: 1 });
      expect(one.get(key)).toEqual({ n: 1 });
      await eventually(() => other.get(key)?.n === 1, { what: 'the other catalog to know the entry' });
      expect((await open()).get(key)).toEqual({ n: 1 });
      expect(await other.delete(key)).toBe(true);
      expect(other.get(key)).toBeUndefined();
      await eventually(() => one.get(key) === undefined, { what: 'the first catalog to know that it is gone' });
      expect(await one.delete(key)).toBe(false);
      for (const catalog of [one, other]) catalog.stop();
    });

    it('keeps the first of those who create the same entry, and tells the others', async () => {
      const [one, other, key] = [await open(), await open(), randomUUID()];
      const answers = await Promise.all([one.create(key, { n: 1 }), other.create(key, { n: 2 })]);
      const [kept] = answers.filter((answer) => answer !== undefined);
      expect(answers.filter((answer) => answer === undefined)).toHaveLength(1);
      expect([one.get(key), other.get(key)]).toEqual([kept, kept]);
      for (const catalog of [one, other]) catalog.stop();
    });

    it('loses no change when many change the same entry', async () => {
      const [catalogs, key] = [await Promise.all([open(), open(), open()]), randomUUID()];
      await catalogs[0]?.put(key, { n: 0 });
      await Promise.all(catalogs.map((catalog) => catalog.update(key, ({ n }) => ({ n: n + 1 }))));
      await Promise.all(catalogs.map((catalog) => eventually(() => catalog.get(key)?.n === 3, { what: 'all changes to be known' })));
      expect(await catalogs[0]?.update(randomUUID(), (entry) => entry)).toBeUndefined();
      for (const catalog of catalogs) catalog.stop();
    });
  });

  describe('output', () => {
    const chunk = (number: number) =>
      ({ attempt: 1, stream: number % 2 ? 'stdout' : 'stderr', chunk: number, time: '2026-11-20T12:00:00.000Z', truncated: number === 700, otherEnded: true, bytes: bytes(`line ${number}\n`) }) as const;

    it('is read as it was written, of one task or of all, in pages', async () => {
      const [output, ref] = [new OutputStore(broker.nats), someone()];
      await Promise.all(Array.from({ length: 700 }, (_, i) => output.append(ref, 'build', chunk(i + 1))));
      await output.append(ref, 'deploy', chunk(1));
      await output.append(someone(), 'build', chunk(1));

      const all = await output.read(ref, 'build');
      expect(all.more).toBe(false);
      expect(all.chunks.map(({ chunk: number }) => number)).toEqual(Array.from({ length: 700 }, (_, i) => i + 1));
      const stored = { sequence: expect.any(Number), storedAt: expect.stringMatching(/^\d{4}-.+Z$/) };
      expect(all.chunks[699]).toEqual({ ...chunk(700), ...stored, task: 'build', bytes: expect.anything() });
      expect(new TextDecoder().decode(all.chunks[699]?.bytes)).toBe('line 700\n');

      const first = await output.read(ref, undefined, { limit: 600 });
      const rest = await output.read(ref, undefined, { limit: 600, afterSequence: first.chunks.at(-1)!.sequence });
      expect([first.chunks.length, first.more, rest.chunks.length, rest.more]).toEqual([600, true, 101, false]);
      expect(rest.chunks.at(-1)?.task).toBe('deploy');
      expect(await output.read(someone(), undefined)).toEqual({ chunks: [], more: false });
      const exact = await output.read(ref, 'deploy', { limit: 1 });
      expect([exact.chunks.length, exact.more]).toEqual([1, false]);
    });

    it('has a last piece of each task up to a sequence, unless there are more tasks than are asked for', async () => {
      const [output, ref] = [new OutputStore(broker.nats), someone()];
      const big = { ...chunk(2), otherEnded: false, bytes: new Uint8Array(300_000) };
      for (const task of ['a', 'b', 'c', 'd', 'e']) await output.append(ref, task, big);
      await output.append(ref, 'b', chunk(3));
      const told = async (task: string | undefined, range: { upTo?: number; tasks: number }): Promise<unknown> => (await output.last(ref, task, range))?.map((piece) => `${piece.task}${piece.chunk}`);
      expect(await told(undefined, { tasks: 5 })).toEqual(['a2', 'c2', 'd2', 'e2', 'b3']);
      expect(await told(undefined, { tasks: 4 })).toBeUndefined();
      const [, b] = (await output.read(ref, undefined)).chunks;
      expect(await told(undefined, { upTo: b!.sequence, tasks: 5 })).toEqual(['a2', 'b2']);
      expect(await told('b', { tasks: 1 })).toEqual(['b3']);
      expect(await told('b', { upTo: b!.sequence - 1, tasks: 1 })).toEqual([]);
      expect(await told(undefined, { upTo: 0, tasks: 1 })).toEqual([]);
      expect((await output.last(ref, 'b', { tasks: 1 }))?.[0]?.otherEnded).toBe(true);
      for (let i = 0; i < 1_100; i += 100) await Promise.all(Array.from({ length: 100 }, (_, n) => output.append(ref, `t${i + n}`, chunk(1))));
      expect(await told(undefined, { tasks: 5_000 })).toBeUndefined();
    }, 20_000);

    it('refuses a task id that is no token', async () => {
      await expect(new OutputStore(broker.nats).append(someone(), 'a.b', chunk(1))).rejects.toThrow(RangeError);
    });
  });

  describe('the feed', () => {
    const subject = `events.acme.${randomUUID()}.task.completed`;
    const messages = (from: number, count: number): FeedMessage[] =>
      Array.from({ length: count }, (_, i) => ({ subject, body: `{"n":${from + i}}`, position: `${from + i}/0`, commit: `hash-${from + i}` }));
    let feed: FeedStream;
    beforeEach(async () => {
      feed = new FeedStream(broker.nats);
      await broker.nats.replies.request('$JS.API.STREAM.PURGE.FEED', '', 5_000);
    });

    it('goes on from its own last message', async () => {
      const { sequence } = await feed.head();
      expect(await feed.publish(messages(1, FEED_BATCH_MAX), sequence)).toEqual({ lastSequence: sequence + FEED_BATCH_MAX });
      expect(await feed.head()).toEqual({ sequence: sequence + FEED_BATCH_MAX, position: `${FEED_BATCH_MAX}/0`, commit: `hash-${FEED_BATCH_MAX}` });
      expect(await feed.publish(messages(301, 1), sequence + FEED_BATCH_MAX)).toEqual({ lastSequence: sequence + 301 });
      expect(await feed.head()).toEqual({ sequence: sequence + 301, position: '301/0', commit: 'hash-301' });
    });

    it('has no position when nothing is left, but still its last sequence', async () => {
      const { sequence } = await feed.head();
      await feed.publish(messages(1, 2), sequence);
      await broker.nats.replies.request('$JS.API.STREAM.PURGE.FEED', '', 5_000);
      expect(await feed.head()).toEqual({ sequence: sequence + 2, position: undefined, commit: undefined });
    });

    it.each([1, 50])('fences a publisher of %i that does not know of another', async (count) => {
      const { sequence } = await feed.head();
      const results = await Promise.all([
        feed.publish(messages(1, count), sequence),
        new FeedStream((await broker.connect()).nats).publish(messages(1, count), sequence),
      ]);
      expect(results.filter((result) => result === 'fenced')).toHaveLength(1);
      expect((await feed.head()).sequence).toBe(sequence + count);
    });

    it.each([1, 50])('finds out that %i were published although the answer was lost', async (count) => {
      const proxy = await startProxy(broker.server.port);
      const nats = await connectNats({ url: proxy.url, name: 'behind the proxy' });
      const { sequence } = await feed.head();
      proxy.swallow();
      const result = new FeedStream(nats).publish(messages(1, count), sequence);
      await eventually(async () => (await feed.head()).sequence === sequence + count, { what: 'the messages' });
      proxy.cut();
      expect(await result).toEqual({ lastSequence: sequence + count });
      expect((await feed.head()).sequence).toBe(sequence + count);
      await nats.close();
      await proxy.close();
    });

    it('refuses none and too many', async () => {
      for (const count of [0, FEED_BATCH_MAX + 1]) await expect(feed.publish(messages(1, count), 0)).rejects.toThrow(RangeError);
    });
  });
});
