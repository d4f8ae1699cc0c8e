import { jetstreamManager } from '@nats-io/jetstream';
import { LogError, type StoredCommit } from '#libs/ledger';
import { eventually, natsServers } from '#libs/testing';
import { commitFor, someone } from './commits.js';
import { type Broker, startBroker } from './servers.js';

describe.each(natsServers())('several readers of the whole log in one process, on $name', ({ name: version }) => {
  let broker: Broker;
  beforeEach(async () => void (broker = await startBroker({ version })));
  afterEach(() => broker.close());

  const store = async (count: number): Promise<void> => {
    await Promise.all(Array.from({ length: count }, () => broker.log.append(commitFor(someone(), 0))));
  };
  const consumers = async (): Promise<number> => (await (await jetstreamManager(broker.nats.connection)).streams.info('LOG')).state.consumer_count;
  const follower = async (take: (batch: readonly StoredCommit[]) => void | Promise<void> = () => undefined) => {
    const got: number[] = [];
    const follower = await broker.log.follow(undefined, {
      commits: async (batch) => {
        await take(batch);
        got.push(...batch.map(({ sequence }) => sequence));
      },
      lost: (why) => broker.alarms.push(why),
    });
    return { got, stop: () => follower.stop() };
  };
  const upTo = (last: number): readonly number[] => Array.from({ length: last }, (_, i) => i + 1);
  const have = (readers: readonly { readonly got: readonly number[] }[], last: number): Promise<unknown> =>
    eventually(() => readers.every(({ got }) => got.at(-1) === last), { what: `everything up to ${last}` });

  it('cost one consumer at its end, and each gets everything once and in order, whoever comes and goes', async () => {
    await store(20);
    const [first, second] = [await follower(), await follower()];
    await have([first, second], 20);
    await eventually(async () => (await consumers()) === 1, { what: 'one consumer' });
    await store(300);
    const third = await follower();
    await store(100);
    await have([first, second, third], 420);
    await eventually(async () => (await consumers()) === 1, { what: 'one consumer' });
    await first.stop();
    await store(5);
    await have([second, third], 425);
    expect(first.got).toEqual(upTo(420));
    for (const { got, stop } of [second, third]) {
      expect(got).toEqual(upTo(425));
      await stop();
    }
    await eventually(async () => (await consumers()) === 0, { what: 'no consumer' });
    expect(broker.alarms).toEqual([]);
  });

  it('do not wait for one that fails, which gets the same again', async () => {
    await store(5);
    let failing = false;
    const one = await follower();
    const other = await follower(() => {
      if (failing) throw new LogError('LOG_UNAVAILABLE', 'it needs the broker, too');
    });
    await have([one, other], 5);
    await eventually(async () => (await consumers()) === 1, { what: 'one consumer' });
    failing = true;
    await store(5);
    await have([one], 10);
    await store(5);
    await have([one], 15);
    expect(other.got).toEqual(upTo(5));
    failing = false;
    await have([other], 15);
    await store(1);
    await have([one, other], 16);
    expect(one.got).toEqual(upTo(16));
    expect(other.got).toEqual(upTo(16));
    await eventually(async () => (await consumers()) === 1, { what: 'one consumer' });
    for (const { stop } of [one, other]) await stop();
  });

  it('go on after the broker was away, and share again', async () => {
    const readers = [await follower(), await follower(), await follower()];
    await store(10);
    await have(readers, 10);
    await broker.server.restart();
    await eventually(() => broker.nats.connected, { what: 'the connection' });
    await store(10);
    await have(readers, 20);
    await eventually(async () => (await consumers()) === 1, { what: 'one consumer' });
    for (const { got, stop } of readers) {
      expect(got).toEqual(upTo(20));
      await stop();
    }
  });
});
