import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { failed } from './failed.js';
import type { CommandLine } from './limited-command.js';
import { killRun, signalGroup } from './processes.js';
import type { Outcome } from './runner.js';
import type { CommandUser } from './work-directory.js';

export type Child = ChildProcessByStdio<Writable | null, Readable, Readable> & { readonly pid: number };

/** How a command's first process ended. */
export type Exit = { readonly exitCode: number | null; readonly signal: string | null };

/** A command that runs, and all there is to do about it. */
export type Running = {
  readonly child: Child;
  /** How the child ended, once it has. */
  readonly exited: Promise<Exit>;
  /** To the command and what it started. */
  signal(name: 'SIGTERM' | 'SIGKILL'): void;
  /** Kills whatever is left; resolves to how many processes still are after `withinMs`. */
  end(withinMs: number): Promise<number>;
  /** What the child's end says about the command's; undefined when the command was never run. */
  exit(childs: Exit): Promise<Exit | undefined>;
};

export type Launched = Running | { readonly failure: Outcome };

export type LaunchOptions = {
  /** What argv[0] is to be. */
  readonly argv0: string;
  readonly cwd: string;
  readonly stdin: string | undefined;
  readonly user: CommandUser | undefined;
  /** Names the attempt's processes. */
  readonly marker: string;
};

/** Starts a process as the leader of a process group and session of its own, or says why that can't be. */
export async function start(
  { program, args, env }: CommandLine,
  { argv0, cwd, stdin, user }: Omit<LaunchOptions, 'marker'>,
  moreInputs = 0,
): Promise<Pick<Running, 'child' | 'exited'> | { readonly failure: Outcome }> {
  try {
    const input = stdin === undefined ? 'ignore' : 'pipe';
    const child = spawn(program, args, {
      argv0,
      cwd,
      env,
      detached: true,
      stdio: [input, 'pipe', 'pipe', ...Array.from({ length: moreInputs }, () => 'pipe' as const)],
      ...user,
    }) as Child;
    if ((child.pid as number | undefined) === undefined) {
      const [error] = (await once(child, 'error')) as [NodeJS.ErrnoException];
      return { failure: notStarted(error, argv0) };
    }
    const exited = new Promise<Exit>((resolve) => {
      child.once('exit', (exitCode, signal) => resolve({ exitCode, signal }));
    });
    // A command need not read its input; that it went away is no failure of the attempt.
    child.stdin?.on('error', () => {}).end(stdin);
    return { child, exited };
  } catch (error) {
    return { failure: notStarted(error as NodeJS.ErrnoException, argv0) };
  }
}

/** Starts a command that sees what this process sees. */
export async function launch(command: CommandLine, options: LaunchOptions): Promise<Launched> {
  const started = await start(command, options);
  if ('failure' in started) return started;
  const { child } = started;
  return {
    ...started,
    signal: (name) => signalGroup(child.pid, name),
    end: (withinMs) => {
      signalGroup(child.pid, 'SIGKILL');
      return killRun(options.marker, withinMs);
    },
    exit: async (childs) => childs,
  };
}

const NO_ROOM: readonly (string | undefined)[] = ['EAGAIN', 'EMFILE', 'ENFILE', 'ENOMEM'];

function notStarted({ code, message }: NodeJS.ErrnoException, program: string): Outcome {
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return failed('COMMAND_NOT_FOUND', `${program} was not found, or the interpreter it names`, false);
  }
  if (code === 'EACCES') return failed('COMMAND_NOT_EXECUTABLE', `${program} may not be executed`, false);
  return failed('COMMAND_SPAWN_FAILED', `${program} could not be started: ${code ?? message}`, NO_ROOM.includes(code));
}
