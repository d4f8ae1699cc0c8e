import { type CommandLimits, ulimits } from './command-limits.js';

/**
 * Variables that let somebody else's code into a program or a shell before it has begun. What sets the limits must not
 * get them; it hands them on.
 */
const LOADERS = /^(?:LD_.*|DYLD_.*|GLIBC_TUNABLES|GCONV_PATH|LOCPATH|NLSPATH|MALLOC_.*|ENV|BASH_ENV|PS4)$/;

export const changesProgram = (variable: string): boolean => LOADERS.test(variable);

/** Dash begins with a separator of its own, and would hand that on. */
const isHandedOn = (variable: string): boolean => changesProgram(variable) || variable === 'IFS';

/** Neither loaders nor shells know such a name, and no plan can set it. */
const HANDED_ON = 'RUNLEDGER_HANDED_ON_';

export type CommandLine = {
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
};

/** The same command with its limits: a POSIX shell that sets them on itself and becomes the command. */
export function limited({ program, args, env }: CommandLine, limits: CommandLimits): CommandLine {
  const setting = ulimits(limits);
  if (setting.length === 0) return { program, args, env };
  const handedOn = Object.keys(env).filter(isHandedOn);
  const script = [
    ...setting,
    ...handedOn.map((name) => `export ${name}="$${HANDED_ON}${name}"; unset ${HANDED_ON}${name}`),
    'exec "$@"',
  ];
  return {
    program: '/bin/sh',
    args: ['-c', script.join('\n'), 'sh', program, ...args],
    env: Object.fromEntries(
      Object.entries(env).map(([name, value]) => [isHandedOn(name) ? `${HANDED_ON}${name}` : name, value]),
    ),
  };
}
