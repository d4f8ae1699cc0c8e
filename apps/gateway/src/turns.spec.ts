import { Turns } from './turns.js';

const held = (): { promise: Promise<void>; end: () => void; fail: () => void } => {
  let end = (): void => undefined;
  let fail = (): void => undefined;
  const promise = new Promise<void>((resolve, reject) => {
    end = resolve;
    fail = () => reject(new Error('broken'));
  });
  return { promise, end, fail };
};

it('lets one begin only when the one before it has ended, well or not; other names do not wait', async () => {
  const turns = new Turns();
  const order: string[] = [];
  const [first, second] = [held(), held()];
  const turn = (name: string, label: string, work: Promise<void>): Promise<void> =>
    turns.take(name, () => {
      order.push(label);
      return work;
    });
  const one = turn('a', 'one', first.promise);
  const two = turn('a', 'two', second.promise);
  const three = turn('a', 'three', Promise.resolve());
  await turn('b', 'other', Promise.resolve());
  expect(order).toEqual(['one', 'other']);
  first.fail();
  await expect(one).rejects.toThrow('broken');
  second.end();
  await Promise.all([two, three]);
  expect(order).toEqual(['one', 'other', 'two', 'three']);
});

it('says of a turn that did not come in time that nothing was done', async () => {
  const turns = new Turns(-1);
  const work = (): Promise<void> => Promise.reject(new Error('this is not begun'));
  await expect(turns.take('a', work)).rejects.toMatchObject({ status: 503, code: 'EXECUTION_BUSY', extra: { retryAfterSeconds: 1 } });
});
