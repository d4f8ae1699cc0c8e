import type { JsonObject } from '#libs/contracts';
import type { InputProblem, Outcome } from './runner.js';

export const failed = (code: string, message: string, retryable: boolean, result?: JsonObject): Outcome => ({
  ok: false,
  error: { code, message, retryable },
  ...(result && { result }),
});

/** For a plan that was accepted under other rules than today's. */
export const invalidInput = (problems: readonly InputProblem[]): Outcome =>
  failed('INPUT_INVALID', problems.map(({ path, message }) => `${path || 'input'} ${message}`).join('; '), false);
