import { Refusals } from './refusals.js';

describe('refusals', () => {
  it('get a record of their own up to so many a minute; the next one says how many had none', () => {
    let now = 0;
    const refusals = new Refusals(2, () => now);
    expect([1, 2, 3, 4].map(() => refusals.take('a'))).toEqual([0, 0, undefined, undefined]);
    expect(refusals.take('b')).toBe(0);
    now = 60_000;
    expect([1, 2, 3].map(() => refusals.take('a'))).toEqual([2, 0, undefined]);
  });

  it('are remembered of so many callers at most', () => {
    const refusals = new Refusals(1);
    for (let n = 0; n <= 10_000; n++) refusals.take(`caller ${n}`);
    expect(refusals.take('caller 10000')).toBeUndefined();
    expect(refusals.take('caller 0')).toBe(0);
  });
});
