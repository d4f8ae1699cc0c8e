import { setImmediate as turn } from 'node:timers/promises';
import { logSubject } from '#libs/contracts';
import { seal, unborn } from '#libs/ledger';
import type { Delivered } from './pull.js';
import { Tail } from './tail.js';

/** Delivers what the test says, when it says so. */
class FakePull {
  private arrived: ((messages: readonly Delivered[]) => void)[] = [];
  private failed: ((error: Error) => void)[] = [];
  asked = 0;
  isClosed = false;

  next(): Promise<readonly Delivered[]> {
    this.asked += 1;
    return new Promise((resolve, reject) => {
      this.arrived.push(resolve);
      this.failed.push(reject);
    });
  }

  async deliver(...sequences: readonly number[]): Promise<void> {
    for (const resolve of this.arrived.splice(0)) resolve(sequences.map(message));
    await turn();
  }

  async fail(): Promise<void> {
    for (const reject of this.failed.splice(0)) reject(new Error('the connection was lost'));
    await turn();
  }

  close(): void {
    this.isClosed = true;
  }
}

const ref = { tenant: 't', execution: 'e' };
const { body } = seal(unborn(ref), [{ type: 'ExecutionPaused', at: '2026-01-01T00:00:00.000Z', cause: 'c', actor: 'a', correlationId: 'k', data: {} }]);
const message = (sequence: number): Delivered => ({ subject: logSubject(ref), sequence, storedAt: '2026-01-01T00:00:00.000Z', data: body, pending: 0 });
const sequences = (messages: readonly { readonly sequence: number }[]): readonly number[] => messages.map(({ sequence }) => sequence);

const stage = (floor = 10) => {
  const pull = new FakePull();
  return { pull, tail: new Tail(pull, floor) };
};

it('hands each message to every reader, read and parsed once', async () => {
  const { pull, tail } = stage();
  const reading = [tail.join(10), tail.join(10)].map((reader) => reader.next(500));
  await pull.deliver(11, 12);
  const [one = [], other = []] = await Promise.all(reading);
  expect(sequences(one)).toEqual([11, 12]);
  expect(other).toEqual(one);
  expect(one[0]?.stored).toMatchObject({ ref, sequence: 11, commit: { version: 1 } });
  expect(other[0]?.stored).toBe(one[0]?.stored);
  expect(pull.asked).toBe(1);
});

it('keeps for a slower reader what others have had, each as much at a time as it wants', async () => {
  const { pull, tail } = stage();
  const [quick, slow] = [tail.join(10), tail.join(10)];
  const first = quick.next(500);
  await pull.deliver(11, 12, 13);
  await first;
  const second = quick.next(500);
  await pull.deliver(14);
  expect(sequences(await second)).toEqual([14]);
  expect(sequences(await slow.next(2))).toEqual([11, 12]);
  expect(sequences(await slow.next(500))).toEqual([13, 14]);
});

it('covers only what it holds or is going to read, so that who joins misses nothing and gets nothing twice', async () => {
  const { pull, tail } = stage();
  expect([9, 10, 11].map((after) => tail.covers(after))).toEqual([false, true, false]);
  const [quick, slow] = [tail.join(10), tail.join(10)];
  const reading = quick.next(500);
  await pull.deliver(11, 15, 16);
  await reading;
  expect([9, 10, 11, 13, 16, 17].map((after) => tail.covers(after))).toEqual([false, true, true, true, true, false]);
  expect(sequences(await tail.join(15).next(500))).toEqual([16]);
  expect(sequences(await tail.join(13).next(500))).toEqual([15, 16]);
  await slow.next(2);
  expect(tail.covers(14)).toBe(false);
  expect(tail.covers(15)).toBe(true);
});

it('tells a reader that has fallen too far behind, and holds no more for it', async () => {
  const { pull, tail } = stage(0);
  const [quick, slow] = [tail.join(0), tail.join(0)];
  for (let from = 1; from <= 2_500; from += 500) {
    const reading = quick.next(500);
    await pull.deliver(...Array.from({ length: 500 }, (_, i) => from + i));
    expect(await reading).toHaveLength(500);
  }
  const last = quick.next(500);
  await pull.deliver(2_501);
  expect(sequences(await last)).toEqual([2_501]);
  await expect(slow.next(500)).rejects.toThrow('too far ahead');
  expect(tail.covers(0)).toBe(false);
});

it('is empty for all who wait when the broker says that nothing is there', async () => {
  const { pull, tail } = stage();
  const reading = tail.join(10).next(500);
  await pull.deliver();
  expect(await reading).toEqual([]);
});

it('ends for everybody with the pull', async () => {
  const { pull, tail } = stage();
  const [waiting, busy] = [tail.join(10), tail.join(10)];
  const reading = waiting.next(500);
  const refused = expect(reading).rejects.toThrow('the connection was lost');
  await pull.fail();
  await refused;
  await expect(busy.next(500)).rejects.toThrow('the connection was lost');
  expect(tail.hasEnded).toBe(true);
  expect(tail.covers(10)).toBe(false);
});

it('lets a reader go that waits, and the pull with the last one', async () => {
  const { pull, tail } = stage();
  const [one, other] = [tail.join(10), tail.join(10)];
  const reading = one.next(500);
  one.close();
  await expect(reading).rejects.toThrow('closed');
  expect(pull.isClosed).toBe(false);
  other.close();
  expect(pull.isClosed).toBe(true);
  expect(tail.hasEnded).toBe(true);
});
