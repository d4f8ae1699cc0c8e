import { type CommandInput, commandInputProblems } from './command-input.js';
import { readOutput } from './command-output.js';
import { commandEnvironment, runMarker } from './environment.js';
import { failed, invalidInput } from './failed.js';
import { type Child, launch } from './launch.js';
import { killRun, signalGroup } from './processes.js';
import { Reaper } from './reaper.js';
import type { Runner } from './runner.js';
import { workingDirectory } from './work-directory.js';

export type CommandOptions = {
  /** Names this executor process, never used by another one; ^[A-Za-z0-9._-]{1,128}$. */
  readonly incarnation: string;
  /** Absolute directories a plan may choose its working directory in. */
  readonly allowedRoots: readonly string[];
  /** Absolute; holds `<tenant>/<execution>` directories, made as needed and left to their owner to remove. */
  readonly workRoot: string;
  /** Per attempt; default 8 MiB. A plan may ask for less. */
  readonly maxOutputBytes?: number;
  /** Between TERM and KILL; default 5000. A plan may ask for another. */
  readonly graceMs?: number;
};

type Ending = { readonly exitCode: number | null; readonly signal: string | null; readonly aborted: boolean };

const MAX_OUTPUT_BYTES = 8 * 2 ** 20;
const GRACE_MS = 5_000;
/** After the command's end: for processes that refuse to die, then for its last output to be read and stored. */
const SETTLE_MS = 5_000;

/** A function that runs attempts to their very end: nothing they started is alive when it resolves. */
export function commandRun(options: CommandOptions): Runner['run'] {
  const { incarnation, maxOutputBytes = MAX_OUTPUT_BYTES, graceMs = GRACE_MS } = options;
  const reaper = new Reaper(incarnation);
  return async (attempt) => {
    const problems = commandInputProblems(attempt.input);
    if (problems.length > 0) return invalidInput(problems);
    const input = attempt.input as CommandInput;
    const directory = await workingDirectory(options, attempt.ref, input.cwd);
    if (typeof directory !== 'string') return { ok: false, error: directory };
    if (attempt.signal.aborted) return failed('COMMAND_ABORTED', 'stopped before the command started', false);

    // First, so that there is no moment at which the executor's death leaves a command behind.
    if (!reaper.start()) return failed('COMMAND_SPAWN_FAILED', 'the system had no room to start the reaper', true);
    const startedAt = performance.now();
    const launched = await launch(input, directory, commandEnvironment(incarnation, attempt, input.env ?? {}, options.allowedRoots));
    if ('failure' in launched) return launched.failure;
    const { child } = launched;
    reaper.watch(child.pid);
    const reading = readOutput(child, attempt, {
      maxBytes: Math.min(maxOutputBytes, input.maxOutputBytes ?? Infinity),
      markers: input.markers ?? false,
    });
    const { exitCode, signal, aborted } = await ended(child, attempt.signal, input.graceMs ?? graceMs);
    const durationMs = Math.round(performance.now() - startedAt);

    signalGroup(child.pid, 'SIGKILL');
    const leftRunning = await killRun(runMarker(incarnation, attempt), SETTLE_MS);
    reaper.release(child.pid);
    const output = await reading.finish(SETTLE_MS);

    const result = { exitCode, signal, durationMs, ...output, ...(leftRunning > 0 && { leftRunning }) };
    const succeeded = exitCode !== null && (input.successExitCodes ?? [0]).includes(exitCode);
    if (succeeded && !aborted) return { ok: true, result };
    const how = signal === null ? `exit code ${exitCode}` : `killed by ${signal}`;
    const details = { ...result, stderrTail: reading.stderrTail() };
    return aborted
      ? failed('COMMAND_ABORTED', `stopped on request: ${how}`, false, details)
      : failed('COMMAND_EXITED', how, true, details);
  };
}

/** Waits for the command itself; when `abort` comes first, with TERM to its group and KILL after the grace time. */
function ended(child: Child, abort: AbortSignal, graceMs: number): Promise<Ending> {
  return new Promise((resolve) => {
    let timer: NodeJS.Timeout | undefined;
    const stop = (): void => {
      signalGroup(child.pid, 'SIGTERM');
      timer = setTimeout(() => signalGroup(child.pid, 'SIGKILL'), graceMs);
    };
    if (abort.aborted) stop();
    else abort.addEventListener('abort', stop, { once: true });
    child.once('exit', (exitCode, signal) => {
      clearTimeout(timer);
      abort.removeEventListener('abort', stop);
      resolve({ exitCode, signal, aborted: abort.aborted });
    });
  });
}
