import { type ExecutionRef, type JsonObject, type PlanTask, SHARDS, logSubject, shardOf } from '#libs/contracts';
import { isTerminal } from '#libs/execution';
import { type Append, type Execution, LogError, MemoryLog, load } from '#libs/ledger';
import { eventually } from '#libs/testing';
import { childOf } from '../../apps/executor/src/child-request.js';
import { shardsOf } from '../../apps/executor/src/shards.js';
import { type Cluster, Stage, cluster, heldRunner, noop, task } from './stage.js';

let log: MemoryLog;
let stage: Stage;
let members: Cluster;
beforeEach(() => {
  log = new MemoryLog();
  stage = new Stage(log);
  members = cluster();
});
afterEach(() => stage.stop());

const runs = (tasks: readonly PlanTask[], more: Partial<PlanTask> = {}, input: JsonObject = {}): PlanTask =>
  task('a', 'execution', { input: { plan: { name: 'inner', tasks } as unknown as JsonObject, ...input }, ...more });
const quick = task('q', 'noop', { input: { result: { n: 1 } } });
const held = task('h', 'held');
const child = (ref: ExecutionRef, attempt = 1, id = 'a'): ExecutionRef => ({ ...ref, execution: childOf(ref, id, attempt) });
const began = (ref: ExecutionRef): Promise<Execution> =>
  eventually(async () => { const execution = await load(log, ref); return execution.version > 0 && execution; }, { what: `${ref.execution} to be requested` });
const status = async (ref: ExecutionRef): Promise<unknown> => (await load(log, ref)).state.status;
const commitsOf = async (ref: ExecutionRef): Promise<readonly string[]> => (await log.history(ref)).flatMap(({ commit }) => commit.events.map(({ type }) => type));

/** A parent and its child, of which `one` and `two` each own one while both live. */
const apart = (): ExecutionRef => {
  const mine = shardsOf('one', ['one', 'two']);
  for (let i = 0; ; i++) {
    const ref = { tenant: 'default', execution: `p${i}` };
    if (mine.has(shardOf(ref.execution)) && !mine.has(shardOf(child(ref).execution))) return ref;
  }
};

it('a task is an execution of its own, which belongs to whom its parent belongs to, and its result is that one\'s', async () => {
  await stage.startOwner(members.join('one'), 'one', [noop]);
  const ref = { tenant: 'default', execution: 'parent' };
  const inner = [task('x', 'noop', { input: { result: { sum: '{{ input.n + 1 }}', of: '{{ execution.name }}' } } })];
  const tasks = [quick, runs(inner, { dependsOn: ['q'] }, { input: { n: '{{ tasks.q.result.n }}' }, name: 'sum of {{ tasks.q.result.n }}', labels: { part: 'a', workspace: 'blue' } })];
  const labels = { workspace: 'red', team: 'x' };
  await stage.submit(ref, { type: 'RequestExecution', plan: { name: 'p', tasks }, name: 'p', labels, input: {}, dialect: 'canonical' });
  const { state } = await stage.ended(ref);
  const { state: inside } = await load(log, child(ref));
  expect(state.tasks.get('a')?.result).toEqual({ execution: child(ref).execution, status: 'completed', result: { x: { sum: 2, of: 'sum of 1' } } });
  expect(inside).toMatchObject({ name: 'sum of 1', labels: { workspace: 'red', team: 'x', part: 'a' }, requestedBy: 'test', correlationId: 'test', input: { n: 1 } });
  expect(inside.parent).toEqual({ execution: 'parent', task: 'a', attempt: 1, depth: 1 });
});

it('each attempt is a child of its own, and executions stand within executions', async () => {
  await stage.startOwner(members.join('one'), 'one', [noop]);
  const bad = task('x', 'nobody', { retry: { maxAttempts: 1 } });
  const ref = await stage.request([runs([runs([bad])], { retry: { maxAttempts: 2, backoff: 'fixed', delayMs: 0, retryOn: ['CHILD_FAILED'] } })]);
  const { state } = await stage.ended(ref);
  expect(state.tasks.get('a')).toMatchObject({ status: 'failed', attempt: 2, failures: 2 });
  expect(state.reason?.message).toMatch(/execution \S+ failed: task 'a' failed: execution \S+ failed: task 'x' failed/);
  const depths = await Promise.all([child(ref), child(ref, 2), child(child(ref)), child(child(ref, 2))].map(async (of) => (await load(log, of)).state.parent?.depth));
  expect(depths).toEqual([1, 1, 2, 2]);
});

