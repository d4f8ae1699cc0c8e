import type { Fact } from '#libs/contracts';
import { type Step, T0, advance, at, cancel, fail, given, lose, pause, request, resume, start, startEach, succeed, task } from '#libs/testing';
import { MAX_ITEMS, MAX_ITEMS_BYTES, MAX_TASKS } from './limits.js';
import { next } from './next.js';

const each = request([task('mail', { forEach: { items: '{{ input.people }}' } }), task('report', { dependsOn: ['mail'] })]);
const people = ['ada', 'grace', 'barbara'];
const begun = [each, startEach('mail', people)] as const;

const startsNext = (...steps: readonly Step[]): readonly string[] => next(given(...steps).state, T0).start;
const completed = (taskId: string, result = {}): Fact => ({ type: 'TaskCompleted', data: { taskId, attempt: 1, result } });
const failed = (taskId: string, error: object, result?: object): Fact =>
  ({ type: 'TaskFailed', data: { taskId, attempt: 1, error, final: true, ...(result && { result }) } }) as Fact;
const broken = { code: 'BROKEN', message: 'it broke', retryable: true };

describe('a task for each item of a list', () => {
  it('is done by tasks of their own, which are due at once', () => {
    const expanded = given(each).when(startEach('mail', people));
    expanded.decides(
      { type: 'ExecutionStarted', data: {} },
      { type: 'TaskStarted', data: { taskId: 'mail', attempt: 1, executor: '' } },
      { type: 'TaskExpanded', data: { taskId: 'mail', attempt: 1, runner: 'command', first: 0, count: 3, items: people } },
    );
    expect(startsNext(...begun)).toEqual(['mail--0', 'mail--1', 'mail--2']);
    expect(given(...begun).state.tasks.get('mail--1')?.parent).toEqual({ id: 'mail', index: 1, item: 'grace' });
  });

  it('ends with the last of them, whatever their order, and has their results in that of the items', () => {
    const last = given(...begun, start('mail--2'), succeed('mail--2', 1, { n: 2 }), start('mail--0'), start('mail--1'), succeed('mail--1', 1, { n: 1 })).when(succeed('mail--0', 1, { n: 0 }));
    last.decides(completed('mail--0', { n: 0 }), completed('mail', { count: 3, results: [{ n: 0 }, { n: 1 }, { n: 2 }] }));
    expect(next(last.state(), T0).start).toEqual(['report']);
  });

  it('of an empty list is done at once', () => {
    given(each).when(startEach('mail', [])).decides(
      { type: 'ExecutionStarted', data: {} },
      { type: 'TaskStarted', data: { taskId: 'mail', attempt: 1, executor: '' } },
      { type: 'TaskExpanded', data: { taskId: 'mail', attempt: 1, runner: 'command', first: 0, count: 0, items: [] } },
      completed('mail', { count: 0, results: [] }),
    );
  });

  it('is what the execution results in, not its items', () => {
    const alone = request([task('mail', { forEach: { items: [1] } })]);
    given(alone, startEach('mail', [1]), start('mail--0')).when(succeed('mail--0', 1, { n: 0 })).decides(
      completed('mail--0', { n: 0 }),
      completed('mail', { count: 1, results: [{ n: 0 }] }),
      { type: 'ExecutionCompleted', data: { result: { mail: { count: 1, results: [{ n: 0 }] } } } },
    );
  });

  it('leaves the results out, and says so, where they are too large together: each stays with its task', () => {
    const large = { text: 'x'.repeat(20_000) };
    const { state } = given(each, startEach('mail', [1, 2]), start('mail--0'), start('mail--1'), succeed('mail--0', 1, large), succeed('mail--1', 1, large));
    expect(state.tasks.get('mail')?.result).toEqual({ count: 2, resultsOmitted: true });
    expect(state.tasks.get('mail--1')?.result).toEqual(large);
  });

  it('hands its retries, time limits and delivery on to each item', () => {
    const policed = request([task('mail', { forEach: { items: [] }, retry: { maxAttempts: 2, delayMs: 10, backoff: 'fixed' }, timeoutMs: 50, onLost: 'fail', scheduleToStartMs: 99 })]);
    const started = given(policed, startEach('mail', people), start('mail--0'));
    started.when(fail('mail--0')).decidesTypes('TaskFailed', 'TaskRetryScheduled');
    started.when(at(50, advance)).decidesTypes('TaskTimedOut', 'TaskRetryScheduled');
    started.when(lose('mail--0')).decidesTypes('TaskFailed');
    given(policed, startEach('mail', people), start('mail--0'), start('mail--1')).when(at(99, advance)).decidesTypes(...(['TaskTimedOut', 'TaskRetryScheduled', 'TaskTimedOut', 'TaskRetryScheduled', 'TaskFailed'] as const));
  });

  it('of more items than there may be, or too large ones, fails and says what to do', () => {
    const errorOf = (items: readonly string[]) => given(each, startEach('mail', items)).state.tasks.get('mail')?.error;
    expect(errorOf(Array<string>(MAX_ITEMS + 1).fill(''))).toMatchObject({ code: 'TOO_MANY_ITEMS', retryable: false });
    expect(errorOf(['x'.repeat(MAX_ITEMS_BYTES)])).toMatchObject({ code: 'ITEMS_TOO_LARGE', retryable: false });
    const full = request([task('mail', { forEach: { items: [] } }), ...Array.from({ length: MAX_TASKS - 3 }, (_, i) => task(`t${i}`))]);
    expect(given(full, startEach('mail', ['a', 'b'])).state.tasks.get('mail')?.status).toBe('running');
    expect(given(full, startEach('mail', people)).state.tasks.get('mail')?.error?.code).toBe('TOO_MANY_TASKS');
  });
});

