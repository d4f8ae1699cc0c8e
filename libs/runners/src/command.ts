import { commandInputProblems } from './command-input.js';
import type { CommandOptions } from './command-run.js';
import type { Runner } from './runner.js';

/** Runs a program. What starts processes is loaded with the first command only: who just checks plans never has it. */
export function commandRunner(options: CommandOptions): Runner {
  let loaded: Promise<Runner['run']> | undefined;
  const load = async (): Promise<Runner['run']> => (await import('./command-run.js')).commandRun(options);
  return {
    name: 'command',
    sideEffects: true,
    check: commandInputProblems,
    run: async (attempt) => (await (loaded ??= load()))(attempt),
  };
}

/** See sandbox-probe.ts. Loaded when it is asked for, as it starts processes. */
export const findSandbox: typeof import('./sandbox-probe.js').findSandbox = async (path, user) =>
  (await import('./sandbox-probe.js')).findSandbox(path, user);
