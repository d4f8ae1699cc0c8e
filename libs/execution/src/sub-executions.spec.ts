import { type Step, T0, advance, at, cancel, childEnded, fail, given, pause, request, start, succeed, task } from '#libs/testing';
import { subExecutionsOf, decide, isWait, next } from './index.js';

const runs = (more: object = {}): ReturnType<typeof task> => task('a', { runner: 'execution', input: { plan: { name: 'inner', tasks: [] } }, ...more });
const begin = (attempt = 1): Step => ({ ...start('a'), child: `child-${attempt}` }) as Step;
const twice = { retry: { maxAttempts: 2, backoff: 'fixed', delayMs: 0 } } as const;
const broken = { status: 'failed', reason: { code: 'TASK_FAILED', message: "task 'x' failed: it broke", retryable: true } } as const;
const result = (status: string): object => ({ execution: 'child-1', status });

describe('a task that is an execution of its own', () => {
  it('starts without an executor, and names the child', () => {
    expect(isWait(runs())).toBe(true);
    given(request([runs()])).when(begin()).decides(
      { type: 'ExecutionStarted', data: {} },
      { type: 'TaskStarted', data: { taskId: 'a', attempt: 1, executor: '', child: 'child-1' } },
    );
  });

  it('completes when its child does, with what came of it', () => {
    given(request([runs(), task('b')]), begin())
      .when(childEnded('a', { status: 'completed', result: { x: { n: 1 } } }))
      .decides({ type: 'TaskCompleted', data: { taskId: 'a', attempt: 1, result: { execution: 'child-1', status: 'completed', result: { x: { n: 1 } } } } });
  });

  it('leaves a result where it is that is too large to be kept twice', () => {
    given(request([runs(), task('b')]), begin())
      .when(childEnded('a', { status: 'completed', result: { x: { text: 'y'.repeat(31 * 1024) } } }))
      .decides({ type: 'TaskCompleted', data: { taskId: 'a', attempt: 1, result: { execution: 'child-1', status: 'completed', resultOmitted: true } } });
  });

  it('fails when its child does, and is tried again with another child where the plan says so', () => {
    const failed = { code: 'CHILD_FAILED', message: "execution child-1 failed: task 'x' failed: it broke", retryable: true };
    given(request([runs(), task('b')]), begin()).when(childEnded('a', broken)).decides({ type: 'TaskFailed', data: { taskId: 'a', attempt: 1, error: failed, final: true, result: result('failed') as never } });
    given(request([runs(twice), task('b')]), begin()).when(childEnded('a', broken)).decidesTypes('TaskFailed', 'TaskRetryScheduled');
    const again = given(request([runs(twice), task('b')]), begin(), childEnded('a', broken), begin(2));
    expect(subExecutionsOf(again.state, T0)).toEqual([{ taskId: 'a', attempt: 2, child: 'child-2', cancel: undefined }]);
  });

  it('is not tried again after somebody cancelled its child, or when there is none to trust', () => {
    given(request([runs(twice), task('b')]), begin()).when(childEnded('a', { status: 'cancelled' })).decidesTypes('TaskFailed');
    const damaged = { code: 'CHILD_DAMAGED', message: 'halted', retryable: false };
    given(request([runs(twice), task('b')]), begin())
      .when(childEnded('a', { status: 'lost', reason: damaged }))
      .decides({ type: 'TaskFailed', data: { taskId: 'a', attempt: 1, error: damaged, final: true, result: result('lost') as never } });
  });

  it('ends once, whoever tells of it, and by no child of an attempt that is over', () => {
    given(request([runs(), task('b')]), begin(), childEnded('a')).when(childEnded('a')).decides();
    const again = given(request([runs(twice), task('b')]), begin(), childEnded('a', broken), begin(2));
    again.when(childEnded('a', broken)).decides();
    again.when(childEnded('a', broken, 2)).decidesTypes('TaskFailed');
    given(request([runs(), task('b')]), start('b')).when(childEnded('b')).decides();
    given(request([runs(), task('b')]), begin()).when(succeed('a')).decidesTypes('TaskResultIgnored');
  });
});