describe('an item that fails', () => {
  it('leaves the others to go on; then the task fails, and names what failed', () => {
    const one = given(...begun, start('mail--0'), start('mail--1'), start('mail--2'), succeed('mail--0')).when(fail('mail--1'));
    one.decides(failed('mail--1', broken));
    given(...begun, start('mail--0'), start('mail--1'), start('mail--2'), succeed('mail--0', 1, { n: 0 }), fail('mail--1')).when(succeed('mail--2')).decides(
      completed('mail--2'),
      failed('mail', { code: 'ITEMS_FAILED', message: '1 of 3 items failed: item 1: it broke', retryable: true }, { count: 3, failed: [1], results: [{ n: 0 }, null, {}] }),
      { type: 'TaskSkipped', data: { taskId: 'report', why: "dependency 'mail' failed" } },
      { type: 'ExecutionFailed', data: { reason: { code: 'TASK_FAILED', message: "task 'mail' failed: 1 of 3 items failed: item 1: it broke", retryable: true } } },
    );
  });

  it('where it is to fail fast keeps the others from starting; what runs goes on to its end', () => {
    const fast = request([task('mail', { forEach: { items: [], failFast: true } })]);
    const running = [fast, startEach('mail', people), start('mail--0'), start('mail--1')] as const;
    const first = given(...running).when(fail('mail--0'));
    first.decides(failed('mail--0', broken), { type: 'TaskSkipped', data: { taskId: 'mail--2', why: "item 'mail--0' failed" } });
    given(...running, fail('mail--0')).when(succeed('mail--1')).decidesTypes('TaskCompleted', 'TaskFailed', 'ExecutionFailed');
  });

  it('also keeps those from starting that wait for another attempt', () => {
    const fast = request([task('mail', { forEach: { items: [], failFast: true }, retry: { maxAttempts: 2 } })]);
    const retrying = given(fast, startEach('mail', ['a', 'b']), start('mail--0'), start('mail--1'), fail('mail--0'));
    retrying.when(fail('mail--1', 1, false)).decidesTypes('TaskFailed', 'TaskSkipped', 'TaskFailed', 'ExecutionFailed');
  });

  it('leaves no further attempt to those that run, where it is to fail fast', () => {
    const fast = request([task('mail', { forEach: { items: [], failFast: true }, retry: { maxAttempts: 2 } })]);
    given(fast, startEach('mail', ['a', 'b']), start('mail--0'), start('mail--1'), fail('mail--0', 1, false)).when(fail('mail--1')).decidesTypes('TaskFailed', 'TaskFailed', 'ExecutionFailed');
  });

  it('leaves none either to those that run out of time together with the one that fails', () => {
    const fast = request([task('mail', { forEach: { items: [], failFast: true }, timeoutMs: 100, retry: { maxAttempts: 2, delayMs: 0, backoff: 'fixed' } })]);
    const both = given(fast, startEach('mail', ['a', 'b']), start('mail--0'), start('mail--1'), fail('mail--0'), start('mail--0'));
    both.when(at(100, advance)).decidesTypes('TaskTimedOut', 'TaskTimedOut', 'TaskRetryScheduled', 'TaskSkipped', 'TaskFailed', 'ExecutionFailed');
  });

  it('stops the execution, or is passed over, as the task says of itself, once all items have ended', () => {
    const ends = (onFailure: 'stop' | 'continue') =>
      given(request([task('mail', { forEach: { items: [] }, onFailure }), task('report', { dependsOn: ['mail'] }), task('other')]), startEach('mail', ['a', 'b']), start('mail--0'), start('mail--1'), fail('mail--0'));
    ends('stop').when(succeed('mail--1')).decidesTypes('TaskCompleted', 'TaskFailed', 'TaskSkipped', 'TaskSkipped', 'ExecutionFailed');
    expect(next(ends('continue').when(succeed('mail--1')).state(), T0).start).toEqual(['report', 'other']);
  });
});

