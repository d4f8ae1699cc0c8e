import { MemoryLog } from './memory-log.js';
import { LogError, type LogErrorCode, type LogStore } from './store.js';
import { watchWrites } from './write-watch.js';

const append = { ref: { tenant: 't', execution: 'e' }, id: 'x', body: new Uint8Array([123, 125]), expected: 0 };

/** A log whose appends fail as told, a clock, and how often somebody was told that it is stuck. */
const watched = (): { fail: (code: LogErrorCode | undefined, atMs: number) => Promise<void>; told: () => number; disconnect: () => void } => {
  let [now, told, connected] = [0, 0, true];
  let code: LogErrorCode | undefined;
  const memory = new MemoryLog();
  const log: LogStore = {
    append: () => (code === undefined ? Promise.resolve({ stored: true, sequence: 1 }) : Promise.reject(new LogError(code, 'no'))),
    history: (ref, range) => memory.history(ref, range),
    follow: (from, handler, shards) => memory.follow(from, handler, shards),
    head: () => memory.head(),
    at: (sequence) => memory.at(sequence),
  };
  const watch = watchWrites(log, () => connected, () => (told += 1), () => now);
  return {
    fail: async (as, atMs) => {
      now = atMs;
      code = as;
      await watch.append(append).catch((error: unknown) => expect(error).toBeInstanceOf(LogError));
    },
    told: () => told,
    disconnect: () => {
      connected = false;
    },
  };
};

it('tells that writes are stuck once they have failed for 20 s on end, and again while that lasts', async () => {
  const { fail, told } = watched();
  await fail('OUTCOME_UNKNOWN', 0);
  await fail('LOG_UNAVAILABLE', 19_999);
  expect(told()).toBe(0);
  await fail('OUTCOME_UNKNOWN', 20_000);
  expect(told()).toBe(1);
  await fail('OUTCOME_UNKNOWN', 39_000);
  expect(told()).toBe(1);
  await fail('OUTCOME_UNKNOWN', 40_000);
  expect(told()).toBe(2);
});

it('forgets failures after a success', async () => {
  const { fail, told } = watched();
  await fail('OUTCOME_UNKNOWN', 0);
  await fail(undefined, 10_000);
  await fail('OUTCOME_UNKNOWN', 25_000);
  expect(told()).toBe(0);
});

it('takes neither a full log nor a broker that is away for a stuck one', async () => {
  const { fail, told, disconnect } = watched();
  await fail('LOG_FULL', 0);
  await fail('LOG_FULL', 30_000);
  disconnect();
  await fail('LOG_UNAVAILABLE', 31_000);
  await fail('LOG_UNAVAILABLE', 60_000);
  expect(told()).toBe(0);
});
