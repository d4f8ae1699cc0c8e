import { SHARDS, shardOf } from '#libs/contracts';
import {
  type Append,
  type AppendResult,
  type FollowHandler,
  type Follower,
  LogError,
  MemoryLog,
  type Position,
  type StoredCommit,
  load,
  parseCommit,
} from '#libs/ledger';
import type { Runner } from '#libs/runners';
import { eventually } from '#libs/testing';
import { shardsOf } from '../../apps/executor/src/shards.js';
import { MemoryCheckpoints, Stage, cluster, heldRunner, noop, task } from './stage.js';

/** A log whose answers the test holds back: what is stored or read is so at the time of the call. */
class SlowLog extends MemoryLog {
  holdAppend: ((append: Append) => Promise<void> | undefined) | undefined;
  holdHistory: (() => Promise<void> | undefined) | undefined;
  holdDelivery: (() => Promise<void> | undefined) | undefined;

  override async append(append: Append): Promise<AppendResult> {
    const result = await super.append(append);
    await this.holdAppend?.(append);
    return result;
  }

  override async history(...of: Parameters<MemoryLog['history']>): Promise<readonly StoredCommit[]> {
    const history = await super.history(...of);
    await this.holdHistory?.();
    return history;
  }

  override follow(from: Position | undefined, handler: FollowHandler, shards?: readonly number[]): Promise<Follower> {
    const commits = async (batch: readonly StoredCommit[]): Promise<void> => {
      await this.holdDelivery?.();
      // What a reader fails on is delivered again.
      await Promise.resolve(handler.commits(batch)).catch(() => handler.commits(batch));
    };
    return super.follow(from, { ...handler, commits }, shards);
  }
}

type Gate = { readonly closed: Promise<void>; open(): void };

const gate = (): Gate => {
  let open = (): void => undefined;
  const closed = new Promise<void>((resolve) => (open = resolve));
  return { closed, open };
};

const outcomeUnknown = (): LogError => new LogError('OUTCOME_UNKNOWN', 'nobody can say');

let log: SlowLog;
let stage: Stage;

beforeEach(() => {
  log = new SlowLog();
  stage = new Stage(log);
});
afterEach(() => stage.stop());

describe('slots', () => {
  it('go to the next in line when the first has no use for one any more', async () => {
    const { runner, held } = heldRunner();
    const owner = await stage.startOwner(cluster().join('one'), 'one', [runner], { concurrency: 1 });
    const [first, paused, last] = [
      await stage.request([task('a', 'held')]),
      await stage.request([task('a', 'held')]),
      await stage.request([task('a', 'held')]),
    ];
    await eventually(() => held.size === 1 && owner.counts.active === 3, { what: 'one to run and two to wait' });
    await stage.submit(paused, { type: 'PauseExecution' });
    held.get(`${first.execution}/a/1`)!.end({ ok: true, result: {} });
    const next = await eventually(() => held.get(`${last.execution}/a/1`), { what: 'the last in line' });
    next.end({ ok: true, result: {} });
    expect((await stage.ended(last)).state.status).toBe('completed');
  });
});

describe('what others commit', () => {
  it('is not overlooked while the history is being read', async () => {
    const reading = gate();
    let reads = 0;
    log.faults = {
      after: ({ expected }) => {
        if (expected === 0) return;
        log.faults = {};
        log.holdHistory = () => (reads++ === 0 ? reading.closed : undefined);
        throw outcomeUnknown();
      },
    };
    await stage.startOwner(cluster().join('one'), 'one', [heldRunner().runner]);
    const ref = await stage.request([task('a', 'held')]);
    await eventually(() => reads === 1, { what: 'the driver to look its append up' });
    await stage.submit(ref, { type: 'CancelExecution', mode: 'immediate' });
    reading.open();
    expect((await stage.ended(ref)).state.status).toBe('cancelled');
  });
});

