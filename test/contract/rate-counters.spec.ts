import { RateCounters } from '#libs/jetstream';
import { eventually } from '#libs/testing';
import { startBroker } from './servers.js';

describe('rate counters', () => {
  it('count what all clients add, each value once; a broker that is away is nobody’s delay', async () => {
    const broker = await startBroker({});
    try {
      const counters = [broker.nats, (await broker.connect()).nats].map((nats) => new RateCounters(nats));
      const values = await Promise.all(Array.from({ length: 400 }, (_, n) => counters[n % 2]!.increment('rates.1.start.acme')));
      expect(values.map(Number).toSorted((a, b) => a - b)).toEqual(Array.from({ length: 400 }, (_, n) => n + 1));
      expect(await counters[0]!.increment('rates.2.start.acme')).toBe(1);
      expect(await counters[0]!.increment('elsewhere')).toBeUndefined();

      await broker.server.kill();
      await eventually(() => !broker.nats.connected, { what: 'the connection to be lost' });
      const from = Date.now();
      for (let n = 0; n < 100; n++) expect(await counters[0]!.increment('rates.1.start.acme')).toBeUndefined();
      expect(Date.now() - from).toBeLessThan(1_000);
      await broker.server.restart();
      await eventually(async () => (await counters[0]!.increment('rates.3.start.acme')) !== undefined, { timeoutMs: 20_000, what: 'counts again' });
    } finally {
      await broker.close();
    }
  }, 60_000);
});
