import { Slots } from './slots.js';

const deferred = (): { readonly promise: Promise<void>; readonly resolve: () => void } => {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((done) => (resolve = done));
  return { promise, resolve };
};

describe('slots', () => {
  it('are given to so many at once, then in the order in which they came, also where work fails', async () => {
    const slots = new Slots(1);
    const [first, order] = [deferred(), [] as number[]];
    const one = slots.take(() => first.promise.then(() => Promise.reject(new Error('failed'))));
    const others = [2, 3].map((n) => slots.take(async () => void order.push(await Promise.resolve(n))));
    await Promise.resolve();
    expect(order).toEqual([]);
    first.resolve();
    await expect(one).rejects.toThrow('failed');
    await Promise.all(others);
    expect(order).toEqual([2, 3]);
  });

  it('that do not come in time are not waited for, and go to the next', async () => {
    const slots = new Slots(1);
    const first = deferred();
    const one = slots.take(() => first.promise);
    const late = slots.take(() => Promise.resolve('late'), 1, () => new Error('no turn'));
    const patient = slots.take(() => Promise.resolve('patient'));
    await expect(late).rejects.toThrow('no turn');
    first.resolve();
    await one;
    expect(await patient).toBe('patient');
    expect(await slots.take(() => Promise.resolve('next'), 1)).toBe('next');
  });
});
