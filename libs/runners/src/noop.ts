import type { JsonObject } from '#libs/contracts';
import { fields, plainObject } from './input.js';
import type { Runner } from './runner.js';

export const noopInputProblems = fields({ result: plainObject });

/** Does nothing and answers at once with `result`, or with {}: for joins, tests and measurements. */
export const noop: Runner = {
  name: 'noop',
  sideEffects: false,
  check: noopInputProblems,
  run: ({ input }) => ({ ok: true, result: (input['result'] ?? {}) as JsonObject }),
};
