import type { Fact, PlanTask } from '#libs/contracts';
import { T0, advance, at, cancel, fail, given, iso, lose, pause, request, resume, start, succeed, task, type Step } from '#libs/testing';
import type { Command } from './commands.js';
import { mustStop, next } from './next.js';

/** Pays, reserves and ships, one after the other; the first two can be undone. */
const tasks: readonly PlanTask[] = [
  task('pay'),
  task('refund', { compensates: 'pay' }),
  task('reserve', { dependsOn: ['pay'] }),
  task('release', { compensates: 'reserve' }),
  task('ship', { dependsOn: ['reserve'] }),
];
const order = request(tasks);
const paid = [order, start('pay'), succeed('pay', 1, { id: 7 })] as const;
const reserved = [...paid, start('reserve'), succeed('reserve')] as const;
const failed = [...reserved, start('ship'), fail('ship')] as const;

const startsNext = (...steps: readonly Step[]): readonly string[] => next(given(...steps).state, T0).start;
const skipped = (taskId: string, why: string): Fact => ({ type: 'TaskSkipped', data: { taskId, why } });
const shipFailed = { code: 'TASK_FAILED', message: "task 'ship' failed: it broke", retryable: true };

describe('a task that undoes another', () => {
  it('lies still while all goes well, and is skipped at the end, as there is nothing to undo', () => {
    expect(startsNext(order)).toEqual(['pay']);
    expect(startsNext(...paid)).toEqual(['reserve']);
    given(...reserved, start('ship')).when(succeed('ship')).decides(
      { type: 'TaskCompleted', data: { taskId: 'ship', attempt: 1, result: {} } },
      skipped('refund', 'nothing to undo'),
      skipped('release', 'nothing to undo'),
      { type: 'ExecutionCompleted', data: { result: { ship: {} } } },
    );
  });

  it('is called when the execution fails, the last completed first, one at a time', () => {
    given(...reserved, start('ship')).when(fail('ship')).decides(
      { type: 'TaskFailed', data: { taskId: 'ship', attempt: 1, error: { code: 'BROKEN', message: 'it broke', retryable: true }, final: true } },
      { type: 'ExecutionCompensationStarted', data: { reason: shipFailed } },
    );
    expect(startsNext(...failed)).toEqual(['release']);
    expect(startsNext(...failed, start('release'))).toEqual([]);
    expect(startsNext(...failed, start('release'), succeed('release'))).toEqual(['refund']);
    given(...failed, start('release'), succeed('release'), start('refund')).when(succeed('refund')).decides(
      { type: 'TaskCompleted', data: { taskId: 'refund', attempt: 1, result: {} } },
      { type: 'ExecutionFailed', data: { reason: shipFailed } },
    );
  });

  it('undoes in the order in which things were done, not in that of the plan', () => {
    const side = request([task('a'), task('b'), task('undo-a', { compensates: 'a' }), task('undo-b', { compensates: 'b' }), task('c', { dependsOn: ['a', 'b'] })]);
    const done = (first: string, second: string): Step[] => [side, start('a'), start('b'), succeed(first), succeed(second), start('c'), fail('c')];
    expect(startsNext(...done('a', 'b'))).toEqual(['undo-b']);
    expect(startsNext(...done('b', 'a'))).toEqual(['undo-a']);
  });

  it('of a task that did not complete is skipped and says so', () => {
    given(...paid, start('reserve')).when(fail('reserve')).decides(
      { type: 'TaskFailed', data: { taskId: 'reserve', attempt: 1, error: { code: 'BROKEN', message: 'it broke', retryable: true }, final: true } },
      skipped('ship', "dependency 'reserve' failed"),
      skipped('release', "nothing to undo: 'reserve' failed"),
      { type: 'ExecutionCompensationStarted', data: { reason: { ...shipFailed, message: "task 'reserve' failed: it broke" } } },
    );
  });

  it('waits until all else has ended, also what is not affected', () => {
    const side = request([...tasks, task('slow')]);
    const going = [side, start('slow'), ...failed.slice(1)];
    expect(startsNext(...going)).toEqual([]);
    given(...going).when(succeed('slow')).decidesTypes('TaskCompleted', 'ExecutionCompensationStarted');
  });

  it('is not called by a failure that the plan passes over', () => {
    const passed = request([task('a'), task('undo', { compensates: 'a' }), task('b', { dependsOn: ['a'], onFailure: 'continue' })]);
    given(passed, start('a'), succeed('a'), start('b')).when(fail('b')).decidesTypes('TaskFailed', 'TaskSkipped', 'ExecutionCompleted');
  });

  it('is called where a failure stops the execution', () => {
    const stopped = request([task('a'), task('undo', { compensates: 'a' }), task('b', { onFailure: 'stop' }), task('c', { dependsOn: ['a'] })]);
    given(stopped, start('a'), succeed('a'), start('b')).when(fail('b')).decidesTypes('TaskFailed', 'TaskSkipped', 'ExecutionCompensationStarted');
    expect(startsNext(stopped, start('a'), succeed('a'), start('b'), fail('b'))).toEqual(['undo']);
  });
});

