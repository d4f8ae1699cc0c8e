import { simulate } from './world.js';

it('plays the same when it plays a seed again', async () => {
  for (const seed of [3, 14, 159]) {
    const first = await simulate(seed, { isTraced: true });
    expect(first.trace.length).toBeGreaterThan(10);
    expect(await simulate(seed, { isTraced: true })).toEqual(first);
  }
});