it('a child is requested by the next owner where the first died behind the start of its attempt', async () => {
  const ref = apart();
  log.faults = {
    before: (append: Append) => {
      if (append.ref.execution === child(ref).execution) throw new LogError('LOG_UNAVAILABLE', 'away');
    },
  };
  const first = await stage.startOwner(members.join('one'), 'one', [noop]);
  await stage.request([runs([quick])], ref.execution);
  await eventually(async () => (await load(log, ref)).state.tasks.get('a')?.status === 'running', { what: 'the attempt in the log' });
  await first.stop(0, 0);
  members.kill('one');
  expect(await status(child(ref))).toBeUndefined();
  log.faults = {};
  await stage.startOwner(members.join('two'), 'two', [noop]);
  expect((await stage.ended(ref)).state.status).toBe('completed');
  expect((await commitsOf(child(ref))).filter((type) => type === 'ExecutionRequested')).toHaveLength(1);
});

it('a child that ended while nobody owned its parent is found by the next owner', async () => {
  const { runner, held: attempts } = heldRunner();
  const ref = apart();
  const first = await stage.startOwner(members.join('one'), 'one', [runner]);
  const view = members.join('two');
  await stage.startOwner(view, 'two', [runner]);
  await stage.request([runs([held])], ref.execution);
  const attempt = await eventually(() => attempts.get(`${child(ref).execution}/h/1`), { what: 'the attempt of the child' });
  // Whoever tells the parent can't.
  log.faults = {
    before: (append: Append) => {
      if (append.ref.execution === ref.execution) throw new LogError('LOG_UNAVAILABLE', 'away');
    },
  };
  await first.stop(0, 0);
  attempt.end({ ok: true, result: { n: 2 } });
  await stage.ended(child(ref));
  await stage.stop();
  members.kill('one');
  members.kill('two');
  log.faults = {};
  expect(await status(ref)).toBe('running');
  await stage.startOwner(members.join('three'), 'three', [runner]);
  expect((await stage.ended(ref)).state.tasks.get('a')?.result).toMatchObject({ result: { h: { n: 2 } } });
});

it('two executors of which each owns one of them are told of the end, and nobody holds what is the other\'s', async () => {
  const owners = await Promise.all(['one', 'two'].map((name) => stage.startOwner(members.join(name), name, [noop])));
  const refs = Array.from({ length: 20 }, (_, i) => ({ tenant: 'default', execution: `parent-${i}` }));
  await Promise.all(refs.map((ref) => stage.request([runs([quick])], ref.execution)));
  for (const ref of refs) expect((await stage.ended(ref)).state.status).toBe('completed');
  for (const ref of refs) expect(await commitsOf(ref)).not.toContain('TaskResultIgnored');
  await eventually(() => owners.every((owner) => owner.counts.active === 0), { what: 'nothing to be left over' });
});

it.each(['graceful', 'immediate'] as const)('a %s cancel travels down to the last child, and the parent ends when all have', async (mode) => {
  const { runner, held: attempts } = heldRunner();
  await stage.startOwner(members.join('one'), 'one', [runner]);
  await stage.startOwner(members.join('two'), 'two', [runner]);
  const ref = await stage.request([runs([runs([held])])], apart().execution);
  const innermost = child(child(ref));
  const attempt = await eventually(() => attempts.get(`${innermost.execution}/h/1`), { what: 'the innermost attempt' });
  await stage.submit(ref, { type: 'CancelExecution', mode });
  await eventually(async () => (await status(innermost)) === (mode === 'graceful' ? 'cancelling' : 'cancelled'), { timeoutMs: 10_000, what: 'the cancel below' });
  if (mode === 'graceful') {
    expect([await status(ref), await status(child(ref))]).toEqual(['cancelling', 'cancelling']);
    attempt.end({ ok: true, result: {} });
  }
  for (const each of [ref, child(ref), innermost]) expect((await stage.ended(each)).state.status).toBe('cancelled');
  expect((await load(log, ref)).state.tasks.get('a')).toMatchObject({ status: 'cancelled' });
}, 20_000);