describe('reads that are behind', () => {
  it('leave no hole in what is delivered next', async () => {
    const committing = gate();
    const { runner, held } = heldRunner();
    await stage.startOwner(cluster().join('one'), 'one', [runner]);
    let appends = 0;
    log.holdAppend = ({ expected }) => (expected > 0 && appends++ === 0 ? committing.closed : undefined);
    const ref = await stage.request([task('a', 'held')]);
    await eventually(() => appends === 1, { what: 'the start to be committed' });
    await stage.submit(ref, { type: 'PauseExecution' });
    let reads = 0;
    log.holdHistory = () => (reads++ === 0 ? Promise.reject(new LogError('LOG_UNAVAILABLE', 'away')) : undefined);
    committing.open();
    await eventually(() => reads === 1, { what: 'the pause to be looked for in vain' });
    await stage.submit(ref, { type: 'ResumeExecution' });
    const { end } = await eventually(() => held.get(`${ref.execution}/a/1`), { what: 'the attempt' });
    end({ ok: true, result: {} });
    expect((await stage.ended(ref)).state.status).toBe('completed');
  });

  it('are made again when an execution is loaded for a commit that they do not show', async () => {
    const ref = await stage.request([task('a', 'noop')]);
    await stage.submit(ref, { type: 'PauseExecution' });
    const known = await log.head();
    await stage.submit(ref, { type: 'ResumeExecution' });
    const history = log.history.bind(log);
    let reads = 0;
    log.history = (of, range) => history(of, reads++ === 0 ? { ...range, upTo: known.sequence } : range);
    const position = log.position(known.sequence);
    const checkpoints = new MemoryCheckpoints();
    for (let shard = 0; shard < SHARDS; shard++) await checkpoints.put(`owner.${shard}`, { position, chunks: 0 });
    const next = new Stage(log, checkpoints);
    await next.startOwner(cluster().join('one'), 'one', [noop]);
    expect((await next.ended(ref)).state.status).toBe('completed');
    await next.stop();
  });
});

describe('a start', () => {
  const movable = (): string => {
    const shards = shardsOf('two', ['one', 'two']);
    for (let i = 0; ; i++) if (shards.has(shardOf(`e-${i}`))) return `e-${i}`;
  };

  it('that nobody knows the outcome of is looked up, also when the shard is another executor’s by then', async () => {
    const { runner, held } = heldRunner();
    const members = cluster();
    const execution = movable();
    log.faults = {
      after: ({ expected }) => {
        if (expected === 0) return;
        log.faults = {};
        members.join('two');
        throw outcomeUnknown();
      },
    };
    await stage.startOwner(members.join('one'), 'one', [runner]);
    const ref = await stage.request([task('a', 'held')], execution);
    const { end } = await eventually(() => held.get(`${execution}/a/1`), { what: 'the attempt whose start is durable' });
    end({ ok: true, result: {} });
    expect((await stage.ended(ref)).state.tasks.get('a')).toMatchObject({ status: 'completed', attempt: 1 });
  });

  it('that arrives only after it was given up happens, also when the shard is another executor’s by then', async () => {
    const { runner, held } = heldRunner();
    const members = cluster();
    const execution = movable();
    let late: Append | undefined;
    log.faults = {
      before: (append) => {
        if (append.expected === 0) return;
        late = append;
        log.faults = {};
        throw outcomeUnknown();
      },
    };
    let reads = 0;
    log.holdHistory = () => void reads++;
    members.join('two');
    members.kill('two');
    const owner = await stage.startOwner(members.join('one'), 'one', [runner]);
    const ref = await stage.request([task('a', 'held')], execution);
    const append = await eventually(() => late, { what: 'the start to be sent' });
    members.join('two');
    await eventually(() => owner.counts.shards < 64 && reads > 0, { what: 'the shard to go, and the start to be looked up' });
    await log.append(append);
    const { end } = await eventually(() => held.get(`${execution}/a/1`), { what: 'the attempt whose start is durable' });
    end({ ok: true, result: {} });
    expect((await stage.ended(ref)).state.tasks.get('a')).toMatchObject({ status: 'completed', attempt: 1 });
  });

  it('happens once where the shard goes and comes back while it is being committed', async () => {
    const { runner, held, starts } = heldRunner();
    const members = cluster();
    const execution = movable();
    const committing = gate();
    let appends = 0;
    log.holdAppend = ({ expected }) => (expected > 0 && appends++ === 0 ? committing.closed : undefined);
    const owner = await stage.startOwner(members.join('one'), 'one', [runner, noop]);
    const ref = await stage.request([task('a', 'held')], execution);
    await eventually(() => appends === 1, { what: 'the start to be committed' });
    members.join('two');
    await eventually(() => owner.counts.shards < 64, { what: 'shards to go' });
    members.kill('two');
    await eventually(() => owner.counts.shards === 64, { what: 'shards to be back' });
    await stage.ended(await stage.request([task('a', 'noop')]));
    committing.open();
    const { end } = await eventually(() => held.get(`${execution}/a/1`), { what: 'the attempt' });
    await new Promise(setImmediate);
    end({ ok: true, result: {} });
    expect((await stage.ended(ref)).state.status).toBe('completed');
    expect(starts).toEqual([`${execution}/a/1`]);
  });

  it('that is committed only after the executor was told to end is left to the next executor', async () => {
    const { runner, held, starts } = heldRunner();
    const committing = gate();
    let appends = 0;
    log.holdAppend = ({ expected }) => (expected > 0 && appends++ === 0 ? committing.closed : undefined);
    const members = cluster();
    const owner = await stage.startOwner(members.join('one'), 'one', [runner]);
    const ref = await stage.request([task('a', 'held')]);
    await eventually(() => appends === 1, { what: 'the start to be committed' });
    const stopped = owner.stop(0, 5_000);
    await new Promise(setImmediate);
    committing.open();
    await stopped;
    expect(starts).toEqual([]);
    members.kill('one');
    await stage.startOwner(members.join('two'), 'two', [runner]);
    const { end } = await eventually(() => held.get(`${ref.execution}/a/2`), { what: 'the attempt of the next executor' });
    end({ ok: true, result: {} });
    expect((await stage.ended(ref)).state.status).toBe('completed');
  });

  it('that another in the same commit has made needless does not halt the execution', async () => {
    const large: Runner = { ...noop, name: 'large', run: () => ({ ok: true, result: { text: 'x'.repeat(40_000) } }) };
    await stage.startOwner(cluster().join('one'), 'one', [noop, large]);
    const ref = await stage.request([task('a', 'large', { onFailure: 'stop' }), task('b', 'noop')]);
    const { state } = await stage.ended(ref);
    expect([state.status, state.tasks.get('a')?.error?.code]).toEqual(['failed', 'RESULT_TOO_LARGE']);
    expect(state.tasks.get('b')?.status).toBe('skipped');
  });
});

