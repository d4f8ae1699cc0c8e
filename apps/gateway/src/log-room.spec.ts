import { jest } from '@jest/globals';
import type { LogInfo } from '#libs/jetstream';
import { LogRoom } from './log-room.js';

const info = (bytes: number, maxBytes = 1_000): LogInfo => ({ incarnation: 'i', lastSequence: 1, bytes, maxBytes });

let answer: () => Promise<LogInfo>;
let room: LogRoom;
beforeEach(() => {
  jest.useFakeTimers();
  room = new LogRoom({ info: () => answer() });
});
afterEach(() => {
  room.stop();
  jest.useRealTimers();
});

const after = async (looked: () => Promise<LogInfo>): Promise<boolean> => {
  answer = looked;
  await jest.advanceTimersByTimeAsync(1_000);
  return room.isNearlyFull;
};

it('is nearly full above 85 %, and no longer once there is room', async () => {
  expect(await after(() => Promise.resolve(info(850)))).toBe(false);
  expect(await after(() => Promise.resolve(info(851)))).toBe(true);
  expect(await after(() => Promise.resolve(info(10)))).toBe(false);
});

it('keeps what it knew while the log can not be asked', async () => {
  expect(await after(() => Promise.resolve(info(900)))).toBe(true);
  expect(await after(() => Promise.reject(new Error('away')))).toBe(true);
});

it('is never full without a limit', async () => {
  expect(await after(() => Promise.resolve(info(1e12, -1)))).toBe(false);
});
