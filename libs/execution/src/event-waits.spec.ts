import { advance, at, cancel, found, given, pause, request, start, task } from '#libs/testing';
import { isWait } from './index.js';

const waits = (more: object = {}): ReturnType<typeof task> => task('a', { runner: 'event', input: { subject: '*.execution.completed', match: { n: 1 } }, ...more });
const event = { subject: '*.execution.completed', match: { n: 1 }, after: 7 };

describe('a task that waits for an event', () => {
  it('starts without an executor, and remembers from where in the log events count', () => {
    expect(isWait(waits())).toBe(true);
    given(request([waits()])).when({ ...start('a'), after: 7 } as never).decides(
      { type: 'ExecutionStarted', data: {} },
      { type: 'TaskStarted', data: { taskId: 'a', attempt: 1, executor: '', event } },
    );
  });

  it('ends with the event that was found, which is its result; found again, it changes nothing', () => {
    const waiting = given(request([waits(), task('b')]), start('a'));
    waiting.when(found('a', { id: 'x/3/0' })).decides({ type: 'TaskCompleted', data: { taskId: 'a', attempt: 1, result: { id: 'x/3/0' } } });
    given(request([waits(), task('b')]), start('a'), found('a')).when(found('a')).decides();
    given(request([waits(), task('b')]), start('a'), pause).when(found('a')).decidesTypes('TaskCompleted');
  });

  it('ends by no event of an attempt that is over, nor where nothing is waited for', () => {
    const bounded = waits({ timeoutMs: 50, retry: { maxAttempts: 2, backoff: 'fixed', delayMs: 0 } });
    const again = given(request([bounded]), start('a'), at(50, advance), at(51, start('a')));
    again.when(found('a')).decides();
    again.when(found('a', {}, 2)).decidesTypes('TaskCompleted', 'ExecutionCompleted');
    given(request([waits(), task('b')]), start('a'), start('b')).when(found('b')).decides();
    given(request([waits()]), start('a'), cancel('graceful')).when(found('a')).decides();
  });
});