describe('an attempt', () => {
  it('does not run again for a driver that comes after the one that started it, and whose own start was not stored', async () => {
    const { runner, held, starts } = heldRunner();
    const follow = log.follow.bind(log);
    let deliver: FollowHandler['commits'] = () => undefined;
    log.follow = (from, handler, shards) => {
      deliver = (batch) => handler.commits(batch);
      return follow(from, handler, shards);
    };
    await stage.startOwner(cluster().join('one'), 'one', [runner, noop]);
    const ref = await stage.request([task('a', 'held')]);
    const { end } = await eventually(() => held.get(`${ref.execution}/a/1`), { what: 'the attempt' });
    end({ ok: true, result: {} });
    const { sequence } = await stage.ended(ref);
    await stage.ended(await stage.request([task('n', 'noop')]));
    log.faults = {
      before: () => {
        log.faults = {};
        throw outcomeUnknown();
      },
    };
    const history = log.history.bind(log);
    const [requested] = await history(ref);
    let reads = 0;
    log.history = (of, range) => history(of, reads++ === 0 ? { ...range, upTo: sequence - 1 } : range);
    await deliver([requested!]);
    await eventually(() => reads > 1, { what: 'the append that was not stored to be looked up, and its successor refused' });
    await new Promise(setImmediate);
    expect(starts).toHaveLength(1);
  });
});

describe('a retry', () => {
  it('that comes due while it is being committed is started, with nothing else to wake its executor', async () => {
    const delivering = gate();
    const { runner, held } = heldRunner();
    await stage.startOwner(cluster().join('one'), 'one', [runner]);
    const ref = await stage.request([task('a', 'held', { retry: { maxAttempts: 2, delayMs: 20 } })]);
    const first = await eventually(() => held.get(`${ref.execution}/a/1`), { what: 'the first attempt' });
    log.holdDelivery = () => delivering.closed;
    log.holdAppend = async ({ body }) => {
      const commit = parseCommit(body);
      if ('unreadable' in commit) return;
      for (const { type, data } of commit.events) {
        if (type === 'TaskRetryScheduled') await eventually(() => Date.now() > Date.parse(data.at), { what: 'the retry to be due' });
      }
    };
    try {
      first.end({ ok: false, error: { code: 'BUSY', message: 'busy', retryable: true } });
      const second = await eventually(() => held.get(`${ref.execution}/a/2`), { what: 'the second attempt' });
      second.end({ ok: true, result: {} });
      expect((await stage.ended(ref)).state.status).toBe('completed');
    } finally {
      delivering.open();
    }
  });
});

