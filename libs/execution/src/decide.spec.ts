import type { Fact } from '#libs/contracts';
import { type Step, advance, at, cancel, fail, given, iso, lose, pause, request, resume, start, succeed, T0, task } from '#libs/testing';
import { type Command, keyedCause } from './commands.js';
import { MAX_CONSEQUENCES, MAX_IGNORED, MAX_LOSSES, MAX_RESULT_BYTES } from './limits.js';
import { mustStop, next } from './next.js';

const chain = request([task('a'), task('b', { dependsOn: ['a'] })]);
const reason = (message = 'it broke', retryable = true): { code: string; message: string; retryable: boolean } => ({
  code: 'TASK_FAILED',
  message: `task 'a' failed: ${message}`,
  retryable,
});

describe('a request', () => {
  it('is the first event, and changes nothing when it comes again', () => {
    given().when(chain).decidesTypes('ExecutionRequested');
    given(at(0, chain, 'key')).when(at(1, chain, 'key')).decides();
  });

  it('for an id that another request has taken is refused', () => {
    given(at(0, chain, 'key')).when(at(1, chain, 'other')).refuses('EXECUTION_EXISTS');
  });

  it('is what everything else needs', () => {
    for (const command of [pause, resume, cancel('graceful'), advance]) given().when(command).refuses('EXECUTION_NOT_FOUND');
  });
});

describe('a start', () => {
  it('starts the execution with its first task, and sets both deadlines', () => {
    const bounded = request([task('a', { timeoutMs: 50 })], { timeoutMs: 1_000 });
    given(bounded).when(at(10, start('a'))).decides(
      { type: 'ExecutionStarted', data: { deadlineAt: iso(1_010) } },
      { type: 'TaskStarted', data: { taskId: 'a', attempt: 1, executor: 'one', deadlineAt: iso(60) } },
    );
  });

  it('of a task that is not due is refused', () => {
    given(chain).when(start('b')).refuses('TASK_NOT_STARTABLE');
    given(chain, start('a')).when(start('a')).refuses('TASK_NOT_STARTABLE');
    given(chain, pause).when(start('a')).refuses('TASK_NOT_STARTABLE');
  });

  it('keeps to the concurrency of the plan', () => {
    const two = request([task('a'), task('b'), task('c')], { concurrency: 2 });
    expect(next(given(two).state, T0).start).toEqual(['a', 'b']);
    expect(next(given(two, start('a')).state, T0).start).toEqual(['b']);
    expect(next(given(two, start('a'), start('b')).state, T0).start).toEqual([]);
  });
});

describe('the end', () => {
  it('of the last task is the end of the execution, with the results of the leaves', () => {
    given(chain, start('a'), succeed('a', 1, { n: 1 }), start('b')).when(succeed('b', 1, { n: 2 })).decides(
      { type: 'TaskCompleted', data: { taskId: 'b', attempt: 1, result: { n: 2 } } },
      { type: 'ExecutionCompleted', data: { result: { b: { n: 2 } } } },
    );
  });

  it('is final: commands are refused, late results are recorded as ignored, a few of them', () => {
    const done = [request([task('a')]), start('a'), succeed('a')] as const;
    for (const command of [pause, resume, cancel('immediate')]) given(...done).when(command).refuses('EXECUTION_TERMINAL');
    given(...done).when(fail('a')).decides({ type: 'TaskResultIgnored', data: { taskId: 'a', attempt: 1, why: 'execution completed' } });
    const many = Array.from({ length: MAX_IGNORED }, () => fail('a'));
    given(...done, ...many).when(fail('a')).decides();
  });

  it('of an attempt that is reported twice is recorded once', () => {
    given(chain, start('a'), succeed('a')).when(succeed('a')).decides();
  });
});

