import type { Fact } from '#libs/contracts';
import { type Step, T0, advance, again, at, cancel, fail, given, iso, lose, over, pause, request, resume, start, succeed, task } from '#libs/testing';
import type { Command } from './commands.js';
import { next } from './next.js';

const loop = { until: 'result.ready', maxIterations: 3 };
const poll = request([task('poll', { loop, retry: { maxAttempts: 2, delayMs: 10, backoff: 'fixed' } }), task('use', { dependsOn: ['poll'] })]);
const first = [poll, start('poll'), start('poll--0')] as const;
const once = [...first, succeed('poll--0', 1, { n: 0 })] as const;

const nextOf = (...steps: readonly Step[]) => next(given(...steps).state, T0);
const completed = (taskId: string, result = {}): Fact => ({ type: 'TaskCompleted', data: { taskId, attempt: 1, result } });
const expanded = (first: number, more = {}): Fact => ({ type: 'TaskExpanded', data: { taskId: 'poll', attempt: 1, runner: 'command', first, count: 1, items: [], ...more } });

describe('a loop', () => {
  it('begins with one iteration, which is a task of its own', () => {
    given(poll).when(start('poll')).decides({ type: 'ExecutionStarted', data: {} }, { type: 'TaskStarted', data: { taskId: 'poll', attempt: 1, executor: '' } }, expanded(0));
    expect(nextOf(poll, start('poll')).start).toEqual(['poll--0']);
  });

  it('waits for the word of its condition after each iteration', () => {
    given(...first).when(succeed('poll--0')).decides(completed('poll--0'));
    expect(nextOf(...once)).toMatchObject({ start: [], decide: ['poll'], advance: false });
  });

  it('goes on with another iteration while its condition is false', () => {
    given(...once).when(again('poll')).decides(expanded(1));
    expect(nextOf(...once, again('poll'))).toMatchObject({ start: ['poll--1'], decide: [] });
  });

  it('is over once its condition is true, with the last result and how many it took', () => {
    const last = given(...once, again('poll'), start('poll--1'), succeed('poll--1', 1, { ready: true })).when(over('poll'));
    last.decides(completed('poll', { count: 2, result: { ready: true } }));
    expect(next(last.state(), T0).start).toEqual(['use']);
  });

  it('fails when it is not over after as many iterations as it may take, and keeps the last result', () => {
    const twice = [...once, again('poll'), start('poll--1'), succeed('poll--1'), again('poll'), start('poll--2'), succeed('poll--2', 1, { n: 2 })];
    const exhausted = given(...twice).when(again('poll'));
    exhausted.decidesTypes('TaskFailed', 'TaskSkipped', 'ExecutionFailed');
    expect(exhausted.state().tasks.get('poll')).toMatchObject({
      error: { code: 'LOOP_EXHAUSTED', message: 'not over after 3 iterations, as this is still false: result.ready; allow for more with maxIterations', retryable: false },
      result: { count: 3, result: { n: 2 } },
    });
  });

  it('waits between iterations, where it is to', () => {
    const slow = request([task('poll', { loop: { ...loop, delayMs: 500 } })]);
    const waits = given(slow, start('poll'), start('poll--0'), succeed('poll--0')).when(again('poll'));
    waits.decides(expanded(1, { notBefore: iso(500) }));
    expect(next(waits.state(), T0)).toMatchObject({ start: [], wakeAt: T0 + 500 });
    expect(next(waits.state(), T0 + 500).start).toEqual(['poll--1']);
  });

  it('fails with an iteration that does, after the attempts it has, and keeps the result before it', () => {
    const second = [...once, again('poll'), start('poll--1'), fail('poll--1')];
    const failing = given(...second, at(10, start('poll--1'))).when(at(10, fail('poll--1', 2)));
    failing.decidesTypes('TaskFailed', 'TaskFailed', 'TaskSkipped', 'ExecutionFailed');
    expect(failing.state().tasks.get('poll')).toMatchObject({
      error: { code: 'ITERATION_FAILED', message: 'iteration 1 failed: it broke', retryable: true },
      result: { count: 1, result: { n: 0 } },
    });
  });

  it('runs an iteration anew that was lost', () => {
    given(...first).when(lose('poll--0')).decidesTypes('TaskFailed', 'TaskRetryScheduled');
  });

  it('fails where nobody can say whether it is over', () => {
    const error = { code: 'EXPRESSION_FAILED', message: 'loop/until no such key: ready', retryable: false };
    const failing: Command = { type: 'FailTask', taskId: 'poll', error };
    const failed = given(...once).when(failing);
    failed.decidesTypes('TaskFailed', 'TaskSkipped', 'ExecutionFailed');
    expect(failed.state().tasks.get('poll')?.error).toEqual(error);
    given(...first).when(failing).refuses('TASK_NOT_STARTABLE');
  });

  it('takes one word for an iteration: a second one changes nothing', () => {
    given(...once, again('poll')).when(again('poll')).decides();
    given(...once, over('poll')).when(over('poll')).decides();
    given(...first).when(over('poll')).decides();
  });

  it('is asked in a pause, as nothing runs for that; another iteration waits for the pause to end', () => {
    expect(nextOf(...once, pause)).toMatchObject({ start: [], decide: ['poll'] });
    given(...once, pause).when(over('poll')).decides(completed('poll', { count: 1, result: { n: 0 } }));
    expect(nextOf(...once, pause, again('poll'))).toMatchObject({ start: [], decide: [] });
    expect(nextOf(...once, pause, again('poll'), resume).start).toEqual(['poll--1']);
  });

  it('is cancelled with the iteration that runs, and between two at once', () => {
    given(...first, cancel('immediate')).when(succeed('poll--0')).decidesTypes('TaskCompleted', 'TaskCancelled', 'ExecutionCancelled');
    given(...once).when(cancel('immediate')).decidesTypes('ExecutionCancelRequested', 'TaskCancelled', 'TaskSkipped', 'ExecutionCancelled');
    given(...once, again('poll')).when(cancel('graceful')).decidesTypes('ExecutionCancelRequested', 'TaskSkipped', 'TaskSkipped', 'TaskCancelled', 'ExecutionCancelled');
  });

  it('is asked before a graceful cancel ends it: completed where that was the last iteration, cancelled where it was not', () => {
    given(...once).when(cancel('graceful')).decidesTypes('ExecutionCancelRequested', 'TaskSkipped');
    expect(nextOf(...once, cancel('graceful'))).toMatchObject({ start: [], decide: ['poll'], advance: false });
    given(...once, cancel('graceful')).when(over('poll')).decides(completed('poll', { count: 1, result: { n: 0 } }), { type: 'ExecutionCancelled', data: {} });
    given(...once, cancel('graceful')).when(again('poll')).decides({ type: 'TaskCancelled', data: { taskId: 'poll', attempt: 1 } }, { type: 'ExecutionCancelled', data: {} });
  });

  it('is asked before the end of the time of its execution ends it', () => {
    const bounded = request([task('poll', { loop }), task('use', { dependsOn: ['poll'] })], { timeoutMs: 100 });
    const late = [bounded, start('poll'), start('poll--0'), succeed('poll--0'), at(100, advance)] as const;
    expect(next(given(...late).state, T0 + 100)).toMatchObject({ decide: ['poll'], advance: false });
    given(...late).when(at(100, again('poll'))).decidesTypes('TaskCancelled', 'ExecutionFailed');
    given(...late).when(at(100, over('poll'))).decidesTypes('TaskCompleted', 'ExecutionFailed');
  });

  it('is undone where a graceful cancel, also out of a pause, or the failure of another task met it behind its last iteration', () => {
    const undoable = request([task('poll', { loop }), task('undo', { compensates: 'poll' }), task('other', { onFailure: 'stop' })]);
    const done = [undoable, start('poll'), start('other'), start('poll--0'), succeed('poll--0')] as const;
    for (const steps of [[succeed('other'), cancel('graceful')], [succeed('other'), pause, cancel('graceful')], [fail('other')]]) {
      expect(nextOf(...done, ...steps, over('poll')).start).toEqual(['undo']);
      given(...done, ...steps).when(again('poll')).decidesTypes('TaskCancelled', 'TaskSkipped', expect.stringMatching(/^Execution(Cancelled|Failed)$/));
    }
  });
});
