import type { InputProblem } from './runner.js';
import { type CommandLimits, limitBounds, plannedLimits } from './command-limits.js';
import { boolean, fields, type InputCheck, integer, listOf, mapOf, nested, oneOf, secretCount, secretOr, text } from './input.js';

/**
 * What a command task asks for. Either `argv`, run without a shell, so that every argument stays as it is written; or
 * `script`, handed to the shell the plan names. Nothing in it is ever interpolated.
 */
export type CommandInput = {
  readonly argv?: readonly string[];
  readonly shell?: 'sh' | 'bash';
  readonly script?: string;
  /** Relative: inside the execution's own directory. Absolute: inside an allowed root. Default: the former. */
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Default [0]. */
  readonly successExitCodes?: readonly number[];
  /** Kept of both streams together; the executor's own limit holds as well. */
  readonly maxOutputBytes?: number;
  /** Between TERM and KILL. */
  readonly graceMs?: number;
  /** Whether `STEP_START:` and its like on standard output become steps, artifacts and metadata; default true. */
  readonly markers?: boolean;
  readonly stdin?: string;
  /** Asks for the network (true) or does without (false), where the policy leaves that to the plan. */
  readonly network?: boolean;
  /** Tighter than the policy's. */
  readonly limits?: Pick<CommandLimits, (typeof plannedLimits)[number]>;
};

const MEBIBYTE = 2 ** 20;

const environmentName = (name: string): string | undefined => {
  if (!/^[A-Za-z_][A-Za-z0-9_]{0,255}$/.test(name)) {
    return 'is not a variable name: letters, digits and _ are allowed, no digit first, at most 256';
  }
  const reserved = name.toUpperCase().startsWith('RUNLEDGER_');
  return reserved ? 'names starting with RUNLEDGER_ are set by Runledger' : undefined;
};

const shape = fields({
  argv: listOf(text({ max: MEBIBYTE }), { min: 1, max: 4096 }),
  shell: oneOf('sh', 'bash'),
  script: text({ min: 1, max: MEBIBYTE }),
  cwd: text({ min: 1, max: 4096 }),
  env: mapOf(environmentName, secretOr(text({ max: MEBIBYTE })), 1024),
  successExitCodes: listOf(integer(0, 255), { min: 1, max: 256 }),
  maxOutputBytes: integer(0, 2 ** 31 - 1),
  graceMs: integer(0, 600_000),
  markers: boolean,
  stdin: secretOr(text({ max: 8 * MEBIBYTE })),
  network: boolean,
  limits: nested(Object.fromEntries(plannedLimits.map((name) => [name, integer(...limitBounds[name])]))),
});

export const commandInputProblems: InputCheck = (input) => {
  const problems: InputProblem[] = [...shape(input), ...secretCount(input)];
  const { argv, shell, script } = input;
  if (argv === undefined && script === undefined) {
    problems.push({ path: '', message: 'needs either argv, or script together with shell' });
  }
  if (argv !== undefined && (shell !== undefined || script !== undefined)) {
    problems.push({ path: '/argv', message: 'excludes shell and script: give one or the other' });
  }
  if (argv === undefined && script !== undefined && shell === undefined) {
    problems.push({ path: '/shell', message: 'is required with script: "sh" or "bash"' });
  }
  if (argv === undefined && script === undefined && shell !== undefined) {
    problems.push({ path: '/script', message: 'is required with shell' });
  }
  if (Array.isArray(argv) && argv[0] === '') problems.push({ path: '/argv/0', message: 'must name a program' });
  return problems;
};
