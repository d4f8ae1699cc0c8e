import { SharedStorage } from './rate-limits.js';

const counted = (): { readonly asked: string[]; increment(subject: string): Promise<number> } => {
  const values = new Map<string, number>();
  const asked: string[] = [];
  return {
    asked,
    increment: (subject) => {
      asked.push(subject);
      values.set(subject, (values.get(subject) ?? 0) + 1);
      return Promise.resolve(values.get(subject) ?? 0);
    },
  };
};

describe('the shared storage', () => {
  it('counts by windows of time, says when one ends, and does not ask about one that is full', async () => {
    let now = 60_000;
    const counters = counted();
    const storage = new SharedStorage(counters, () => now);
    expect(await storage.increment('start.acme', 60_000, 1)).toEqual({ totalHits: 1, isBlocked: false, timeToExpire: 60, timeToBlockExpire: 60 });
    now = 90_500;
    for (let n = 0; n < 5; n++) expect(await storage.increment('start.acme', 60_000, 1)).toMatchObject({ totalHits: 2, isBlocked: true, timeToBlockExpire: 30 });
    expect(counters.asked).toEqual(['rates.1.start.acme', 'rates.1.start.acme']);
    now = 120_000;
    expect(await storage.increment('start.acme', 60_000, 1)).toMatchObject({ totalHits: 1, isBlocked: false });
    expect(await storage.increment('start.other.red', 60_000, 1)).toMatchObject({ totalHits: 1, isBlocked: false });
    expect(counters.asked.slice(2)).toEqual(['rates.2.start.acme', 'rates.2.start.other.red']);
  });

  it('refuses nobody while it can not be asked', async () => {
    const storage = new SharedStorage({ increment: () => Promise.resolve(undefined) });
    for (let n = 0; n < 5; n++) expect(await storage.increment('start.acme', 60_000, 1)).toMatchObject({ isBlocked: false });
  });
});
