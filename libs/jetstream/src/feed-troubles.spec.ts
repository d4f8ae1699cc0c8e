import { LogError } from '#libs/ledger';
import { FeedTroubles } from './feed-troubles.js';

const stage = () => {
  const alarms: string[] = [];
  let now = 0;
  return { alarms, troubles: new FeedTroubles((message) => alarms.push(message), () => now), after: (ms: number) => (now += ms) };
};

describe('what keeps a follower of the feed from going on', () => {
  it('is told where it lasts, once until it has gone on', () => {
    const { alarms, troubles, after } = stage();
    troubles.heard(new Error('no consumer on FEED: maximum consumers limit reached'));
    expect(alarms).toEqual([]);
    after(11_000);
    for (let n = 0; n < 3; n++) troubles.heard(new Error('no consumer on FEED: maximum consumers limit reached'));
    expect(alarms).toEqual([expect.stringContaining('maximum consumers limit reached')]);
    troubles.over();
    troubles.heard(new Error('again'));
    expect(alarms).toHaveLength(1);
    after(11_000);
    troubles.heard(new Error('again'));
    expect(alarms).toHaveLength(2);
  });

  it('is told at once where the reader itself has failed, but not where it could not read the log', async () => {
    const { alarms, troubles } = stage();
    const fails = (error: Error): Promise<void> => troubles.within(Promise.reject(error));
    await expect(fails(new LogError('LOG_UNAVAILABLE', 'away'))).rejects.toThrow('away');
    expect(alarms).toEqual([]);
    for (let n = 0; n < 3; n++) await expect(fails(new TypeError('a bug'))).rejects.toThrow('a bug');
    expect(alarms).toEqual([expect.stringContaining('TypeError: a bug')]);
    await expect(troubles.within(Promise.resolve())).resolves.toBeUndefined();
  });
});
