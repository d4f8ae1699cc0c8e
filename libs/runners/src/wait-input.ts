import { type Json, parseTime } from '#libs/contracts';
import type { InputProblem } from './runner.js';
import { fields, type InputCheck, integer } from './input.js';

const DAY_MS = 86_400_000;
const MAX_WAIT_MS = 366 * DAY_MS;

const time = (value: Json, path: string): readonly InputProblem[] =>
  typeof value === 'string' && parseTime(value) !== undefined
    ? []
    : [{ path, message: 'must be an RFC 3339 time with its zone, such as 2026-11-20T12:00:00Z' }];

const shape = fields({ durationMs: integer(0, MAX_WAIT_MS), until: time });

/** `{ durationMs }` (0 to 366 days) or `{ until }` (RFC 3339), exactly one of them. The waiting is the core's. */
export const waitInput: InputCheck = (input) => {
  const given = ['durationMs', 'until'].filter((name) => Object.hasOwn(input, name)).length;
  const problems = shape(input);
  return given === 1 ? problems : [{ path: '', message: 'needs exactly one of durationMs and until' }, ...problems];
};
