import { approvalInput } from './approval-input.js';
import { commandInputProblems } from './command-input.js';
import { httpInputProblems } from './http-input.js';
import { eventInput } from './event-input.js';
import { executionInput } from './execution-input.js';
import type { InputCheck } from './input.js';
import { noopInputProblems } from './noop.js';
import { signalInput } from './signal-input.js';
import { waitInput } from './wait-input.js';

/** What a plan may name as a runner, and how its input is checked; nothing is started or opened by any of it. */
export const runnerInputs: ReadonlyMap<string, InputCheck> = new Map([
  ['noop', noopInputProblems],
  ['wait', waitInput],
  ['signal', signalInput],
  ['approval', approvalInput],
  ['event', eventInput],
  ['execution', executionInput],
  ['command', commandInputProblems],
  ['http', httpInputProblems],
]);