describe('a cancel', () => {
  it('that is graceful has done what was done undone', () => {
    given(...reserved).when(cancel('graceful')).decidesTypes('ExecutionCancelRequested', 'TaskSkipped', 'ExecutionCompensationStarted');
    const cancelled = [...reserved, cancel('graceful')];
    expect(startsNext(...cancelled)).toEqual(['release']);
    given(...cancelled, start('release'), succeed('release'), start('refund')).when(succeed('refund')).decidesTypes('TaskCompleted', 'ExecutionCancelled');
  });

  it('at once leaves everything as it is', () => {
    given(...reserved).when(cancel('immediate')).decidesTypes('ExecutionCancelRequested', 'TaskSkipped', 'TaskSkipped', 'TaskSkipped', 'ExecutionCancelled');
    given(...reserved, start('ship'), cancel('immediate')).when(fail('ship')).decidesTypes('TaskCancelled', 'TaskSkipped', 'TaskSkipped', 'ExecutionCancelled');
  });

  it('at once ends what is being undone', () => {
    const undoing = given(...failed, start('release')).when(cancel('immediate'));
    undoing.decidesTypes('ExecutionCancelRequested', 'TaskSkipped');
    expect(mustStop(undoing.state(), 'release', 1)).toBe(true);
    given(...failed, start('release'), cancel('immediate')).when(fail('release')).decidesTypes('TaskCancelled', 'ExecutionCancelled');
  });

  it('that is graceful changes nothing about what is being undone but the word for the end', () => {
    given(...failed, start('release')).when(cancel('graceful')).decidesTypes('ExecutionCancelRequested');
    expect(startsNext(...failed, start('release'), cancel('graceful'), succeed('release'))).toEqual(['refund']);
  });
});

describe('what undoes', () => {
  const retry = { maxAttempts: 2, backoff: 'fixed' as const, delayMs: 10 };
  const patient = tasks.map((one) => (one.compensates === undefined ? one : { ...one, retry }));
  const broken = [request(patient), ...failed.slice(1)] as const;

  it('is tried again as its policy says, also while the execution is cancelled', () => {
    given(...broken, start('release')).when(fail('release')).decidesTypes('TaskFailed', 'TaskRetryScheduled');
    given(...broken, start('release'), cancel('graceful')).when(fail('release')).decidesTypes('TaskFailed', 'TaskRetryScheduled');
    given(...broken, start('release'), cancel('graceful')).when(lose('release')).decidesTypes('TaskFailed', 'TaskRetryScheduled');
    expect(next(given(...broken, start('release'), fail('release')).state, T0)).toMatchObject({ start: [], wakeAt: T0 + 10 });
  });

  it('and fails for good does not keep the rest from being undone, and stands in the reason', () => {
    const left = [...broken, start('release'), fail('release'), at(10, start('release')), at(11, fail('release', 2))];
    expect(startsNext(...left)).toEqual(['refund']);
    given(...left, at(12, start('refund'))).when(at(13, succeed('refund'))).decides(
      { type: 'TaskCompleted', data: { taskId: 'refund', attempt: 1, result: {} } },
      {
        type: 'ExecutionFailed',
        data: { reason: { code: 'COMPENSATION_FAILED', message: "task 'ship' failed: it broke; compensation 'release' failed: it broke", retryable: false } },
      },
    );
  });

  it('and fails stands in the reason of a cancelled execution, too', () => {
    const gone: Command = { type: 'CancelExecution', mode: 'graceful', reason: 'not wanted' };
    given(...paid, gone, start('refund')).when(fail('refund')).decides(
      { type: 'TaskFailed', data: { taskId: 'refund', attempt: 1, error: { code: 'BROKEN', message: 'it broke', retryable: true }, final: true } },
      { type: 'ExecutionCancelled', data: { reason: "not wanted; compensation 'refund' failed: it broke" } },
    );
  });

  it('waits in a pause like any other task', () => {
    expect(startsNext(...failed, pause)).toEqual([]);
    expect(startsNext(...failed, pause, resume)).toEqual(['release']);
  });

  it('has its own time limits, not that of the execution, whose time may be over', () => {
    const bounded = request(tasks.map((one) => (one.id === 'refund' ? { ...one, timeoutMs: 50 } : one)), { timeoutMs: 100 });
    const over = given(bounded, start('pay'), succeed('pay'), start('reserve')).when(at(100, advance));
    over.decidesTypes('TaskCancelled', 'TaskSkipped', 'TaskSkipped', 'ExecutionCompensationStarted');
    const late = [bounded, start('pay'), succeed('pay'), start('reserve'), at(100, advance), at(200, start('refund'))];
    expect(next(given(...late).state, T0 + 200).wakeAt).toBe(Date.parse(iso(250)));
    given(...late).when(at(240, advance)).decides();
    const end = given(...late).when(at(240, succeed('refund')));
    end.decidesTypes('TaskCompleted', 'ExecutionFailed');
    expect(end.state().reason?.code).toBe('EXECUTION_TIMED_OUT');
  });

  it('is called where all that was left was waiting when the time was over', () => {
    const bounded = request(tasks, { timeoutMs: 100 });
    const over = given(bounded, start('pay'), succeed('pay'), pause).when(at(100, advance));
    over.decidesTypes('TaskSkipped', 'TaskSkipped', 'TaskSkipped', 'ExecutionCompensationStarted');
  });
});
