import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import type { CommandInput } from './command-input.js';
import { failed } from './failed.js';
import type { Outcome } from './runner.js';

export type Child = ChildProcessByStdio<Writable | null, Readable, Readable> & { readonly pid: number };
export type Launched = { readonly child: Child } | { readonly failure: Outcome };

/** Starts the command as the leader of a process group and session of its own, or says why that can't be. */
export async function launch(
  { argv, shell, script, stdin }: CommandInput,
  cwd: string,
  env: Record<string, string>,
): Promise<Launched> {
  const [program = '', ...args] = argv ?? [shell ?? '', '-c', script ?? ''];
  try {
    const input = stdin === undefined ? 'ignore' : 'pipe';
    const child = spawn(program, args, { cwd, env, detached: true, stdio: [input, 'pipe', 'pipe'] }) as Child;
    if ((child.pid as number | undefined) === undefined) {
      const [error] = (await once(child, 'error')) as [NodeJS.ErrnoException];
      return { failure: notStarted(error, program) };
    }
    // A command need not read its input; that it went away is no failure of the attempt.
    child.stdin?.on('error', () => {}).end(stdin);
    return { child };
  } catch (error) {
    return { failure: notStarted(error as NodeJS.ErrnoException, program) };
  }
}

const NO_ROOM: readonly (string | undefined)[] = ['EAGAIN', 'EMFILE', 'ENFILE', 'ENOMEM'];

function notStarted({ code, message }: NodeJS.ErrnoException, program: string): Outcome {
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return failed('COMMAND_NOT_FOUND', `${program} was not found, or the interpreter it names`, false);
  }
  if (code === 'EACCES') return failed('COMMAND_NOT_EXECUTABLE', `${program} may not be executed`, false);
  return failed('COMMAND_SPAWN_FAILED', `${program} could not be started: ${code ?? message}`, NO_ROOM.includes(code));
}
