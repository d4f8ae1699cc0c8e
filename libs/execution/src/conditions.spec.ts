import { T0, at, given, pause, request, start, succeed, task } from '#libs/testing';
import type { Command } from './commands.js';
import { next } from './next.js';

const skip = (taskId: string): Command => ({ type: 'SkipTask', taskId });
const error = { code: 'EXPRESSION_FAILED', message: 'when no such key: n', retryable: false };
const failUnstarted = (taskId: string): Command => ({ type: 'FailTask', taskId, error });

const chain = request([task('a', { when: 'input.deploy' }), task('b', { dependsOn: ['a'] })]);

describe('a task whose condition is false', () => {
  it('is skipped, says why, and what depends on it goes on', () => {
    const skipped = given(chain).when(skip('a'));
    skipped.decides(
      { type: 'ExecutionStarted', data: {} },
      { type: 'TaskSkipped', data: { taskId: 'a', why: 'its condition is false: input.deploy', kind: 'condition' } },
    );
    expect(next(skipped.state(), T0).start).toEqual(['b']);
  });

  it('is no failure: the execution completes, also when nothing of it ran', () => {
    given(chain, skip('a'), start('b')).when(succeed('b')).decidesTypes('TaskCompleted', 'ExecutionCompleted');
    given(request([task('a', { when: 'false' })])).when(skip('a')).decidesTypes('ExecutionStarted', 'TaskSkipped', 'ExecutionCompleted');
  });

  it('does not make up for another one that failed', () => {
    const join = request([task('a', { when: 'false' }), task('x'), task('c', { dependsOn: ['a', 'x'] })]);
    given(join, skip('a'), start('x'))
      .when({ type: 'RecordOutcome', taskId: 'x', attempt: 1, outcome: { ok: false, error } })
      .decidesTypes('TaskFailed', 'TaskSkipped', 'ExecutionFailed');
  });

  it('is looked at when it is due, and not before', () => {
    given(chain).when(skip('b')).refuses('TASK_NOT_STARTABLE');
    given(chain, pause).when(skip('a')).refuses('TASK_NOT_STARTABLE');
    given(chain, start('a')).when(skip('a')).refuses('TASK_NOT_STARTABLE');
  });
});

describe('a task whose condition has no value', () => {
  it('fails for good without an attempt, whatever its retry policy', () => {
    const retried = request([task('a', { when: 'input.n > 1', retry: { maxAttempts: 5 } })]);
    given(retried).when(failUnstarted('a')).decides(
      { type: 'ExecutionStarted', data: {} },
      { type: 'TaskFailed', data: { taskId: 'a', attempt: 0, error, final: true } },
      { type: 'ExecutionFailed', data: { reason: { code: 'TASK_FAILED', message: "task 'a' failed: when no such key: n", retryable: false } } },
    );
  });

  it('is passed over where any failure of it is', () => {
    const passed = request([task('a', { onFailure: 'continue' }), task('b', { dependsOn: ['a'] })]);
    expect(next(given(passed, failUnstarted('a')).state, T0).start).toEqual(['b']);
  });
});

it('a wait for what a template says waits for that', () => {
  const plan = request([task('a', { runner: 'wait', input: { durationMs: '{{ input.ms }}' } })]);
  const started: Command = { type: 'StartTask', taskId: 'a', executor: 'one', input: { durationMs: 50 } };
  expect(next(given(plan, at(10, started)).state, T0 + 10).wakeAt).toBe(T0 + 60);
});
