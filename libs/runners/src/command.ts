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
