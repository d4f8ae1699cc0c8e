import type { TaskOutcome } from '#libs/execution';
import type { Runner } from '#libs/runners';
import { T0, given, request, start, task } from '#libs/testing';
import { type DraftOptions, draftCommit, reportOf } from './commit-draft.js';

const noop: Runner = { name: 'noop', sideEffects: false, check: () => [], run: () => ({ ok: true, result: {} }) };
const options: DraftOptions = {
  ref: { tenant: 'default', execution: 'e-1' },
  host: { runners: new Map([['noop', noop]]), output: () => Promise.resolve() },
  incarnation: 'one',
  now: T0,
  room: 1,
  after: 0,
  mayStart: () => true,
};
const ids = Array.from({ length: 300 }, (_, i) => `t${i}`);
const lost = ids.map((taskId) => reportOf({ type: 'RecordLostAttempt', taskId, attempt: 1 }, 1));
const succeeded = (taskId: string, outcome: TaskOutcome): ReturnType<typeof reportOf> =>
  reportOf({ type: 'RecordOutcome', taskId, attempt: 1, outcome }, 1);
const running = given(request(ids.map((id) => task(id))), ...ids.map((id) => start(id))).state;

it('takes as many reports as fit and says that there are more, also where nothing may start', () => {
  const { events, taken, started, more } = draftCommit(running, lost, { ...options, mayStart: undefined });
  expect([events.length, taken, started, more]).toEqual([200, 100, [], true]);
});

it('counts what is reported in bytes', () => {
  const text = '漢'.repeat(10_000);
  const reports = ids.map((id) => succeeded(id, { ok: true, result: { text } }));
  const { events, taken } = draftCommit(running, reports, { ...options, mayStart: undefined });
  expect(taken).toBe(5);
  expect(Buffer.byteLength(JSON.stringify(events))).toBeLessThan(256 * 1024);
});

it('holds one command at least, however little room there is', () => {
  const { taken, more } = draftCommit(running, lost, { ...options, room: 1 / 1024, mayStart: undefined });
  expect([taken, more]).toEqual([1, true]);
});

it('runs what has no side effects on the spot, and names what is to be started', () => {
  const requested = given(request([task('a', { runner: 'noop' }), task('b', { dependsOn: ['a'] })])).state;
  const { events, started, more } = draftCommit(requested, [], options);
  expect(events.map(({ type }) => type)).toEqual(['ExecutionStarted', 'TaskStarted', 'TaskCompleted', 'TaskStarted']);
  expect([started, more]).toEqual([['b/1'], false]);
});
