import type { ExecutionRef } from '#libs/contracts';
import { LogError, MemoryLog, load } from '#libs/ledger';
import { eventually } from '#libs/testing';
import type { Belongings } from '../../apps/executor/src/clean-up.js';
import { systemClock } from '../../apps/executor/src/clock.js';
import { MemoryCheckpoints, Stage, cluster, heldRunner, noop, task } from './stage.js';

let log: MemoryLog;
let checkpoints: MemoryCheckpoints;
let stage: Stage;
/** What was removed besides the commits, in order. */
let removed: string[];

beforeEach(() => {
  log = new MemoryLog();
  checkpoints = new MemoryCheckpoints();
  stage = new Stage(log, checkpoints);
  removed = [];
});
afterEach(() => stage.stop());

const belongings = (name: string, answer: (execution: string) => boolean = () => true): Belongings => ({
  purge: ({ execution }, deletedAt) => {
    const isDone = answer(execution);
    removed.push(`${name} of ${execution} at ${deletedAt}${isDone ? '' : ', not yet'}`);
    return Promise.resolve(isDone);
  },
});

/** Retries come at once. */
const clock = { ...systemClock, after: (_: number, callback: () => void) => systemClock.after(5, callback) };

const versions = async (ref: ExecutionRef): Promise<readonly number[]> => (await log.history(ref)).map(({ commit }) => commit.version);

const deleted = async (execution: string): Promise<ExecutionRef> => {
  const ref = await stage.request([task('a', 'noop'), task('b', 'wait', { input: { durationMs: 1 }, dependsOn: ['a'] })], execution);
  await stage.ended(ref);
  await stage.submit(ref, { type: 'DeleteExecution' });
  return ref;
};

const untilClean = async (ref: ExecutionRef): Promise<void> => {
  const [last] = (await log.history(ref)).slice(-1);
  await eventually(async () => (await log.history(ref)).length === 1, { what: `${ref.execution} to be purged` });
  expect((await log.history(ref))[0]).toEqual(last);
};

it('removes what a deleted execution leaves, in order and its commits last, but for the tombstone', async () => {
  const owner = await stage.startOwner(cluster().join('one'), 'one', [noop], { belongings: [belongings('output'), belongings('feed')] });
  const ref = await deleted('gone');
  const other = await stage.request([task('a', 'noop')], 'other');
  await stage.ended(other);
  await untilClean(ref);
  const { sequence, state } = await load(log, ref);
  expect(state.deleted?.by).toBe('test');
  expect(removed).toEqual([`output of gone at ${sequence}`, `feed of gone at ${sequence}`]);
  expect(await versions(other)).toHaveLength(2);
  await eventually(() => owner.counts.deleted === 0, { what: 'nothing to be left to do' });
});

it('waits with the rest for what can not be removed yet, and meanwhile goes on with others', async () => {
  let isPublished = false;
  await stage.startOwner(cluster().join('one'), 'one', [noop], {
    clock,
    belongings: [belongings('output'), belongings('feed', (execution) => isPublished || execution !== 'first')],
  });
  const ref = await deleted('first');
  await eventually(() => removed.filter((text) => text.endsWith('not yet')).length > 2, { what: 'some tries' });
  expect((await versions(ref)).length).toBeGreaterThan(1);
  await untilClean(await deleted('second'));
  expect((await versions(ref)).length).toBeGreaterThan(1);
  isPublished = true;
  await untilClean(ref);
});

it('tries again what fails', async () => {
  let failures = 3;
  const failing = (): boolean => {
    if (failures-- > 0) throw new LogError('LOG_UNAVAILABLE', 'away');
    return true;
  };
  await stage.startOwner(cluster().join('one'), 'one', [noop], { clock, belongings: [belongings('output', failing)] });
  await untilClean(await deleted('gone'));
  expect(failures).toBe(-1);
});

describe('an executor that dies between the deletion and the purge', () => {
  const died = async (): Promise<ExecutionRef> => {
    const members = cluster();
    const owner = await stage.startOwner(members.join('one'), 'one', [noop], { clock, belongings: [belongings('feed', () => false)] });
    const ref = await deleted('gone');
    await eventually(() => owner.counts.deleted === 1 && removed.length > 0, { what: 'the clean-up to have begun' });
    return ref;
  };

  it('is followed by one that does it, from the log alone', async () => {
    const ref = await died();
    checkpoints.values.clear();
    await stage.startOwner(cluster().join('two'), 'two', [noop], { clock, belongings: [belongings('feed')] });
    await untilClean(ref);
  });

  it('is followed by one that does it, although its checkpoint is behind the tombstone', async () => {
    const ref = await died();
    // Stopping writes where it has come to.
    await stage.stop();
    const [mark] = [...checkpoints.values.values()].flatMap((value) => (value as { position?: { sequence: number } }).position ?? []);
    expect(mark?.sequence).toBe(log.lastSequence);
    await stage.startOwner(cluster().join('two'), 'two', [noop], { clock, belongings: [belongings('feed')] });
    await untilClean(ref);
  });

  it('that had purged already leaves nothing to do', async () => {
    const ref = await died();
    await stage.stop();
    await log.purge(ref, log.lastSequence);
    removed = [];
    const owner = await stage.startOwner(cluster().join('two'), 'two', [noop], { clock, belongings: [belongings('feed', () => false)] });
    await eventually(() => owner.counts.deleted === 0, { what: 'nothing to be left to do' });
    expect(removed).toEqual([]);
  });
});

it('says nothing of a result that comes too late for an execution that is deleted', async () => {
  const { runner, held } = heldRunner({ endsOnAbort: false });
  await stage.startOwner(cluster().join('one'), 'one', [runner]);
  const ref = await stage.request([task('a', 'held', { timeoutMs: 20 })], 'gone');
  const attempt = await eventually(() => held.get('gone/a/1'), { what: 'the attempt' });
  expect((await stage.ended(ref)).state.status).toBe('failed');
  await stage.submit(ref, { type: 'DeleteExecution' });
  attempt.end({ ok: true, result: {} });
  await untilClean(ref);
  const other = await stage.request([task('a', 'held')], 'other');
  (await eventually(() => held.get('other/a/1'), { what: 'another attempt' })).end({ ok: true, result: {} });
  await stage.ended(other);
  expect(await versions(ref)).toHaveLength(1);
});

it('removes once more what an attempt has written that outlived the deletion, also where another owner has cleaned up', async () => {
  const { runner, held } = heldRunner({ endsOnAbort: false });
  const [members, others] = [cluster(), cluster()];
  const frozen = await stage.startOwner(members.join('one'), 'one', [runner], { clock, belongings: [belongings('output, by one,')] });
  const ref = await stage.request([task('a', 'held', { timeoutMs: 20 })], 'gone');
  const attempt = await eventually(() => held.get('gone/a/1'), { what: 'the attempt' });
  await stage.ended(ref);
  await stage.startOwner(others.join('two'), 'two', [noop], { clock, belongings: [belongings('output, by two,')] });
  await stage.submit(ref, { type: 'DeleteExecution' });
  await untilClean(ref);
  await eventually(() => frozen.counts.deleted === 0, { what: 'nothing to be left to do for now' });
  removed = [];
  attempt.end({ ok: true, result: {} });
  const { sequence } = await load(log, ref);
  await eventually(() => removed.length > 0, { what: 'what was written late to be removed' });
  expect(removed).toEqual([`output, by one, of gone at ${sequence}`]);
  await eventually(() => frozen.counts.deleted === 0, { what: 'nothing to be left to do' });
});
