import type { JsonObject } from '#libs/contracts';
import { type CommandInput, commandInputProblems } from './command-input.js';
import { type LaunchPlace, launchCommand } from './command-launch.js';
import { type CommandLimits, type LimitName, ownLimits } from './command-limits.js';
import { readOutput } from './command-output.js';
import { type CommandPolicy, grant } from './command-policy.js';
import { failed, invalidInput } from './failed.js';
import { TooManyFiles, filesMatching } from './file-patterns.js';
import type { Exit, Launched, Running } from './launch.js';
import { keepFile } from './marked-files.js';
import { Reaper } from './reaper.js';
import type { Attempt, Outcome, Runner } from './runner.js';
import { workingDirectory } from './work-directory.js';

export type CommandOptions = LaunchPlace & {
  /** What a tenant's commands may do; asked at every attempt. */
  readonly policyOf: (tenant: string) => CommandPolicy;
  /** Absolute; holds `<tenant>/<execution>` directories, made as needed and left to their owner to remove. */
  readonly workRoot: string;
  /** Between TERM and KILL; default 5000. A plan may ask for another. */
  readonly graceMs?: number;
};

type Ending = Exit & { readonly aborted: boolean; readonly late: boolean };

const GRACE_MS = 5_000;
/** After the command's end: for processes that refuse to die, then for its last output to be read and stored. */
const SETTLE_MS = 5_000;

/** A function that runs attempts to their very end: nothing they started is alive when it resolves. */
export function commandRun(options: CommandOptions): Runner['run'] {
  const { incarnation, policyOf, graceMs = GRACE_MS } = options;
  const reaper = new Reaper(incarnation);
  const ceiling = ownLimits();
  return async (attempt) => {
    const problems = commandInputProblems(attempt.input);
    if (problems.length > 0) return invalidInput(problems);
    const input = attempt.input as CommandInput;
    const policy = policyOf(attempt.ref.tenant);
    const granted = grant(policy, input);
    if ('code' in granted) return { ok: false, error: granted };
    const limits = applicable(granted.limits, ceiling, options.sandbox !== undefined);
    const directory = await workingDirectory(options, [...policy.roots, ...policy.readable], attempt.ref, input.cwd);
    if ('code' in directory) return { ok: false, error: directory };

    const startedAt = performance.now();
    const running = await (async (): Promise<Launched> => {
      try {
        if (attempt.signal.aborted) return { failure: failed('COMMAND_ABORTED', 'stopped before it started', false) };
        // First, so that there is no moment at which the executor's death leaves a command behind.
        if (!reaper.start()) return { failure: failed('COMMAND_SPAWN_FAILED', 'no room to start the reaper', true) };
        return await launchCommand(options, { attempt, policy, granted: { ...granted, limits }, directory });
      } finally {
        // Not waited for: a child's pipes are to be read in the very turn it was started in, or Node empties them.
        void directory.release();
      }
    })();
    if ('failure' in running) return running.failure;
    const { child } = running;
    reaper.watch(child.pid);
    const stepFailed = new AbortController();
    const reading = readOutput(child, attempt, {
      maxBytes: limits.outputBytes ?? Infinity,
      marking: input.markers === false ? undefined : { directory: directory.path, stop: (step, error) => stepFailed.abort({ step, error }) },
    });
    const ending = await ended(running, AbortSignal.any([attempt.signal, stepFailed.signal]), input.graceMs ?? graceMs, limits.timeMs);
    const durationMs = Math.round(performance.now() - startedAt);

    const leftRunning = await running.end(SETTLE_MS);
    reaper.release(child.pid);
    const output = await reading.finish(SETTLE_MS);
    const isSuccess = (code: number | null): boolean => code !== null && (input.successExitCodes ?? [0]).includes(code);
    const exit = await running.exit(ending);
    if (!exit) return failed('COMMAND_SANDBOX_FAILED', `bubblewrap did not start it: ${reading.stderrTail().trim()}`, true);
    const { exitCode, signal } = isSuccess(ending.exitCode) ? ending : exit;

    const result = { exitCode, signal, durationMs, ...output, ...(leftRunning > 0 && { leftRunning }) };
    // Also of one that failed: what it wrote may say why. What was stopped is not waited for.
    const lost = ending.aborted ? undefined : await keepFiles(attempt, directory.path);
    if (isSuccess(exitCode) && !ending.aborted && !stepFailed.signal.aborted && !ending.late) return lost ?? { ok: true, result };
    const how = signal === null ? `exit code ${exitCode}` : `killed by ${signal}`;
    // Which of them a program ran into is only for its own words to say.
    const { outputBytes: _, ...inForce } = limits;
    const limited = Object.keys(inForce).length > 0 && { limits: inForce as JsonObject };
    const details = { ...result, stderrTail: reading.stderrTail(), ...limited };
    if (stepFailed.signal.aborted && !attempt.signal.aborted) {
      const { step, error } = stepFailed.signal.reason as { step: string; error: string };
      return failed('COMMAND_STEP_FAILED', `stopped as step '${step}' failed: ${error}`, true, details);
    }
    if (ending.aborted) return failed('COMMAND_ABORTED', `stopped on request: ${how}`, false, details);
    if (ending.late) return failed('COMMAND_TIME_LIMIT', `ran longer than its limit of ${limits.timeMs} ms`, true, details);
    const passed = limitPassed({ exitCode, signal }, limits);
    if (passed) return failed(passed.code, `${passed.message}: ${how}`, false, details);
    return failed('COMMAND_EXITED', how, true, details);
  };
}

