import { randomBytes } from 'node:crypto';
import { ArtifactStore, JetStreamLog } from '#libs/jetstream';
import { eventually, natsServers } from '#libs/testing';
import { commitFor, sequenceOf, someone } from './commits.js';
import { type Broker, MIB, startBroker } from './servers.js';

/** nats-server ends the connection of who leaves 64 MiB of answers unread. */
describe.each(natsServers())('a connection to $name', ({ name: version }) => {
  let broker: Broker;
  beforeAll(async () => {
    broker = await startBroker({ version }, { logMaxBytes: 64 * MIB, tenants: ['acme'], artifactBucketBytes: 64 * MIB });
  }, 30_000);
  afterAll(() => broker.close());

  it('is kept while many read large files at once', async () => {
    const store = new ArtifactStore(broker.nats);
    const bytes = randomBytes(8 * MIB);
    async function* whole(): AsyncGenerator<Uint8Array> {
      yield await Promise.resolve(bytes);
    }
    await store.put({ tenant: 'acme', object: 'large' }, whole());
    let lost = 0;
    const forget = broker.nats.onDisconnect(() => (lost += 1));
    const sizes = await Promise.all(
      Array.from({ length: 100 }, async () => {
        let size = 0;
        for await (const piece of store.read({ tenant: 'acme', object: 'large' })) size += piece.length;
        return size;
      }),
    );
    forget();
    expect(lost).toBe(0);
    expect(new Set(sizes)).toEqual(new Set([bytes.length]));
  }, 60_000);

  it('is kept while many read long histories at once', async () => {
    const [log, ref] = [new JetStreamLog(broker.nats), someone()];
    for (let [version, sequence] = [1, 0]; version <= 40; version += 1) {
      sequence = sequenceOf(await log.append(commitFor(ref, sequence, { version, padding: 200_000 })));
    }
    let lost = 0;
    const forget = broker.nats.onDisconnect(() => (lost += 1));
    // Who gets no turn in time is told so, and asks again.
    const whole = (): Promise<boolean> => eventually(async () => (await log.history(ref)).length === 40, { timeoutMs: 50_000, what: 'a whole history' });
    await Promise.all(Array.from({ length: 100 }, whole));
    forget();
    expect(lost).toBe(0);
  }, 60_000);
});
