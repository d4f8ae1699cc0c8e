import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { access } from 'node:fs/promises';
import { constants } from 'node:os';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { type Exit, type Launched, type LaunchOptions, start } from './launch.js';
import type { CommandLine } from './limited-command.js';
import { signalGroup } from './processes.js';
import { type Sandbox, sandboxArguments, type SandboxView } from './sandbox.js';

const ARGUMENTS_FD = 3;
const STATUS_FD = 4;

/**
 * Starts a command in a bubblewrap of its own. Its first process there leads a process group; when that one ends, or
 * the bwrap process outside, or this process, the kernel ends every other one in it, wherever it moved to.
 */
export async function launchSandboxed(
  sandbox: Sandbox,
  view: SandboxView,
  { program, args, env }: CommandLine,
  { stdin, user }: Pick<LaunchOptions, 'stdin' | 'user'>,
): Promise<Launched> {
  const secrets = await Promise.all(sandbox.secrets.map(async (secret) => ((await exists(secret.path)) ? [secret] : [])));
  const options = sandboxArguments({ ...sandbox, secrets: secrets.flat() }, view);
  const variables = Object.entries(env).flatMap(([name, value]) => ['--setenv', name, value]);
  const executor = Object.fromEntries(Object.entries(env).filter(([name]) => name === 'RUNLEDGER_EXECUTOR'));
  const started = await start(
    {
      program: sandbox.program,
      args: ['--args', String(ARGUMENTS_FD), '--json-status-fd', String(STATUS_FD), '--', program, ...args],
      // Nothing a plan sets may reach bwrap itself. By this the reaper finds it should the executor be killed before it has told of its group.
      env: executor,
    },
    { argv0: 'bwrap', cwd: '/', stdin, user },
    2,
  );
  if ('failure' in started) return started;
  const { child } = started;
  // Not on its command line, which every user of the machine can read.
  const input = child.stdio[ARGUMENTS_FD] as unknown as Writable;
  input.on('error', () => {}).end([...options, ...variables].map((argument) => `${argument}\0`).join(''));
  const status = new Status(child.stdio[STATUS_FD] as unknown as Readable);

  return {
    ...started,
    signal: (name) => {
      if (name === 'SIGKILL') signalGroup(child.pid, name);
      // bwrap itself would end by it, and the command with it, before it had its grace time.
      else void status.first.then((first) => first !== undefined && signalGroup(first, name));
    },
    async end(withinMs) {
      signalGroup(child.pid, 'SIGKILL');
      const first = await status.first;
      const until = performance.now() + withinMs;
      while (first !== undefined && isAlive(first)) {
        if (performance.now() > until) return 1;
        await delay(1);
      }
      return 0;
    },
    exit: async (childs) => (childs.signal !== null || (await status.hasRun) ? signalled(childs) : undefined),
  };
}

const exists = async (path: string): Promise<boolean> => {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
};

/** bwrap says by 128 + n what signal ended the command, as shells do. */
function signalled({ exitCode, signal }: Exit): Exit {
  const [name] = Object.entries(constants.signals).find(([, number]) => number + 128 === exitCode) ?? [];
  return name === undefined ? { exitCode, signal } : { exitCode: null, signal: name };
}

/** Whether a process is there and no zombie; the first one of a sandbox becomes one after all others are gone. */
function isAlive(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}

/** What bwrap reports: the first process inside by its id out here, and later, if it was run at all, the command's end. */
class Status {
  /** Undefined when there never was one. */
  readonly first: Promise<number | undefined>;
  readonly hasRun: Promise<boolean>;
  #text = '';

  constructor(pipe: Readable) {
    const ended = once(pipe, 'close').catch(() => {});
    this.first = new Promise((resolve) => {
      pipe.setEncoding('latin1').on('data', (text: string) => {
        this.#text += text;
        const [, pid] = /"child-pid": (\d+)/.exec(this.#text) ?? [];
        if (pid !== undefined) resolve(Number(pid));
      });
      void ended.then(() => resolve(undefined));
    });
    this.hasRun = ended.then(() => this.#text.includes('"exit-code"'));
  }
}
