import { logSubject } from '#libs/contracts';
import { natsServers } from '#libs/testing';
import { appendChain, someone } from './commits.js';
import { type Broker, startBroker } from './servers.js';

describe.each(natsServers())('a scan of the log on $name', ({ name: version }) => {
  let broker: Broker;
  beforeAll(async () => {
    broker = await startBroker({ version, syncAlways: false });
  });
  afterAll(() => broker.close());

  const scanned = async (...args: Parameters<Broker['log']['scan']>): Promise<readonly (number | string)[]> => {
    const all: (number | string)[] = [];
    for await (const page of broker.log.scan(...args)) {
      expect(page.length).toBeGreaterThan(0);
      all.push(...page.map((message) => ('unreadable' in message ? `${message.sequence} ${message.subject}` : message.sequence)));
    }
    return all;
  };

  it('of an empty log ends at once', async () => {
    expect(await scanned(0)).toEqual([]);
  });

  it('gives every message in its place, also what is no commit, over many pages and up to a sequence', async () => {
    const [one, other] = [someone(), someone()];
    await appendChain(broker.log, one, 600);
    for (const subject of ['log.0.none', logSubject(other)]) await broker.nats.replies.request(subject, 'hello', 5_000);
    await appendChain(broker.log, someone(), 600);
    const { lastSequence } = await broker.log.info();
    expect(lastSequence).toBe(1_202);
    const expected = Array.from({ length: 1_202 }, (_, i) => i + 1);
    const strangers: Readonly<Record<number, string>> = { 601: '601 log.0.none', 602: `602 ${logSubject(other)}` };
    expect(await scanned(lastSequence)).toEqual(expected.map((sequence) => strangers[sequence] ?? sequence));
    expect(await scanned(1_000)).toHaveLength(1_000);
    expect(await scanned(lastSequence, one)).toEqual(expected.slice(0, 600));
    expect(await scanned(5, one)).toEqual([1, 2, 3, 4, 5]);
    expect(await scanned(lastSequence, other)).toEqual([strangers[602]]);
    expect(await scanned(lastSequence, someone())).toEqual([]);
  }, 60_000);
});