describe('pause', () => {
  it('lets running tasks finish and starts none', () => {
    const { state } = given(chain, start('a'), pause, succeed('a'));
    expect(state.status).toBe('paused');
    expect(next(state, T0).start).toEqual([]);
  });

  it('twice is pause once; resume goes on, and twice is once', () => {
    given(chain, pause).when(pause).decides();
    given(chain, pause, resume).when(resume).decides();
    expect(given(chain, pause, resume).state.status).toBe('pending');
    expect(given(chain, start('a'), pause, resume).state.status).toBe('running');
  });

  it('does not keep an execution from ending that has nothing left to start', () => {
    given(request([task('a')]), start('a'), pause).when(succeed('a')).decidesTypes('TaskCompleted', 'ExecutionCompleted');
  });
});

describe('a command that its client named with a key', () => {
  const keyed = (command: Command, key: string, asked = 'asked'): Step => at(0, command, keyedCause(key, asked));

  it('is applied once, also where it would be allowed again', () => {
    given(chain, keyed(pause, 'k'), resume).when(keyed(pause, 'k')).decides();
    given(keyed(chain, 'k'), pause).when(keyed(chain, 'k')).decides();
  });

  it('is remembered where it found nothing to do, so that it does nothing later either', () => {
    const remembered = (command: string): Fact => ({ type: 'ExecutionCommandSatisfied', data: { command } });
    given(chain).when(keyed(resume, 'k')).decides(remembered('ResumeExecution'));
    given(chain, pause).when(keyed(pause, 'k')).decides(remembered('PauseExecution'));
    given(chain, start('a'), cancel('graceful')).when(keyed(cancel('graceful'), 'k')).decides(remembered('CancelExecution'));
    given(chain, keyed(resume, 'k'), pause).when(keyed(resume, 'k')).decides();
  });

  it('changes nothing but that it is remembered', () => {
    const { state } = given(chain, pause);
    const after = given(chain, pause).when(keyed(pause, 'k')).state();
    expect({ ...after, applied: state.applied, events: state.events }).toEqual(state);
  });

  it('is refused where the key came with another command before', () => {
    given(chain, keyed(pause, 'k')).when(keyed(pause, 'k', 'another')).refuses('IDEMPOTENCY_KEY_REUSED');
    given(chain, keyed(pause, 'k')).when(keyed(cancel('immediate'), 'k', 'another')).refuses('IDEMPOTENCY_KEY_REUSED');
    given(keyed(chain, 'k')).when(keyed(chain, 'k', 'another')).refuses('IDEMPOTENCY_KEY_REUSED');
  });

  it('may hold the character that stands before its fingerprint', () => {
    given(chain, keyed(pause, 'k#1'), resume).when(keyed(pause, 'k#1')).decides();
    given(chain, keyed(pause, 'k#1'), resume).when(keyed(pause, 'k')).decidesTypes('ExecutionPaused');
  });

  it('leaves nothing behind an end', () => {
    given(chain, cancel('immediate')).when(keyed(cancel('immediate'), 'k')).decides();
  });
});

describe('cancel', () => {
  it('of an execution in which nothing runs ends it at once', () => {
    given(chain).when(cancel('graceful')).decidesTypes('ExecutionCancelRequested', 'TaskSkipped', 'TaskSkipped', 'ExecutionCancelled');
  });

  it('gracefully lets the running task finish and skips the rest', () => {
    const graceful = given(chain, start('a')).when(cancel('graceful'));
    graceful.decidesTypes('ExecutionCancelRequested', 'TaskSkipped');
    expect(mustStop(graceful.state(), 'a', 1)).toBe(false);
    given(chain, start('a'), cancel('graceful')).when(succeed('a')).decidesTypes('TaskCompleted', 'ExecutionCancelled');
  });

  it('at once has the running task ended, and is over when that has ended', () => {
    const immediate = given(chain, start('a')).when(cancel('immediate'));
    expect(immediate.state().status).toBe('cancelling');
    expect(mustStop(immediate.state(), 'a', 1)).toBe(true);
    given(chain, start('a'), cancel('immediate')).when(fail('a')).decidesTypes('TaskCancelled', 'ExecutionCancelled');
  });

  it('again answers as the first; only from graceful to immediate there is a way', () => {
    given(chain, start('a'), cancel('immediate')).when(cancel('graceful')).decides();
    given(chain, start('a'), cancel('graceful')).when(cancel('graceful')).decides();
    given(chain, start('a'), cancel('graceful')).when(cancel('immediate')).decidesTypes('ExecutionCancelRequested');
    given(chain, cancel('immediate')).when(cancel('immediate')).decides();
  });

  it('leaves no way back', () => {
    given(chain, start('a'), cancel('graceful')).when(pause).refuses('EXECUTION_CANCELLING');
    given(chain, start('a'), cancel('graceful')).when(resume).refuses('EXECUTION_CANCELLING');
  });

  it('ends a wait at once: nothing is interrupted by that', () => {
    const waiting = request([task('a', { runner: 'wait', input: { durationMs: 1_000 } })]);
    given(waiting, start('a')).when(cancel('graceful')).decidesTypes('ExecutionCancelRequested', 'TaskCancelled', 'ExecutionCancelled');
  });
});

