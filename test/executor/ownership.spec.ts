import { SHARDS, shardOf } from '#libs/contracts';
import { LogError, MemoryLog, load, seal } from '#libs/ledger';
import { eventually } from '#libs/testing';
import { readCheckpoint } from '../../apps/executor/src/checkpoint.js';
import { shardsOf } from '../../apps/executor/src/shards.js';
import { MemoryCheckpoints, Stage, cluster, heldRunner, noop, task } from './stage.js';

let log: MemoryLog;
let checkpoints: MemoryCheckpoints;
let stage: Stage;

beforeEach(() => {
  log = new MemoryLog();
  checkpoints = new MemoryCheckpoints();
  stage = new Stage(log, checkpoints);
});
afterEach(() => stage.stop());

/** An execution id whose shard is `member`'s while `one` and `two` live. */
const idOf = (member: 'one' | 'two'): string => {
  const shards = shardsOf(member, ['one', 'two']);
  for (let i = 0; ; i++) if (shards.has(shardOf(`${member}-${i}`))) return `${member}-${i}`;
};

it('takes over what was active in a shard although its checkpoint could not be read at first', async () => {
  const members = cluster();
  const view = members.join('one');
  members.join('two');
  const orphan = await stage.request([task('a', 'noop')], idOf('two'));
  await stage.startOwner(view, 'one', [noop]);
  await stage.ended(await stage.request([task('a', 'noop')], idOf('one')));
  checkpoints.failures = 1;
  members.kill('two');
  expect((await stage.ended(orphan)).state.status).toBe('completed');
});

it('drives what waits for its turn after its shard went elsewhere and came back', async () => {
  const { runner, held } = heldRunner();
  const members = cluster();
  const owner = await stage.startOwner(members.join('one'), 'one', [runner], { concurrency: 1 });
  const running = await stage.request([task('a', 'held')], idOf('one'));
  await eventually(() => held.size === 1, { what: 'the running attempt' });
  const waiting = await stage.request([task('a', 'held')], idOf('two'));
  await eventually(() => owner.counts.active === 2, { what: 'the waiting execution' });
  members.join('two');
  await eventually(() => owner.counts.active === 1, { what: 'the waiting execution to be left to another' });
  members.kill('two');
  await eventually(() => owner.counts.active === 2, { what: 'the waiting execution to be back' });
  held.get(`${running.execution}/a/1`)!.end({ ok: true, result: {} });
  const next = await eventually(() => held.get(`${waiting.execution}/a/1`), { what: 'the waiting attempt' });
  next.end({ ok: true, result: {} });
  expect((await stage.ended(waiting)).state.status).toBe('completed');
});

it('gives back the slot of a start that failed when the shard goes elsewhere', async () => {
  const { runner, held } = heldRunner();
  const members = cluster();
  const failing = idOf('two');
  log.faults = {
    before: ({ ref, expected }) => {
      if (ref.execution === failing && expected > 0) throw new LogError('LOG_UNAVAILABLE', 'away');
    },
  };
  const owner = await stage.startOwner(members.join('one'), 'one', [runner], { concurrency: 1 });
  await stage.request([task('a', 'held')], failing);
  await eventually(() => owner.counts.running === 1, { what: 'the slot to be taken' });
  members.join('two');
  const ref = await stage.request([task('a', 'held')], idOf('one'));
  const { end } = await eventually(() => held.get(`${ref.execution}/a/1`), { what: 'the slot to be free again' });
  end({ ok: true, result: {} });
  expect((await stage.ended(ref)).state.status).toBe('completed');
});

it('reads the log anew when its checkpoints are of another log', async () => {
  const ref = await stage.request([task('a', 'noop')]);
  const position = { ...(await log.head()), sequence: 100, hash: 'other' };
  for (let shard = 0; shard < SHARDS; shard++) checkpoints.values.set(`owner.${shard}`, { position, chunks: 0 });
  await stage.startOwner(cluster().join('one'), 'one', [noop]);
  expect((await stage.ended(ref)).state.status).toBe('completed');
});