describe('an execution with a child', () => {
  const wanted = (...steps: readonly Step[]): unknown => subExecutionsOf(given(...steps).state, T0 + 100)[0]?.cancel;

  it('has it cancelled as it is cancelled itself, and no end before it has ended', () => {
    expect(wanted(request([runs()]), begin())).toBeUndefined();
    expect(wanted(request([runs()]), begin(), cancel('graceful'))).toBe('graceful');
    expect(wanted(request([runs()]), begin(), cancel('graceful'), cancel('immediate'))).toBe('immediate');
    given(request([runs()]), begin()).when(cancel('immediate')).decidesTypes('ExecutionCancelRequested');
    given(request([runs()]), begin(), cancel('immediate')).when(childEnded('a', { status: 'cancelled' })).decides(
      { type: 'TaskCancelled', data: { taskId: 'a', attempt: 1, result: result('cancelled') as never } },
      { type: 'ExecutionCancelled', data: {} },
    );
    given(request([runs()]), begin(), cancel('graceful')).when(childEnded('a')).decidesTypes('TaskCompleted', 'ExecutionCancelled');
  });

  it('is paused without it', () => {
    expect(wanted(request([runs()]), begin(), pause)).toBeUndefined();
    given(request([runs(), task('b')]), begin(), pause).when(childEnded('a')).decidesTypes('TaskCompleted');
  });

  it('lets it end where another task stops the execution', () => {
    const stops = task('b', { onFailure: 'stop' });
    expect(wanted(request([runs(), stops]), begin(), start('b'), fail('b'))).toBeUndefined();
    given(request([runs(), stops]), begin(), start('b')).when(fail('b')).decidesTypes('TaskFailed');
    given(request([runs(), stops]), begin(), start('b'), fail('b')).when(childEnded('a')).decidesTypes('TaskCompleted', 'ExecutionFailed');
  });

  it('has it cancelled at once when the time of the attempt is over, which has timed out when the child has ended', () => {
    const late = given(request([runs({ timeoutMs: 50, ...twice }), task('b')]), begin());
    expect(next(late.state, T0).wakeAt).toBe(T0 + 50);
    late.when(at(60, advance)).decides();
    expect(subExecutionsOf(late.state, T0 + 60)[0]?.cancel).toBe('immediate');
    expect(next(late.state, T0 + 60)).toMatchObject({ advance: false, wakeAt: undefined });
    late.when(at(60, childEnded('a', { status: 'cancelled' }))).decidesTypes('TaskTimedOut', 'TaskRetryScheduled');
    late.when(at(60, childEnded('a'))).decidesTypes('TaskCompleted');
  });

  it('has it cancelled at once when its own time is over, and has timed out when the child has ended', () => {
    const late = given(request([runs(twice)], { timeoutMs: 50 }), begin());
    late.when(at(60, advance)).decides();
    expect(subExecutionsOf(late.state, T0 + 60)[0]?.cancel).toBe('immediate');
    expect(next(late.state, T0 + 60)).toMatchObject({ advance: false, wakeAt: undefined });
    const ended = late.when(at(60, childEnded('a', { status: 'cancelled' })));
    ended.decidesTypes('TaskCancelled', 'ExecutionFailed');
    expect(ended.state().reason?.code).toBe('EXECUTION_TIMED_OUT');
  });

  it('that undoes has one to undo with, which a graceful cancel leaves alone', () => {
    const undoes = runs({ compensates: 'b' });
    const undoing = [request([undoes, task('b'), task('c', { runner: 'signal', input: { name: 's' } })]), start('b'), start('c'), succeed('b'), cancel('graceful'), begin()] as const;
    expect(wanted(...undoing)).toBeUndefined();
    expect(wanted(...undoing, cancel('immediate'))).toBe('immediate');
    given(...undoing).when(childEnded('a', broken)).decidesTypes('TaskFailed', 'ExecutionCancelled');
  });
});

it('a child knows the attempt that asked for it', () => {
  const parent = { execution: 'p', task: 'a', attempt: 1, depth: 1 };
  const events = decide({ ...request([task('x')]), parent } as never, given().state, { now: T0, cause: 'p/a/1', actor: 'user:ada', correlationId: 'c' });
  expect(events).toMatchObject([{ type: 'ExecutionRequested', actor: 'user:ada', data: { parent } }]);
});