describe('a failed attempt', () => {
  const retried = (backoff: 'fixed' | 'linear' | 'exponential'): ReturnType<typeof request> =>
    request([task('a', { retry: { maxAttempts: 4, backoff, delayMs: 100, maxDelayMs: 350 } })]);

  it.each([
    ['fixed', [100, 100, 100]],
    ['linear', [100, 200, 300]],
    ['exponential', [100, 200, 350]],
  ] as const)('waits by its %s backoff, capped', (backoff, delays) => {
    let history: Step[] = [retried(backoff), start('a')];
    let now = 0;
    delays.forEach((delay, i) => {
      given(...history).when(at(now, fail('a', i + 1))).decides(
        { type: 'TaskFailed', data: { taskId: 'a', attempt: i + 1, error: { code: 'BROKEN', message: 'it broke', retryable: true }, final: false } },
        { type: 'TaskRetryScheduled', data: { taskId: 'a', attempt: i + 2, at: iso(now + delay) } },
      );
      history = [...history, at(now, fail('a', i + 1)), at(now + delay, start('a'))];
      now += delay;
    });
    given(...history).when(at(now, fail('a', 4))).decidesTypes('TaskFailed', 'ExecutionFailed');
  });

  it('waits as long as the plan says where it names no maximum', () => {
    const hour = 3_600_000;
    const patient = request([task('a', { retry: { maxAttempts: 2, backoff: 'fixed', delayMs: hour } })]);
    expect(next(given(patient, start('a'), fail('a')).state, T0).wakeAt).toBe(T0 + hour);
  });

  it('is not started again before its time', () => {
    const { state } = given(retried('fixed'), start('a'), fail('a'));
    expect(next(state, T0 + 99)).toEqual({ start: [], decide: [], advance: false, wakeAt: T0 + 100 });
    expect(next(state, T0 + 100).start).toEqual(['a']);
  });

  it('that another try would not help is the last', () => {
    given(retried('fixed'), start('a')).when(fail('a', 1, false)).decidesTypes('TaskFailed', 'ExecutionFailed');
  });
});

describe('a task that failed for good', () => {
  const diamond = (onFailure: 'skip' | 'stop' | 'continue'): ReturnType<typeof request> =>
    request([task('a', { onFailure }), task('b', { dependsOn: ['a'] }), task('c', { dependsOn: ['b'] }), task('d')]);

  it('has everything that depends on it skipped, while the rest goes on (skip)', () => {
    given(diamond('skip'), start('a')).when(fail('a')).decidesTypes('TaskFailed', 'TaskSkipped', 'TaskSkipped');
    given(diamond('skip'), start('a'), start('d'), fail('a'))
      .when(succeed('d'))
      .decides(
        { type: 'TaskCompleted', data: { taskId: 'd', attempt: 1, result: {} } },
        { type: 'ExecutionFailed', data: { reason: reason() } },
      );
  });

  it('stops the execution, but not what runs (stop)', () => {
    const stopped = given(diamond('stop'), start('a'), start('d')).when(fail('a'));
    stopped.decidesTypes('TaskFailed', 'TaskSkipped', 'TaskSkipped');
    expect(mustStop(stopped.state(), 'd', 1)).toBe(false);
    given(diamond('stop'), start('a'), start('d'), fail('a')).when(succeed('d')).decidesTypes('TaskCompleted', 'ExecutionFailed');
  });

  it('is passed over (continue)', () => {
    const { state } = given(diamond('continue'), start('a'), fail('a'));
    expect(next(state, T0).start).toEqual(['b', 'd']);
    given(request([task('a', { onFailure: 'continue' })]), start('a')).when(fail('a')).decidesTypes('TaskFailed', 'ExecutionCompleted');
  });
});

