import type { CommandInput } from './command-input.js';
import type { CommandPolicy, Grant } from './command-policy.js';
import { commandEnvironment, runMarker } from './environment.js';
import { failed } from './failed.js';
import { launch, type Launched } from './launch.js';
import { changesProgram, limited } from './limited-command.js';
import { resolveProgram } from './programs.js';
import type { Attempt } from './runner.js';
import type { Sandbox } from './sandbox.js';
import { launchSandboxed } from './sandbox-launch.js';
import { type CommandUser, existingPaths, type WorkingDirectory } from './work-directory.js';

export type LaunchPlace = {
  readonly incarnation: string;
  /** Without one, commands see what this process sees. */
  readonly sandbox?: Sandbox;
  /** Absolute directories that no sandbox shows although they lie in what it shows; default none. */
  readonly hidden?: readonly string[];
  /** Who commands run as; default this process's user. Another one takes root to become. */
  readonly user?: CommandUser;
};

/** Starts an attempt's command as its policy has it, or says why not. */
export async function launchCommand(
  { incarnation, sandbox, hidden = [], user }: LaunchPlace,
  { attempt, policy, granted, directory }: {
    readonly attempt: Attempt;
    readonly policy: CommandPolicy;
    readonly granted: Grant;
    readonly directory: WorkingDirectory;
  },
): Promise<Launched> {
  const { argv, shell = 'sh', script = '', env: planned = {}, stdin } = attempt.input as CommandInput;
  const loader = policy.programs && Object.keys(planned).find(changesProgram);
  if (loader !== undefined) {
    const why = `${loader} would put other code into a program, and the policy of the tenant allows only some programs`;
    return { failure: failed('COMMAND_NOT_ALLOWED', why, false) };
  }
  const [argv0 = shell, ...args] = argv ?? [shell, '-c', script, shell];
  const roots = await existingPaths(policy.roots);
  const env = commandEnvironment(incarnation, attempt, planned, {
    root: roots[0],
    // Neither another user nor a sandbox has this process's.
    home: sandbox || user ? directory.own : undefined,
    tmp: sandbox ? '/tmp' : undefined,
  });
  const fixedPath = process.env['PATH'] ?? '/usr/bin:/bin';
  const program = await resolveProgram(argv0, {
    path: env['PATH'] ?? fixedPath,
    cwd: directory.path,
    allowed: policy.programs,
    fixedPath,
  });
  if (typeof program !== 'string') return { failure: { ok: false, error: program } };
  const command = limited({ program, args, env }, granted.limits);
  if (!sandbox) {
    const marker = runMarker(incarnation, attempt);
    return launch(command, { argv0, cwd: directory.pinned, stdin, user, marker });
  }
  const view = {
    own: directory.own,
    roots,
    readable: await existingPaths(policy.readable),
    hidden: await existingPaths(hidden),
    cwd: directory.path,
    network: granted.network,
    tmpBytes: granted.limits.tmpBytes,
  };
  return launchSandboxed(sandbox, view, command, { stdin, user });
}

