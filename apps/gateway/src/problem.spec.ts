import { Refused, type RefusalCode } from '#libs/execution';
import { BrokenHistory, LogError, type LogErrorCode } from '#libs/ledger';
import { problemOf } from './problem.js';

it.each<[RefusalCode, number]>([
  ['EXECUTION_NOT_FOUND', 404],
  ['EXECUTION_TERMINAL', 409],
  ['EXECUTION_CANCELLING', 409],
  ['EXECUTION_EXISTS', 409],
])('answers %s with %i', (code, status) => {
  expect(problemOf(new Refused(code, 'why'))).toMatchObject({ status, code, message: 'why' });
});

it.each<[LogErrorCode, number, number | undefined]>([
  ['OUTCOME_UNKNOWN', 503, 1],
  ['LOG_FULL', 503, 1],
  ['LOG_UNAVAILABLE', 503, 1],
  ['COMMIT_TOO_LARGE', 413, undefined],
])('answers %s with %i, and says when to come back: %s', (code, status, retryAfterSeconds) => {
  const problem = problemOf(new LogError(code, 'why'));
  expect(problem).toMatchObject({ status, code });
  expect(problem?.extra.retryAfterSeconds).toBe(retryAfterSeconds);
});

it('tells of a broken history which execution is halted', () => {
  const problem = problemOf(new BrokenHistory({ tenant: 't', execution: 'e' }, 7, 'a gap'));
  expect(problem).toMatchObject({ status: 500, code: 'HISTORY_BROKEN' });
  expect(problem?.message).toContain('t/e');
});

it.each([new Error('database password is hunter2'), new TypeError('x is not a function'), 'a text', undefined, { status: 400 }])(
  'has no words for what is a bug: %s',
  (error) => {
    expect(problemOf(error)).toBeUndefined();
  },
);