describe('a commit', () => {
  it('whose outcome nobody knew at first has its reports recorded once', async () => {
    const { runner, held } = heldRunner();
    await stage.startOwner(cluster().join('one'), 'one', [runner]);
    const ref = await stage.request([task('a', 'held', { retry: { maxAttempts: 2, delayMs: 0 } })]);
    const loseAnswer = (): void => {
      log.faults = {
        after: () => {
          log.faults = {};
          throw outcomeUnknown();
        },
      };
    };
    const first = await eventually(() => held.get(`${ref.execution}/a/1`), { what: 'the first attempt' });
    loseAnswer();
    first.end({ ok: false, error: { code: 'BUSY', message: 'busy', retryable: true } });
    const second = await eventually(() => held.get(`${ref.execution}/a/2`), { what: 'the second attempt' });
    loseAnswer();
    second.attempt.step({ kind: 'started', name: 'once', metadata: {} });
    second.end({ ok: true, result: {} });
    const { state } = await stage.ended(ref);
    expect(state.tasks.get('a')).toMatchObject({ status: 'completed', attempt: 2, steps: 1 });
    expect(state.ignored).toBe(0);
  });

  it('is kept small enough whatever is reported at once: steps with much metadata', async () => {
    const { runner, held } = heldRunner();
    await stage.startOwner(cluster().join('one'), 'one', [runner]);
    const ref = await stage.request([task('a', 'held')]);
    const { attempt, end } = await eventually(() => held.get(`${ref.execution}/a/1`), { what: 'the attempt' });
    const metadata = Object.fromEntries(Array.from({ length: 32 }, (_, i) => [`k${i}`, '漢'.repeat(512)]));
    for (let i = 0; i < 50; i++) attempt.step({ kind: 'started', name: `step ${i}`, metadata });
    end({ ok: true, result: {} });
    const { state } = await stage.ended(ref);
    expect([state.status, state.tasks.get('a')?.steps]).toEqual(['completed', 50]);
  });

  it('is kept small enough whatever is reported at once: results beyond ASCII', async () => {
    const { runner, held } = heldRunner();
    await stage.startOwner(cluster().join('one'), 'one', [runner], { concurrency: 60 });
    const ref = await stage.request(Array.from({ length: 60 }, (_, i) => task(`t${i}`, 'held')));
    await eventually(() => held.size === 60, { what: 'all attempts' });
    const text = '漢'.repeat(10_000);
    for (const { end } of held.values()) end({ ok: true, result: { text } });
    expect((await stage.ended(ref)).state.status).toBe('completed');
  });

  it('that is too large all the same is decided again as smaller ones', async () => {
    const { runner, held } = heldRunner();
    await stage.startOwner(cluster().join('one'), 'one', [runner], { concurrency: 60 });
    log.faults = {
      before: ({ body, expected }) => {
        if (expected > 0 && body.length > 2_000) throw new LogError('COMMIT_TOO_LARGE', 'this broker takes less');
      },
    };
    const ref = await stage.request(Array.from({ length: 20 }, (_, i) => task(`t${i}`, 'held')));
    await eventually(() => held.size === 20, { what: 'all attempts' });
    for (const { end } of held.values()) end({ ok: true, result: {} });
    expect((await stage.ended(ref)).state.status).toBe('completed');
  });

  it('refused with nothing new to read is tried again later, while others go on', async () => {
    const stale = await stage.request([task('a', 'noop')]);
    let refused = 0;
    const append = log.append.bind(log);
    log.append = (of) => {
      if (of.ref.execution !== stale.execution || refused++ > 2) return append(of);
      return Promise.resolve({ stored: false });
    };
    await stage.startOwner(cluster().join('one'), 'one', [noop]);
    expect((await stage.ended(await stage.request([task('a', 'noop')]))).state.status).toBe('completed');
    expect(refused).toBe(1);
    expect((await stage.ended(stale)).state.status).toBe('completed');
  });
});