/** Keeps the files that the plan wants kept. Answers with the failure that it is when they can't be. */
async function keepFiles({ artifact, artifactPatterns = [] }: Attempt, directory: string): Promise<Outcome | undefined> {
  const failure = (why: string, retryable: boolean): Outcome => failed('ARTIFACT_NOT_KEPT', `files of the task could not be kept: ${why}`, retryable);
  try {
    for (const name of await filesMatching(directory, artifactPatterns)) {
      const notKept = await keepFile(directory, { name, description: '' }, artifact);
      if (notKept) return failure(`${name}: ${notKept.why}`, notKept.retryable);
    }
    return undefined;
  } catch (error) {
    // As many there would be again.
    if (error instanceof TooManyFiles) return failure(error.message, false);
    return failure(error instanceof Error ? error.message : String(error), true);
  }
}

const SANDBOX_ONLY: readonly string[] = ['processes', 'tmpBytes'] satisfies LimitName[];

/** Of what a policy says, what can be kept here: no more than this process has, and some of it in a sandbox only. */
function applicable(limits: CommandLimits, ceiling: CommandLimits, sandboxed: boolean): CommandLimits {
  const kept = Object.keys(limits).filter((name) => sandboxed || !SANDBOX_ONLY.includes(name)) as LimitName[];
  return Object.fromEntries(kept.map((name) => [name, Math.min(limits[name]!, ceiling[name] ?? Infinity)]));
}

const LIMIT_SIGNALS = [
  { name: 'cpuSeconds', signal: 'SIGXCPU', status: 152, code: 'COMMAND_CPU_LIMIT', what: 'seconds of processor time' },
  { name: 'fileSizeBytes', signal: 'SIGXFSZ', status: 153, code: 'COMMAND_FILE_SIZE_LIMIT', what: 'bytes in a file' },
] as const;

/** Which limit ended a command, directly or by ending what a shell then reports as 128 + signal. */
function limitPassed({ exitCode, signal }: Exit, limits: CommandLimits): { code: string; message: string } | undefined {
  const passed = LIMIT_SIGNALS.find((limit) => signal === limit.signal || exitCode === limit.status);
  const limit = passed && limits[passed.name];
  return limit === undefined ? undefined : { code: passed!.code, message: `passed its limit of ${limit} ${passed!.what}` };
}

/**
 * Waits for the command itself; when `abort` or the time limit comes first, with TERM to what it started and KILL after
 * the grace time.
 */
function ended(running: Running, abort: AbortSignal, graceMs: number, timeMs: number | undefined): Promise<Ending> {
  return new Promise((resolve) => {
    const timers: NodeJS.Timeout[] = [];
    let late = false;
    const stop = (): void => {
      running.signal('SIGTERM');
      timers.push(setTimeout(() => running.signal('SIGKILL'), graceMs));
    };
    if (abort.aborted) stop();
    else abort.addEventListener('abort', stop, { once: true });
    if (timeMs !== undefined) {
      timers.push(
        setTimeout(() => {
          late = true;
          stop();
        }, timeMs),
      );
    }
    void running.exited.then((exit) => {
      for (const timer of timers) clearTimeout(timer);
      abort.removeEventListener('abort', stop);
      resolve({ ...exit, aborted: abort.aborted, late });
    });
  });
}
