import fc from 'fast-check';
import type { RetryPolicy } from '#libs/contracts';
import { T0, advance, at, fail, given, iso, lose, request, start, task } from '#libs/testing';
import type { Command } from './commands.js';
import { next } from './next.js';
import { backoffMs, chanceOf } from './retry.js';

const HOUR = 3_600_000;

const retried = (retry: Partial<RetryPolicy>, more: object = {}): Command =>
  request([task('a', { retry: { maxAttempts: 3, backoff: 'fixed', delayMs: 100, ...retry }, ...more })]);

const askedToWait = (retryAfterMs: number): Command => ({
  type: 'RecordOutcome',
  taskId: 'a',
  attempt: 1,
  outcome: { ok: false, error: { code: 'HTTP_STATUS', message: 'answered 429', retryable: true }, retryAfterMs },
});

describe('an error that the plan names', () => {
  it('as final is final, whatever its runner says', () => {
    const plan = retried({ finalErrors: ['DISK_FULL'] });
    given(plan, start('a')).when(fail('a', 1, true, 'DISK_FULL')).decidesTypes('TaskFailed', 'ExecutionFailed');
    given(plan, start('a')).when(fail('a', 1, true, 'BROKEN')).decidesTypes('TaskFailed', 'TaskRetryScheduled');
  });

  it('as one to retry on is retried, whatever its runner says, and no other is', () => {
    const plan = retried({ retryOn: ['HTTP_STATUS'] });
    given(plan, start('a')).when(fail('a', 1, false, 'HTTP_STATUS')).decidesTypes('TaskFailed', 'TaskRetryScheduled');
    given(plan, start('a')).when(fail('a', 1, true, 'BROKEN')).decidesTypes('TaskFailed', 'ExecutionFailed');
  });

  it('is one like any other, also when it is that time is over', () => {
    const plan = retried({ finalErrors: ['TASK_TIMED_OUT'] }, { timeoutMs: 50 });
    given(plan, start('a')).when(at(50, advance)).decidesTypes('TaskTimedOut', 'ExecutionFailed');
  });

  it('is none that an executor’s death is: onLost decides on that', () => {
    given(retried({ finalErrors: ['ATTEMPT_LOST'] }), start('a')).when(lose('a')).decidesTypes('TaskFailed', 'TaskRetryScheduled');
  });
});

describe('jitter', () => {
  const dueAt = (jitter: number, cause: string): number => {
    const { state } = given(at(0, retried({ delayMs: 10_000, jitter }), cause), start('a'), fail('a'));
    return (next(state, T0).wakeAt ?? 0) - T0;
  };

  it('is the same whoever decides, and differs between executions that fail together', () => {
    expect(dueAt(0.5, 'one')).toBe(dueAt(0.5, 'one'));
    const waits = Array.from({ length: 50 }, (_, i) => dueAt(0.5, `request-${i}`));
    expect(new Set(waits).size).toBeGreaterThan(45);
    expect(Math.min(...waits)).toBeGreaterThan(5_000);
    expect(Math.max(...waits)).toBeLessThanOrEqual(10_000);
  });

  it('of nothing leaves the wait what it is', () => {
    expect(dueAt(0, 'any')).toBe(10_000);
  });

  it('draws evenly', () => {
    const counts = Array<number>(10).fill(0);
    for (let i = 0; i < 10_000; i++) counts[Math.floor(chanceOf(`execution-${i}/task/1`) * 10)]! += 1;
    for (const count of counts) expect(Math.abs(count - 1_000)).toBeLessThan(150);
  });
});

describe('who asks to be left alone', () => {
  it('is, for as long as that is more than the policy would wait', () => {
    given(retried({}), start('a')).when(at(0, askedToWait(30_000))).decides(
      { type: 'TaskFailed', data: { taskId: 'a', attempt: 1, error: { code: 'HTTP_STATUS', message: 'answered 429', retryable: true }, final: false } },
      { type: 'TaskRetryScheduled', data: { taskId: 'a', attempt: 2, at: iso(30_000) } },
    );
    expect(next(given(retried({}), start('a'), askedToWait(5)).state, T0).wakeAt).toBe(T0 + 100);
  });

  it('is no longer than the plan waits at most, or an hour', () => {
    const wait = (plan: Command): number => (next(given(plan, start('a'), askedToWait(24 * HOUR)).state, T0).wakeAt ?? 0) - T0;
    expect(wait(retried({ maxDelayMs: 2_000 }))).toBe(2_000);
    expect(wait(retried({}))).toBe(HOUR);
  });

  it('is not, where there is no other attempt', () => {
    given(retried({ maxAttempts: 1 }), start('a')).when(askedToWait(30_000)).decidesTypes('TaskFailed', 'ExecutionFailed');
  });
});

it('waits a whole number of milliseconds, never longer than it may, and without jitter never shorter than before', () => {
  const policies = fc.record({
    maxAttempts: fc.constant(100),
    backoff: fc.constantFrom('fixed' as const, 'linear' as const, 'exponential' as const),
    delayMs: fc.nat(HOUR),
    maxDelayMs: fc.nat(HOUR),
    jitter: fc.double({ min: 0, max: 1, noNaN: true }),
  });
  fc.assert(
    fc.property(policies, fc.integer({ min: 1, max: 99 }), fc.double({ min: 0, max: 0.999, noNaN: true }), (retry, failures, chance) => {
      const wait = backoffMs(task('a', { retry }), { failures, chance });
      expect(Number.isSafeInteger(wait)).toBe(true);
      expect(wait).toBeGreaterThanOrEqual(0);
      expect(wait).toBeLessThanOrEqual(retry.maxDelayMs);
      const plain = task('a', { retry: { ...retry, jitter: 0 } });
      expect(backoffMs(plain, { failures: failures + 1, chance })).toBeGreaterThanOrEqual(backoffMs(plain, { failures, chance }));
      expect(wait).toBeLessThanOrEqual(backoffMs(plain, { failures, chance }));
    }),
  );
});