describe('a limit of concurrency', () => {
  const two = request([task('mail', { forEach: { items: [], concurrency: 2 }, retry: { maxAttempts: 2, delayMs: 100, backoff: 'fixed' } })]);
  const five = [two, startEach('mail', [0, 1, 2, 3, 4])] as const;

  it('lets as many items be under way, and the next start when one has ended', () => {
    expect(startsNext(...five)).toEqual(['mail--0', 'mail--1']);
    expect(startsNext(...five, start('mail--0'), start('mail--1'))).toEqual([]);
    expect(startsNext(...five, start('mail--0'), start('mail--1'), succeed('mail--1'))).toEqual(['mail--2']);
  });

  it('counts those that wait for another attempt', () => {
    expect(startsNext(...five, start('mail--0'), start('mail--1'), fail('mail--1'))).toEqual([]);
    expect(startsNext(...five, start('mail--0'), start('mail--1'), fail('mail--1'), start2('mail--1'), fail('mail--1', 2))).toEqual(['mail--2']);
  });

  it('of the plan counts the items, and not the task that waits for them', () => {
    const one = request([task('mail', { forEach: { items: [] } })], { concurrency: 1 });
    expect(startsNext(one, startEach('mail', people))).toEqual(['mail--0']);
    expect(startsNext(one, startEach('mail', people), start('mail--0'))).toEqual([]);
  });

  it('has the time to start of an item count from its turn', () => {
    const bounded = request([task('mail', { forEach: { items: [], concurrency: 1 }, scheduleToStartMs: 50 })]);
    const second = given(bounded, startEach('mail', ['a', 'b']), start('mail--0'), at(200, succeed('mail--0')));
    second.when(at(249, advance)).decides();
    second.when(at(250, advance)).decidesTypes('TaskFailed', 'TaskFailed', 'ExecutionFailed');
  });
});

const start2 = (taskId: string): Step => at(100, start(taskId));

describe('a pause', () => {
  it('lets items that run finish, and no other start', () => {
    expect(startsNext(...begun, start('mail--0'), pause, succeed('mail--0'))).toEqual([]);
    expect(startsNext(...begun, start('mail--0'), pause, succeed('mail--0'), resume)).toEqual(['mail--1', 'mail--2']);
  });
});