describe('time', () => {
  it('ends an attempt at its deadline, whether or not its runner says so', () => {
    const bounded = request([task('a', { timeoutMs: 50, retry: { maxAttempts: 2, delayMs: 10 } })]);
    given(bounded, start('a')).when(at(49, advance)).decides();
    given(bounded, start('a')).when(at(50, advance)).decides(
      { type: 'TaskTimedOut', data: { taskId: 'a', attempt: 1, timeoutMs: 50, final: false } },
      { type: 'TaskRetryScheduled', data: { taskId: 'a', attempt: 2, at: iso(60) } },
    );
    const late = given(bounded, start('a'), at(50, advance));
    expect(mustStop(late.state, 'a', 1)).toBe(true);
    late.when(at(51, succeed('a'))).decidesTypes('TaskResultIgnored');
  });

  it('ends the execution at its deadline, with everything in it', () => {
    const bounded = request([task('a'), task('b', { dependsOn: ['a'] })], { timeoutMs: 100 });
    const over = given(bounded, start('a')).when(at(100, advance));
    over.decidesTypes('TaskCancelled', 'TaskSkipped', 'ExecutionFailed');
    expect(over.state().reason?.code).toBe('EXECUTION_TIMED_OUT');
  });

  it('ends what still runs of a cancelled execution at the deadline of the execution, and sets no timer that has rung', () => {
    const bounded = request([task('a'), task('b', { dependsOn: ['a'] })], { timeoutMs: 100 });
    const cancelled = given(bounded, start('a'), cancel('graceful'));
    expect(next(cancelled.state, T0 + 99)).toEqual({ start: [], decide: [], advance: false, wakeAt: T0 + 100 });
    cancelled.when(at(100, advance)).decidesTypes('TaskCancelled', 'ExecutionCancelled');
  });

  it('ends a wait, for which nothing runs', () => {
    const waiting = request([task('a', { runner: 'wait', input: { until: iso(500) } })]);
    given(waiting).when(start('a')).decides(
      { type: 'ExecutionStarted', data: {} },
      { type: 'TaskStarted', data: { taskId: 'a', attempt: 1, executor: '', wakeAt: iso(500) } },
    );
    expect(next(given(waiting, start('a')).state, T0).wakeAt).toBe(T0 + 500);
    given(waiting, start('a')).when(at(500, advance)).decidesTypes('TaskCompleted', 'ExecutionCompleted');
  });

  it('never runs backwards, whatever the clock says', () => {
    const state = given(at(1_000, chain), at(0, start('a'))).state;
    expect(state.at).toBe(T0 + 1_000);
  });

  it("is not what a client's command reports", () => {
    const bounded = request([task('a', { timeoutMs: 50 })]);
    given(bounded, start('a')).when(at(1_000, pause)).decidesTypes('ExecutionPaused');
  });
});