it('a child is cancelled when the time of its attempt is over, and the next attempt waits for its end', async () => {
  const { runner, held: attempts, starts } = heldRunner({ endsOnAbort: false });
  await stage.startOwner(members.join('one'), 'one', [runner]);
  const ref = await stage.request([runs([held], { timeoutMs: 50, retry: { maxAttempts: 2, backoff: 'fixed', delayMs: 0 } })]);
  const first = await eventually(() => attempts.get(`${child(ref).execution}/h/1`), { what: 'the first attempt' });
  await eventually(() => first.attempt.signal.aborted, { what: 'it to be aborted' });
  expect((await load(log, ref)).state.tasks.get('a')).toMatchObject({ status: 'running', attempt: 1 });
  expect(starts).toHaveLength(1);
  first.end({ ok: false, error: { code: 'COMMAND_ABORTED', message: 'aborted', retryable: false } });
  const second = await eventually(() => attempts.get(`${child(ref, 2).execution}/h/1`), { what: 'the second attempt' });
  second.end({ ok: true, result: {} });
  const { state } = await stage.ended(ref);
  expect(await commitsOf(ref)).toContain('TaskTimedOut');
  expect(isTerminal(state.status)).toBe(true);
});

it('a damaged child fails its task instead of leaving it to wait', async () => {
  const owner = await stage.startOwner(members.join('one'), 'one', [noop]);
  const ref = await stage.request([runs([task('w', 'wait', { input: { durationMs: 3_600_000 } })])]);
  await began(child(ref));
  await eventually(async () => (await load(log, child(ref))).state.status === 'running', { what: 'the child to run' });
  log.write(logSubject(child(ref)), new TextEncoder().encode(JSON.stringify({ id: 'x', version: 9, previous: '', events: [{ type: 'ExecutionCompleted', at: new Date().toISOString(), data: {} }] })));
  const { state } = await stage.ended(ref);
  expect(state.tasks.get('a')).toMatchObject({ status: 'failed', error: { code: 'CHILD_DAMAGED' }, result: { status: 'lost' } });
  expect(owner.counts.shards).toBe(SHARDS);
});

it('a child that is too large to be requested fails its task', async () => {
  await stage.startOwner(members.join('one'), 'one', [noop]);
  const ref = { tenant: 'default', execution: 'large' };
  const plan = { name: 'p', tasks: [runs([quick], {}, { input: { a: '{{ input.text }}', b: '{{ input.text }}', c: '{{ input.text }}' } })] };
  await stage.submit(ref, { type: 'RequestExecution', plan, name: 'p', labels: {}, input: { text: 'é'.repeat(60 * 1024) }, dialect: 'canonical' });
  expect((await stage.ended(ref)).state.tasks.get('a')).toMatchObject({ status: 'failed', error: { code: 'CHILD_TOO_LARGE', retryable: false } });
});

it('a child whose request one commit does not hold is requested in several, by whoever owns its parent', async () => {
  const ref = apart();
  let parts = 0;
  log.faults = {
    before: (append: Append) => {
      if (append.ref.execution === child(ref).execution && ++parts === 2) throw new LogError('OUTCOME_UNKNOWN', 'nobody knows');
    },
  };
  await stage.startOwner(members.join('one'), 'one', [noop]);
  const many = Array.from({ length: 300 }, (_, i) => task(`t${i}`, 'noop', { input: { result: { text: 'x'.repeat(400) } } }));
  const plan = { name: 'p', tasks: [runs(many, {}, { input: { a: '{{ input.text }}', b: '{{ input.text }}', c: '{{ input.text }}' } })] };
  await stage.submit(ref, { type: 'RequestExecution', plan, name: 'p', labels: {}, input: { text: 'y'.repeat(50 * 1024) }, dialect: 'canonical' });
  expect((await stage.ended(ref)).state.tasks.get('a')).toMatchObject({ status: 'completed', attempt: 1, result: { resultOmitted: true } });
  expect((await load(log, child(ref))).state.plan.tasks).toHaveLength(300);
  const types = await commitsOf(child(ref));
  expect([types.filter((type) => type === 'ExecutionRequested').length, types.includes('ExecutionPlanExtended')]).toEqual([1, true]);
});

it('for each item of a list there is an execution of its own', async () => {
  await stage.startOwner(members.join('one'), 'one', [noop]);
  const inner = { plan: { name: 'inner', tasks: [task('x', 'noop', { input: { result: { doubled: '{{ input.n * 2 }}' } } })] }, input: { n: '{{ item }}' } };
  const ref = await stage.request([task('a', 'execution', { input: inner as unknown as JsonObject, forEach: { items: [1, 2, 3], concurrency: 2 } })]);
  const { state } = await stage.ended(ref);
  const ids = [0, 1, 2].map((n) => child(ref, 1, `a--${n}`).execution);
  expect(state.tasks.get('a')?.result).toMatchObject({ results: ids.map((execution, n) => ({ execution, status: 'completed', result: { x: { doubled: 2 * (n + 1) } } })) });
});
