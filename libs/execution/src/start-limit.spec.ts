import { T0, advance, at, cancel, fail, given, lose, pause, request, resume, start, startEach, succeed, task } from '#libs/testing';
import { next } from './next.js';

const chain = request([task('a'), task('b', { dependsOn: ['a'], scheduleToStartMs: 100 })]);
const due = [chain, start('a'), at(10, succeed('a'))] as const;

const nobody = 'not started within 100 ms of being due: no executor has taken it; start another executor, or allow for more in scheduleToStartMs';

describe('a task with a limit on its start', () => {
  it('fails by itself when nobody starts it in time, counted from when it came due', () => {
    expect(next(given(...due).state, T0 + 10)).toEqual({ start: ['b'], decide: [], advance: false, wakeAt: T0 + 110 });
    given(...due).when(at(109, advance)).decides();
    const error = { code: 'TASK_START_TIMED_OUT', message: nobody, retryable: false };
    given(...due).when(at(110, advance)).decides(
      { type: 'TaskFailed', data: { taskId: 'b', attempt: 0, error, final: true } },
      {
        type: 'ExecutionFailed',
        data: { reason: { code: 'TASK_FAILED', message: `task 'b' failed: ${nobody}`, retryable: false } },
      },
    );
  });

  it('is not started any more by who comes too late, though nobody looked meanwhile', () => {
    given(...due).when(at(500, start('b'))).refuses('TASK_NOT_STARTABLE');
    expect(next(given(...due).state, T0 + 500)).toMatchObject({ start: [], advance: true });
  });

  it('has all the time it needs once it has started', () => {
    given(...due, at(109, start('b'))).when(at(500, advance)).decides();
  });

  it('waits for nothing in a pause, and has its whole time after it', () => {
    given(...due, at(20, pause)).when(at(500, advance)).decides();
    const resumed = given(...due, at(20, pause), at(500, resume));
    expect(next(resumed.state, T0 + 500)).toMatchObject({ start: ['b'], wakeAt: T0 + 600 });
    resumed.when(at(600, advance)).decidesTypes('TaskFailed', 'ExecutionFailed');
  });

  it('is not waiting for its next attempt any more when it has failed before that was started', () => {
    const retried = request([task('a', { scheduleToStartMs: 50, retry: { maxAttempts: 2, delayMs: 10 } })]);
    const late = given(retried, start('a'), fail('a')).when(at(500, advance));
    late.decidesTypes('TaskFailed', 'ExecutionFailed');
    expect(late.state().tasks.get('a')).toMatchObject({ status: 'failed', retryAt: undefined });
  });

  it('waits in the line of its plan, too, and says so', () => {
    const line = request([task('a'), task('b', { scheduleToStartMs: 100 })], { concurrency: 1 });
    const late = given(line, start('a')).when(at(100, advance));
    late.decidesTypes('TaskFailed');
    expect(late.state().tasks.get('b')?.error?.message).toBe('not started within 100 ms of being due: the plan lets 1 run at once; raise its concurrency, or allow for more in scheduleToStartMs');
  });

  it('waits from its turn on, where it is an item, and not before', () => {
    const items = request([task('mail', { forEach: { items: [1, 2], concurrency: 1 }, scheduleToStartMs: 100 })]);
    const first = given(items, startEach('mail', [1, 2]), start('mail--0'));
    expect(next(first.state, T0 + 500).advance).toBe(false);
    const second = given(items, startEach('mail', [1, 2]), start('mail--0'), at(500, succeed('mail--0')));
    expect(next(second.state, T0 + 500)).toMatchObject({ start: ['mail--1'], wakeAt: T0 + 600 });
  });

  it('has its whole time again for every attempt, from when that is due', () => {
    const retried = request([task('a', { scheduleToStartMs: 100, retry: { maxAttempts: 2, backoff: 'fixed', delayMs: 1_000 } })]);
    const failed = given(retried, start('a'), at(50, fail('a')));
    expect(next(failed.state, T0 + 1_050).wakeAt).toBe(T0 + 1_150);
    failed.when(at(1_150, advance)).decides(
      {
        type: 'TaskFailed',
        data: { taskId: 'a', attempt: 1, error: { code: 'TASK_START_TIMED_OUT', message: nobody, retryable: false }, final: true },
      },
      {
        type: 'ExecutionFailed',
        data: { reason: { code: 'TASK_FAILED', message: `task 'a' failed: ${nobody}`, retryable: false } },
      },
    );
    given(retried, start('a'), at(50, lose('a'))).when(at(149, start('a'))).decidesTypes('TaskStarted');
  });

  it('is passed over, or stops the execution, as any other that failed', () => {
    const passed = request([task('a', { scheduleToStartMs: 10, onFailure: 'continue' }), task('b', { dependsOn: ['a'] })]);
    expect(next(given(passed, at(10, advance)).state, T0 + 10).start).toEqual(['b']);
    const stopped = request([task('a', { scheduleToStartMs: 10, onFailure: 'stop' }), task('b')]);
    given(stopped).when(at(10, advance)).decidesTypes('TaskFailed', 'TaskSkipped', 'ExecutionFailed');
  });

  it('is skipped with the execution it is part of, whatever time it has', () => {
    given(...due).when(at(500, cancel('graceful'))).decidesTypes('ExecutionCancelRequested', 'TaskSkipped', 'ExecutionCancelled');
  });
});