it('runs an attempt anew that a restored log knows nothing of, but not beside its former self', async () => {
  const { runner, held, starts } = heldRunner({ endsOnAbort: false });
  const owner = await stage.startOwner(cluster().join('one'), 'one', [runner, noop]);
  const ref = await stage.request([task('a', 'held')]);
  const former = await eventually(() => held.get(`${ref.execution}/a/1`), { what: 'the former attempt' });
  log.restore(1);
  await stage.request([task('n', 'noop')]);
  await eventually(() => former.attempt.signal.aborted, { what: 'the former attempt to be told to end' });
  await new Promise(setImmediate);
  expect(starts).toHaveLength(1);
  held.clear();
  former.end({ ok: false, error: { code: 'COMMAND_ABORTED', message: 'aborted', retryable: false } });
  const { end } = await eventually(() => held.get(`${ref.execution}/a/1`), { what: 'the attempt anew' });
  end({ ok: true, result: {} });
  expect((await stage.ended(ref)).state.status).toBe('completed');
  await eventually(() => owner.counts.running === 0, { what: 'no slot to be held any more' });
});

it('runs nothing again that may run once only when the restored log has it running', async () => {
  const { runner, held, starts } = heldRunner();
  await stage.startOwner(cluster().join('one'), 'one', [runner, noop]);
  const ref = await stage.request([task('a', 'held', { onLost: 'fail' })]);
  await eventually(() => held.size === 1, { what: 'the attempt' });
  const { sequence } = await log.head();
  await stage.ended(await stage.request([task('n', 'noop')]));
  log.restore(sequence);
  await stage.ended(await stage.request([task('n', 'noop')]));
  expect((await stage.ended(ref)).state.tasks.get('a')).toMatchObject({ status: 'failed', error: { code: 'ATTEMPT_LOST' } });
  expect(starts).toHaveLength(1);
});

it('stops although the log can not be read to its end', async () => {
  let following = (): void => undefined;
  const followed = new Promise<void>((resolve) => (following = resolve));
  const endless = Object.assign(new MemoryLog(), {
    follow: () => {
      following();
      return Promise.resolve({ delivered: 0, stop: () => Promise.resolve() });
    },
  });
  const owner = new Stage(endless).owner(cluster().join('one'), 'one', [noop]);
  const started = owner.start();
  await followed;
  await owner.stop(0, 0);
  await started;
});

it('keeps what it can not fold on the checkpoint, for a version that can', async () => {
  const ref = { tenant: 'default', execution: 'from-the-future' };
  const event = { type: 'ExecutionTeleported', at: new Date().toISOString(), cause: 'x', actor: 'x', correlationId: 'x' };
  const body = Buffer.from(JSON.stringify({ id: 'x', version: 1, previous: 'x', events: [event] }));
  await log.append({ ref, id: 'x', body, expected: 0 });
  const owner = await stage.startOwner(cluster().join('one'), 'one', [noop]);
  await stage.ended(await stage.request([task('a', 'noop')]));
  await owner.stop(0, 0);
  expect((await readCheckpoint(checkpoints, shardOf(ref.execution)))?.active).toEqual([ref]);
});

it('halts an execution whose next commit breaks the fold, and drives the others on', async () => {
  const { runner, held } = heldRunner();
  await stage.startOwner(cluster().join('one'), 'one', [noop, runner]);
  const broken = await stage.request([task('a', 'held')]);
  const { attempt } = await eventually(() => held.get(`${broken.execution}/a/1`), { what: 'the attempt' });
  const event = { type: 'TaskCompleted', at: new Date().toISOString(), cause: 'x', actor: 'x', correlationId: 'x' };
  const execution = await load(log, broken);
  const { commit, body } = seal(execution, [event as never]);
  await log.append({ ref: broken, id: commit.id, body, expected: execution.sequence });
  await eventually(() => attempt.signal.aborted, { what: 'the attempt of the halted execution to be ended' });
  expect((await stage.ended(await stage.request([task('a', 'noop')]))).state.status).toBe('completed');
});