describe('a runner', () => {
  it.each([
    ['throws', () => Promise.reject(new Error('y'.repeat(300_000)))],
    ['answers nothing', () => Promise.resolve(undefined as never)],
  ])('that %s fails the task', async (_, run: Runner['run']) => {
    const broken: Runner = { name: 'broken', sideEffects: true, check: () => [], run };
    await stage.startOwner(cluster().join('one'), 'one', [broken]);
    const { state } = await stage.ended(await stage.request([task('a', 'broken')]));
    expect([state.status, state.tasks.get('a')?.error?.code]).toEqual(['failed', 'RUNNER_BROKEN']);
  });

  it('that fails with a long message and a large result keeps the failure, and its retry', async () => {
    const { runner, held } = heldRunner();
    await stage.startOwner(cluster().join('one'), 'one', [runner]);
    const ref = await stage.request([task('a', 'held', { retry: { maxAttempts: 2, delayMs: 0 } })]);
    const first = await eventually(() => held.get(`${ref.execution}/a/1`), { what: 'the first attempt' });
    const error = { code: 'BUSY', message: 'm'.repeat(300_000), retryable: true };
    first.end({ ok: false, error, result: { text: 'x'.repeat(40_000) } });
    const second = await eventually(() => held.get(`${ref.execution}/a/2`), { what: 'the second attempt' });
    expect((await load(log, ref)).state.tasks.get('a')?.error).toMatchObject({ code: 'BUSY', retryable: true });
    second.end({ ok: true, result: {} });
    expect((await stage.ended(ref)).state.status).toBe('completed');
  });
});

describe('a heartbeat', () => {
  it('that is missed ends the attempt, as a failure that another one may follow', async () => {
    const { runner, held } = heldRunner();
    await stage.startOwner(cluster().join('one'), 'one', [runner]);
    const ref = await stage.request([task('a', 'held', { heartbeatMs: 50, retry: { maxAttempts: 2, delayMs: 1 } })]);
    const second = await eventually(() => held.get(`${ref.execution}/a/2`), { what: 'the second attempt' });
    second.end({ ok: true, result: {} });
    const { state } = await stage.ended(ref);
    expect(state.status).toBe('completed');
    const failed = (await log.history(ref)).flatMap(({ commit }) => commit.events).find(({ type }) => type === 'TaskFailed');
    expect(failed?.data).toMatchObject({ attempt: 1, final: false, error: { code: 'TASK_HEARTBEAT_MISSED', message: 'no sign of life for 50 ms' } });
    expect(held.get(`${ref.execution}/a/1`)?.attempt.signal.aborted).toBe(true);
  });

  it('that a step is keeps the attempt alive', async () => {
    const { runner, held } = heldRunner();
    await stage.startOwner(cluster().join('one'), 'one', [runner]);
    const ref = await stage.request([task('a', 'held', { heartbeatMs: 400 })]);
    const { attempt, end } = await eventually(() => held.get(`${ref.execution}/a/1`), { what: 'the attempt' });
    const startedAt = performance.now();
    await eventually(() => {
      attempt.step({ kind: 'completed' });
      return performance.now() - startedAt > 800;
    }, { what: 'twice the time it may be silent' });
    end({ ok: true, result: {} });
    expect((await stage.ended(ref)).state.status).toBe('completed');
  });
});

it('a task that nobody was there to start in time fails when somebody is', async () => {
  const ref = await stage.request([task('a', 'held', { scheduleToStartMs: 1 })]);
  const requestedAt = Date.now();
  await eventually(() => Date.now() > requestedAt + 5, { what: 'the time it had to pass' });
  const { runner, starts } = heldRunner();
  await stage.startOwner(cluster().join('one'), 'one', [runner]);
  const { state } = await stage.ended(ref);
  expect(state.tasks.get('a')?.error?.code).toBe('TASK_START_TIMED_OUT');
  expect(starts).toEqual([]);
});