describe('a cancel', () => {
  it('that is graceful skips the items that have not started, and waits for those that run', () => {
    given(...begun, start('mail--0')).when(cancel('graceful')).decidesTypes('ExecutionCancelRequested', 'TaskSkipped', 'TaskSkipped', 'TaskSkipped');
    given(...begun, start('mail--0'), cancel('graceful')).when(succeed('mail--0')).decides(
      completed('mail--0'),
      { type: 'TaskCancelled', data: { taskId: 'mail', attempt: 1 } },
      { type: 'ExecutionCancelled', data: {} },
    );
  });

  it('that is graceful finds the task completed where all of its items complete', () => {
    const all = [...begun, ...people.map((_, n) => start(`mail--${n}`))];
    given(...all, cancel('graceful'), succeed('mail--0'), succeed('mail--1')).when(succeed('mail--2')).decidesTypes('TaskCompleted', 'TaskCompleted', 'ExecutionCancelled');
  });

  it('that is immediate ends with the last item that was ended', () => {
    given(...begun, start('mail--0'), cancel('immediate')).when(fail('mail--0')).decidesTypes('TaskCancelled', 'TaskCancelled', 'ExecutionCancelled');
  });
});

it('the end of the time of the whole execution gives up items and task alike', () => {
  const bounded = request([task('mail', { forEach: { items: [] } })], { timeoutMs: 100 });
  given(bounded, startEach('mail', ['a', 'b']), start('mail--0')).when(at(100, advance)).decides(
    { type: 'TaskCancelled', data: { taskId: 'mail--0', attempt: 1, kind: 'timeout' } },
    { type: 'TaskSkipped', data: { taskId: 'mail--1', why: 'execution timed out', kind: 'timeout' } },
    { type: 'TaskCancelled', data: { taskId: 'mail', attempt: 1, kind: 'timeout' } },
    { type: 'ExecutionFailed', data: { reason: { code: 'EXECUTION_TIMED_OUT', message: 'the execution did not end within 100 ms', retryable: true } } },
  );
});

it('another failure that stops the execution lets the items that run finish', () => {
  const side = request([task('mail', { forEach: { items: [] } }), task('other', { onFailure: 'stop' })]);
  given(side, startEach('mail', ['a', 'b']), start('mail--0'), start('other')).when(fail('other')).decidesTypes('TaskFailed', 'TaskSkipped');
  given(side, startEach('mail', ['a', 'b']), start('mail--0'), start('other'), fail('other')).when(succeed('mail--0')).decidesTypes('TaskCompleted', 'TaskCancelled', 'ExecutionFailed');
});

it('what undoes such a task undoes it as a whole, once', () => {
  const undone = request([task('mail', { forEach: { items: [] } }), task('recall', { compensates: 'mail' }), task('ship', { dependsOn: ['mail'] })]);
  const steps = [undone, startEach('mail', ['a', 'b']), start('mail--0'), succeed('mail--0'), start('mail--1'), succeed('mail--1'), start('ship'), fail('ship')];
  expect(startsNext(...steps)).toEqual(['recall']);
});

it('what undoes may itself be done for each item of a list', () => {
  const undone = request([task('make'), task('remove', { compensates: 'make', forEach: { items: '{{ tasks.make.result.ids }}' } }), task('ship', { dependsOn: ['make'] })]);
  const undoing = [undone, start('make'), succeed('make'), start('ship'), fail('ship'), startEach('remove', [7, 8])];
  expect(startsNext(...undoing)).toEqual(['remove--0', 'remove--1']);
  const last = given(...undoing, start('remove--0'), start('remove--1'), fail('remove--0')).when(succeed('remove--1'));
  last.decidesTypes('TaskCompleted', 'TaskFailed', 'ExecutionFailed');
  expect(last.state().reason).toMatchObject({ code: 'COMPENSATION_FAILED', message: expect.stringContaining("compensation 'remove' failed: 1 of 2 items failed: item 0: it broke") as string });
});

it('a thousand items are folded in time that grows with their number', () => {
  const items = Array.from({ length: MAX_ITEMS }, (_, n) => n);
  const secondsOf = (plans: number): number => {
    const steps = Array.from({ length: plans }, (_, p) => startEach(`p${p}`, items));
    const before = process.cpuUsage();
    given(request(Array.from({ length: plans }, (_, p) => task(`p${p}`, { forEach: { items: [], concurrency: 10 } }))), ...steps, ...items.flatMap((n) => [start(`p0--${n}`), succeed(`p0--${n}`)]));
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1e6;
  };
  // About 0.3 s; with tasks copied for every event it is many times that.
  expect(secondsOf(9)).toBeLessThan(6);
});