describe('a lost attempt', () => {
  it('is run anew at once, and does not count as one of the retries', () => {
    given(request([task('a')]), start('a')).when(lose('a')).decidesTypes('TaskFailed', 'TaskRetryScheduled');
    const { state } = given(request([task('a')]), start('a'), lose('a'));
    expect(next(state, T0).start).toEqual(['a']);
    given(request([task('a')]), start('a'), lose('a'), start('a')).when(succeed('a', 2)).decidesTypes('TaskCompleted', 'ExecutionCompleted');
  });

  it('is the last where the task must not run twice, and after too many', () => {
    given(request([task('a', { onLost: 'fail' })]), start('a')).when(lose('a')).decidesTypes('TaskFailed', 'ExecutionFailed');
    const losses = Array.from({ length: MAX_LOSSES - 1 }, (_, i) => [start('a'), lose('a', i + 1)]).flat();
    given(request([task('a')]), ...losses, start('a')).when(lose('a', MAX_LOSSES)).decidesTypes('TaskFailed', 'ExecutionFailed');
  });

  it('that has ended meanwhile is not lost', () => {
    given(chain, start('a'), succeed('a')).when(lose('a')).decides();
  });
});

describe('steps', () => {
  const step = (name: string): Parameters<typeof at>[1] => ({
    type: 'RecordStep',
    taskId: 'a',
    attempt: 1,
    step: { kind: 'started', name, metadata: {} },
  });

  it('follow one another: a start closes the open one, as the end of the task does', () => {
    given(chain, start('a')).when(step('one')).decidesTypes('StepStarted');
    given(chain, start('a'), step('one')).when(step('two')).decidesTypes('StepCompleted', 'StepStarted');
    given(chain, start('a'), step('one')).when(succeed('a')).decidesTypes('StepCompleted', 'TaskCompleted');
    given(request([task('a')]), start('a'), step('one')).when(fail('a')).decidesTypes('StepFailed', 'TaskFailed', 'ExecutionFailed');
  });

  it('of an attempt that is over are not recorded', () => {
    given(chain, start('a'), succeed('a')).when(step('late')).decides();
  });
});

it('decides a bounded number of events at once, however far a failure reaches', () => {
  const near = Array.from({ length: MAX_CONSEQUENCES / 2 }, (_, i) => task(`n${i}`, { dependsOn: ['root'] }));
  const far = Array.from({ length: MAX_CONSEQUENCES * 2 }, (_, i) => task(`f${i}`, { dependsOn: [`n${i % near.length}`] }));
  const failed = given(request([task('root'), ...near, ...far]), start('root')).when(fail('root')).state();
  expect(failed.events).toBeLessThanOrEqual(MAX_CONSEQUENCES + 3);
  expect(next(failed, T0).advance).toBe(true);
});

it('skips a chain behind a failed task in one go', () => {
  const chained = Array.from({ length: 100 }, (_, i) => task(`t${i}`, { dependsOn: i === 0 ? [] : [`t${i - 1}`] }));
  const { tasks } = given(request(chained), start('t0')).when(fail('t0')).state();
  expect([...tasks.values()].filter(({ status }) => status === 'skipped').length).toBe(99);
});

it('carries as many bytes of results at its end as it may, whatever they are written in', () => {
  const wide = Array.from({ length: 9 }, (_, i) => task(`t${i}`));
  const steps = wide.flatMap(({ id }) => [start(id), succeed(id, 1, { text: '\u6f22'.repeat(10_000) })]);
  const { result } = given(request(wide), ...steps).state;
  expect(Object.keys(result ?? {})).toEqual(['t0', 't1']);
  expect(Buffer.byteLength(JSON.stringify(result))).toBeLessThanOrEqual(MAX_RESULT_BYTES);
});

it('leaves what does not fit one commit to the next ones', () => {
  const wide = request([task('root'), ...Array.from({ length: MAX_CONSEQUENCES * 2 }, (_, i) => task(`t${i}`, { dependsOn: ['root'] }))]);
  const first = given(wide).when(cancel('immediate'));
  const state = first.state();
  expect(state.status).toBe('cancelling');
  expect(next(state, T0).advance).toBe(true);
  const more = given(wide, cancel('immediate'), advance);
  expect(more.state.status === 'cancelled' || next(more.state, T0).advance).toBe(true);
  expect(given(wide, cancel('immediate'), advance, advance).state.status).toBe('cancelled');
});