describe('expressions', () => {
  const results = async (tasks: Parameters<Stage['request']>[0]) => {
    await stage.startOwner(cluster().join('one'), 'one', [noop]);
    const { state } = await stage.ended(await stage.request(tasks));
    return { state, of: (id: string) => state.tasks.get(id) };
  };

  it('put the results of earlier tasks in the input of later ones, with their types', async () => {
    const { state, of } = await results([
      task('a', 'noop', { input: { result: { n: 3, list: [1, 2] } } }),
      task('b', 'noop', { dependsOn: ['a'], input: { result: { twice: '{{ tasks.a.result.n * 2 }}', list: '{{ tasks.a.result.list }}', text: 'n={{ tasks.a.result.n }}' } } }),
    ]);
    expect(state.status).toBe('completed');
    expect(of('b')?.result).toEqual({ twice: 6, list: [1, 2], text: 'n=3' });
  });

  it('have a task skipped whose condition is false, and what depends on it go on', async () => {
    const { state, of } = await results([
      task('a', 'noop', { input: { result: { n: 3 } } }),
      task('b', 'noop', { dependsOn: ['a'], when: 'tasks.a.result.n > 5' }),
      task('c', 'noop', { dependsOn: ['b'], when: "tasks.b.status == 'skipped'", input: { result: { why: '{{ tasks.b.status }}' } } }),
    ]);
    expect([state.status, of('b')?.status, of('c')?.result]).toEqual(['completed', 'skipped', { why: 'skipped' }]);
  });

  it('say how long a wait is', async () => {
    const { state, of } = await results([
      task('a', 'noop', { input: { result: { ms: 1 } } }),
      task('b', 'wait', { dependsOn: ['a'], input: { durationMs: '{{ tasks.a.result.ms }}' } }),
    ]);
    expect([state.status, of('b')?.status]).toEqual(['completed', 'completed']);
  });

  it.each<[string, Partial<Parameters<Stage['request']>[0][number]>, string]>([
    ['a condition', { when: 'tasks.a.result.missing > 1' }, 'when '],
    ['a template', { input: { result: { x: ['{{ tasks.a.result.missing }}'] } } }, 'input/result/x/0 '],
    ['a template whose value the runner can not take', { input: { result: '{{ tasks.a.status }}' } }, "input/result results in what noop can't take"],
    ['a template of a wait', { runner: 'wait', input: { durationMs: '{{ tasks.a.status }}' } }, "input/durationMs results in what wait can't take"],
  ])('that fail, fail the task for good and say where: %s', async (_, more, message) => {
    const { state, of } = await results([task('a', 'noop'), task('b', 'noop', { dependsOn: ['a'], retry: { maxAttempts: 3 }, ...more })]);
    expect([state.status, of('b')?.status, of('b')?.error?.code]).toEqual(['failed', 'failed', 'EXPRESSION_FAILED']);
    expect(of('b')?.error?.message).toContain(message);
  });

  it('are evaluated before a runner gets its input, and know which attempt it is', async () => {
    const { runner, held } = heldRunner();
    await stage.startOwner(cluster().join('one'), 'one', [runner]);
    const ref = await stage.request([task('a', 'held', { input: { text: '{{ execution.id }}/{{ attempt }}' }, retry: { maxAttempts: 2, delayMs: 1 } })]);
    const first = await eventually(() => held.get(`${ref.execution}/a/1`), { what: 'the first attempt' });
    expect(first.attempt.input).toEqual({ text: `${ref.execution}/1` });
    first.end({ ok: false, error: { code: 'BROKEN', message: 'it broke', retryable: true } });
    const second = await eventually(() => held.get(`${ref.execution}/a/2`), { what: 'the second attempt' });
    expect(second.attempt.input).toEqual({ text: `${ref.execution}/2` });
    second.end({ ok: true, result: {} });
    await stage.ended(ref);
  });
});

it('what was done is undone when a later task fails, the last first, with the results of what is undone', async () => {
  const broken: Runner = { name: 'broken', sideEffects: true, check: () => [], run: () => ({ ok: false, error: { code: 'BROKEN', message: 'it broke', retryable: false } }) };
  await stage.startOwner(cluster().join('one'), 'one', [noop, broken]);
  const ref = await stage.request([
    task('a', 'noop', { input: { result: { id: 1 } } }),
    task('b', 'noop', { dependsOn: ['a'], input: { result: { id: 2 } } }),
    task('c', 'broken', { dependsOn: ['b'] }),
    task('undo-a', 'noop', { compensates: 'a', input: { result: { undid: '{{ tasks.a.result.id }}' } } }),
    task('undo-b', 'noop', { compensates: 'b', input: { result: { undid: '{{ tasks.b.result.id }}' } } }),
  ]);
  const { state } = await stage.ended(ref);
  expect([state.status, state.reason?.code]).toEqual(['failed', 'TASK_FAILED']);
  const events = (await log.history(ref)).flatMap(({ commit }) => commit.events);
  const undone = events.flatMap((event) => (event.type === 'TaskCompleted' && event.data.taskId.startsWith('undo') ? [event.data.result] : []));
  expect(undone).toEqual([{ undid: 2 }, { undid: 1 }]);
});
