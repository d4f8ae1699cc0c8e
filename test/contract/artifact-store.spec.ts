import { createHash, randomBytes } from 'node:crypto';
import { jetstream } from '@nats-io/jetstream';
import { Objm } from '@nats-io/obj';
import { ArtifactStore, type ByteRange } from '#libs/jetstream';
import { natsServers } from '#libs/testing';
import { type Broker, MIB, startBroker } from './servers.js';

const CHUNK = 128 * 1024;

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const ref = (object: string, tenant = 'acme'): { tenant: string; object: string } => ({ tenant, object });

async function* piecesOf(bytes: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield await Promise.resolve(bytes.subarray(at, at + size));
}

const collected = async (bytes: AsyncIterable<Uint8Array>): Promise<Buffer> => {
  const all: Uint8Array[] = [];
  for await (const piece of bytes) all.push(piece);
  return Buffer.concat(all);
};

describe.each(natsServers())('bytes of artifacts on $name', ({ name: version }) => {
  let broker: Broker;
  let store: ArtifactStore;
  beforeAll(async () => {
    broker = await startBroker({ version }, { logMaxBytes: 64 * MIB, tenants: ['acme'], artifactBucketBytes: 32 * MIB });
    store = new ArtifactStore(broker.nats, { maxBytes: 8 * MIB });
  }, 30_000);
  afterAll(() => broker.close());

  const messages = async (tenant = 'acme'): Promise<number> => (await stateOf(tenant)).messages;
  const stateOf = async (tenant: string) => (await (await jetstream(broker.nats.connection).jetstreamManager()).streams.info(`OBJ_artifacts_${tenant}`)).state;

  it.each([0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 5 * CHUNK + 7])('are read as they were stored: %i of them', async (size) => {
    const bytes = randomBytes(size);
    const stored = await store.put(ref(`whole-${size}`), piecesOf(bytes, 50_000));
    expect(stored).toEqual({ size, sha256: sha256(bytes) });
    expect(sha256(await collected(store.read(ref(`whole-${size}`))))).toBe(stored.sha256);
  });

  it('are what every client of object stores reads', async () => {
    const bytes = randomBytes(2 * CHUNK + 3);
    await store.put(ref('for-all'), piecesOf(bytes, CHUNK), { execution: 'e' });
    const bucket = await new Objm(jetstream(broker.nats.connection)).open('artifacts_acme');
    expect(Buffer.from((await bucket.getBlob('for-all')) ?? []).equals(bytes)).toBe(true);
    expect((await bucket.info('for-all'))?.metadata).toEqual({ execution: 'e' });
  });

  it('are read from anywhere to anywhere, also where several were stored at the same time', async () => {
    const all = await Promise.all(
      ['one', 'two', 'three'].map(async (name) => {
        const bytes = randomBytes(20 * CHUNK + 1_000);
        await store.put(ref(name), piecesOf(bytes, 40_000));
        return { name, bytes };
      }),
    );
    const end = 20 * CHUNK + 1_000;
    const ranges: ByteRange[] = [
      { from: 0, to: 1 },
      { from: CHUNK - 1, to: CHUNK + 1 },
      { from: 7 * CHUNK, to: 8 * CHUNK },
      { from: 13 * CHUNK + 5, to: 19 * CHUNK - 5 },
      { from: end - 1, to: end },
      { from: end - 10, to: end + 10 },
      { from: end, to: end + 10 },
      { from: 0, to: end },
    ];
    for (const { name, bytes } of all) {
      for (const range of ranges) {
        const read = await collected(store.read(ref(name), range));
        expect([name, range, read.equals(bytes.subarray(range.from, range.to))]).toEqual([name, range, true]);
      }
    }
  });

  it('are read a page at a time: who stops early is sent little of the rest', async () => {
    await store.put(ref('large'), piecesOf(randomBytes(10 * MIB), MIB));
    const [early, ranged] = [(await broker.connect()).nats, (await broker.connect()).nats];
    for await (const piece of new ArtifactStore(early).read(ref('large'))) if (piece.length > 0) break;
    await early.close();
    expect(early.connection.stats().inBytes).toBeLessThan(5 * MIB);
    // Of the bytes before a range none are: two probes and what is wanted.
    await collected(new ArtifactStore(ranged).read(ref('large'), { from: 9 * MIB, to: 9 * MIB + 10 }));
    expect(ranged.connection.stats().inBytes).toBeLessThan(MIB);
  });

  it('that end too early leave nothing behind', async () => {
    const before = await messages();
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield randomBytes(3 * CHUNK);
      await Promise.resolve();
      throw new Error('the client is gone');
    }
    await expect(store.put(ref('broken'), broken())).rejects.toThrow('the client is gone');
    expect(await messages()).toBe(before);
    await expect(collected(store.read(ref('broken')))).rejects.toMatchObject({ code: 'ARTIFACT_DAMAGED' });
  });

  it('that are deleted are gone, and again changes nothing', async () => {
    const before = await messages();
    await store.put(ref('gone'), piecesOf(randomBytes(3 * CHUNK), CHUNK));
    expect(await messages()).toBe(before + 4);
    await store.delete(ref('gone'));
    await store.delete(ref('gone'));
    expect(await messages()).toBe(before);
  });

  it('of which one is missing are not answered as if it were not', async () => {
    await store.put(ref('damaged'), piecesOf(randomBytes(5 * CHUNK), CHUNK));
    const manager = await jetstream(broker.nats.connection).jetstreamManager();
    const { last_seq: last } = await stateOf('acme');
    await manager.streams.deleteMessage('OBJ_artifacts_acme', last - 2);
    await expect(collected(store.read(ref('damaged')))).rejects.toMatchObject({ code: 'ARTIFACT_DAMAGED' });
    await expect(collected(store.read(ref('damaged'), { from: 3 * CHUNK, to: 4 * CHUNK }))).rejects.toMatchObject({ code: 'ARTIFACT_DAMAGED' });
    expect(await collected(store.read(ref('damaged'), { from: 4 * CHUNK, to: 5 * CHUNK }))).toHaveLength(CHUNK);
  });

  it('of another tenant are in a bucket of its own, made when it is needed, and as large as it may be', async () => {
    await store.put(ref('same', 'other'), piecesOf(Buffer.from('theirs'), 10));
    await store.put(ref('same'), piecesOf(Buffer.from('ours'), 10));
    expect(String(await collected(store.read(ref('same', 'other'))))).toBe('theirs');
    await expect(store.put(ref('much', 'other'), piecesOf(randomBytes(9 * MIB), MIB))).rejects.toMatchObject({ code: 'ARTIFACT_STORE_FULL' });
    expect((await stateOf('other')).messages).toBe(2);
    expect(String(await collected(store.read(ref('same', 'other'))))).toBe('theirs');
  });

  it('are refused while the broker is away, and nothing waits for it', async () => {
    const { nats } = await broker.connect();
    await nats.close();
    const away = new ArtifactStore(nats);
    await expect(away.put(ref('away'), piecesOf(randomBytes(10), 10))).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE', retryable: true });
    await expect(collected(away.read(ref('for-all')))).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' });
  });
});
