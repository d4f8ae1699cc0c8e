import type { ExecutionRef, PlanTask } from '#libs/contracts';
import { MemoryLog, load } from '#libs/ledger';
import { eventually } from '#libs/testing';
import { fits } from '../../apps/executor/src/event-watch.js';
import { Stage, cluster, noop, task } from './stage.js';

const waits = (subject: string, more: object = {}, id = 'a'): PlanTask => task(id, 'event', { input: { subject, ...more } });
const quick = task('q', 'noop', { input: { result: { n: 1 } } });

let log: MemoryLog;
let stage: Stage;
beforeEach(() => {
  log = new MemoryLog();
  stage = new Stage(log);
});
afterEach(() => stage.stop());

const started = (ref: ExecutionRef, id = 'a'): Promise<unknown> =>
  eventually(async () => (await load(log, ref)).state.tasks.get(id)?.status === 'running', { what: `${id} of ${ref.execution} waiting` });

const resultOf = async (ref: ExecutionRef, id = 'a'): Promise<unknown> => (await stage.ended(ref)).state.tasks.get(id)?.result;

const requestIn = async (ref: ExecutionRef, tasks: readonly PlanTask[], labels: Record<string, string> = {}): Promise<ExecutionRef> => {
  await stage.submit(ref, { type: 'RequestExecution', plan: { name: 'p', tasks }, name: 'p', labels, input: {}, dialect: 'canonical' });
  return ref;
};

it.each<[string, string, boolean]>([
  ['*.execution.completed', 'x.execution.completed', true],
  ['*.execution.completed', 'x.task.completed', false],
  ['x.>', 'x.task.completed', true],
  ['>', 'x.task.completed', true],
  ['x.task.*', 'x.task', false],
  ['x.task.>', 'x.task', false],
])('%s takes %s: %s', (pattern, subject, taken) => {
  expect(fits(pattern.split('.'), subject.split('.'))).toBe(taken);
});

it('a task ends with the first event of another execution that fits, with all that it says', async () => {
  await stage.startOwner(cluster().join('one'), 'one', [noop]);
  const waiting = await stage.request([waits('*.task.completed', { match: { taskId: 'q' } })], 'waiting');
  await started(waiting);
  await stage.request([task('other', 'noop')], 'before');
  await stage.request([quick], 'source');
  expect(await resultOf(waiting)).toMatchObject({
    id: expect.stringMatching(/^source\/2\/\d$/) as string,
    subject: 'events.default.source.task.completed',
    type: 'TaskCompleted',
    execution: 'source',
    data: { taskId: 'q', attempt: 1, result: { n: 1 } },
  });
});

it('what was committed before its execution came is not waited for, and its own events are not either', async () => {
  await stage.startOwner(cluster().join('one'), 'one', [noop]);
  await stage.ended(await stage.request([quick], 'early'));
  const waiting = await stage.request([waits('*.task.>'), waits('early.execution.completed', {}, 'b')], 'waiting');
  await started(waiting, 'b');
  await stage.ended(await stage.request([quick], 'source'));
  await eventually(async () => (await load(log, waiting)).state.tasks.get('a')?.status === 'completed', { what: 'a completed' });
  const { state } = await load(log, waiting);
  expect(state.tasks.get('a')?.result).toMatchObject({ execution: 'source', type: 'TaskStarted' });
  expect(state.tasks.get('b')?.status).toBe('running');
});

it('no other tenant, and from a workspace no other workspace, is seen', async () => {
  await stage.startOwner(cluster().join('one'), 'one', [noop]);
  const red = await requestIn({ tenant: 'default', execution: 'red' }, [waits('*.execution.completed')], { workspace: 'red' });
  const whole = await stage.request([waits('*.execution.completed')], 'whole');
  await Promise.all([started(red), started(whole)]);
  await stage.ended(await requestIn({ tenant: 'other', execution: 'foreign' }, [quick], { workspace: 'red' }));
  await stage.ended(await requestIn({ tenant: 'default', execution: 'blue' }, [quick], { workspace: 'blue' }));
  expect(await resultOf(whole)).toMatchObject({ execution: 'blue' });
  await stage.ended(await requestIn({ tenant: 'default', execution: 'mine' }, [quick], { workspace: 'red' }));
  expect(await resultOf(red)).toMatchObject({ execution: 'mine' });
});

it('an event that comes while no executor is there is found by the next one', async () => {
  const members = cluster();
  const first = await stage.startOwner(members.join('one'), 'one', [noop]);
  const waiting = await stage.request([waits('late.execution.paused')], 'waiting');
  await started(waiting);
  await first.stop(0, 0);
  members.kill('one');
  const late = await stage.request([task('x', 'nobody')], 'late');
  await stage.submit(late, { type: 'PauseExecution' });
  await stage.startOwner(members.join('two'), 'two', [noop]);
  expect(await resultOf(waiting)).toMatchObject({ execution: 'late', type: 'ExecutionPaused' });
});

it('many that begin to wait at once, and one after another, each get theirs', async () => {
  await stage.startOwner(cluster().join('one'), 'one', [noop]);
  const waiting = await Promise.all(
    Array.from({ length: 30 }, (_, i) => stage.request([waits(`s${i}.execution.completed`), task('b', 'event', { input: { subject: `t${i}.>` }, dependsOn: ['a'] })], `w${i}`)),
  );
  await Promise.all(waiting.map((ref) => started(ref)));
  await Promise.all(waiting.map((_, i) => stage.request([quick], `s${i}`)));
  await Promise.all(waiting.map((ref) => started(ref, 'b')));
  await Promise.all(waiting.map((_, i) => stage.request([quick], `t${i}`)));
  const results = await Promise.all(waiting.map((ref) => resultOf(ref, 'b')));
  expect(results).toEqual(waiting.map((_, i) => expect.objectContaining({ execution: `t${i}` }) as unknown));
}, 30_000);

/** Who follows all shards; the first two tries fail. */
class RestlessLog extends MemoryLog {
  failures = 2;
  followed = 0;

  override async follow(...of: Parameters<MemoryLog['follow']>): ReturnType<MemoryLog['follow']> {
    if (of[2] !== undefined) return await super.follow(...of);
    if (this.failures-- > 0) throw new Error('away');
    const follower = await super.follow(...of);
    this.followed += 1;
    const stop = async (): Promise<void> => {
      this.followed -= 1;
      await follower.stop();
    };
    return { delivered: 0, stop };
  }
}

it('the log is followed again where it could not be, and by nobody once nothing is waited for', async () => {
  const restless = new RestlessLog();
  log = restless;
  stage = new Stage(log);
  await stage.startOwner(cluster().join('one'), 'one', [noop]);
  const waiting = await stage.request([waits('source.execution.completed')], 'waiting');
  await started(waiting);
  await stage.request([quick], 'source');
  expect(await resultOf(waiting)).toMatchObject({ execution: 'source' });
  await eventually(() => restless.followed === 0, { what: 'nobody to follow the whole log' });
}, 15_000);
