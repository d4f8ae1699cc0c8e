import { execFile } from 'node:child_process';
import { constants, type Dirent, lstatSync, readdirSync, readlinkSync } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, dirname, isAbsolute, join } from 'node:path';
import { promisify } from 'node:util';
import { mount, type Mount, type Sandbox, sandboxArguments } from './sandbox.js';
import { type CommandUser, existingPaths, isWithin } from './work-directory.js';

/** What a system consists of; where much of it is links into /usr, they stay links. */
const SYSTEM = ['/usr', '/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32', '/opt', '/nix/store', '/etc'];

/** Who is nobody everywhere, so that nothing in a sandbox takes itself for root. */
const NOBODY = '65534';

const PROBE_MS = 10_000;
const run = promisify(execFile);

/**
 * The sandbox this machine has for commands, tried once; or what is missing, as the end of a sentence. `path` is where
 * programs are, `user` who commands run as when that is not this process's user.
 */
export async function findSandbox(
  path: string,
  user?: CommandUser,
): Promise<{ readonly sandbox: Sandbox } | { readonly missing: string }> {
  if (process.platform !== 'linux') return { missing: 'it needs Linux' };
  const directories = path.split(delimiter).filter(isAbsolute);
  const program = await firstWith(directories, 'bwrap');
  if (program === undefined) return { missing: 'there is no bwrap on the PATH: install the package bubblewrap, 0.8 or later' };
  try {
    const sandbox = await describe(program, directories, user);
    const view = { own: '/usr', roots: [], readable: [], hidden: [], cwd: '/', network: false, tmpBytes: 4096 };
    await run(program, [...sandboxArguments(sandbox, view), '/bin/sh', '-c', ':'], asUser(user));
    return { sandbox };
  } catch (error) {
    const { stderr, message } = error as Error & { readonly stderr?: string };
    return { missing: `${program} does not work here: ${(stderr?.trim() || message).split('\n')[0]}` };
  }
}

const asUser = (user: CommandUser | undefined): object => ({ env: {}, cwd: '/', timeout: PROBE_MS, ...user });

async function firstWith(directories: readonly string[], program: string): Promise<string | undefined> {
  for (const directory of directories) {
    try {
      await access(join(directory, program), constants.X_OK);
      return join(directory, program);
    } catch {
      // The next one may have it.
    }
  }
  return undefined;
}

async function describe(program: string, directories: readonly string[], user: CommandUser | undefined): Promise<Sandbox> {
  const places = [...directories, dirname(process.execPath)];
  const elsewhere = [...places, ...(await existingPaths(places))].filter(
    (place) => !SYSTEM.some((known) => isWithin(place, known)),
  );
  const secrets = secretsIn('/etc');
  const readable = new Set(await accessibleTo(user, '-r', secrets.map((secret) => secret.path)));
  return {
    program,
    system: SYSTEM.flatMap(systemMount),
    programs: await accessibleTo(user, '-x', [...new Set(elsewhere)]),
    secrets: secrets.filter((secret) => readable.has(secret.path)),
    isolation: [
      '--unshare-user',
      // No further one inside: it is what many ways out of a sandbox begin with.
      '--disable-userns',
      '--unshare-pid',
      '--unshare-ipc',
      '--unshare-uts',
      '--unshare-cgroup-try',
      '--die-with-parent',
      '--new-session',
      '--cap-drop',
      'ALL',
      ...((user?.uid ?? process.getuid?.()) === 0 ? ['--uid', NOBODY, '--gid', NOBODY] : []),
    ],
  };
}

function systemMount(path: string): readonly Mount[] {
  try {
    return [lstatSync(path).isSymbolicLink() ? mount.link(path, readlinkSync(path)) : mount.readOnly(path)];
  } catch {
    return [];
  }
}

/** What not everybody on this machine may read, and so no command either, even one that runs as root. */
function secretsIn(directory: string): readonly Mount[] {
  let entries: readonly Dirent[];
  try {
    entries = readdirSync(directory, { withFileTypes: true });
  } catch {
    return [];
  }
  return entries.flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isSymbolicLink()) return [];
    const { mode } = lstatSync(path);
    if (entry.isDirectory()) return (mode & 0o005) === 0o005 ? secretsIn(path) : [mount.emptyDirectory(path)];
    return (mode & 0o004) === 0 ? [mount.emptyFile(path)] : [];
  });
}

/** Those that the command's user has access to: only a process of that user can tell. */
async function accessibleTo(user: CommandUser | undefined, test: '-r' | '-x', paths: readonly string[]): Promise<readonly string[]> {
  const script = `for path; do [ ${test} "$path" ] && printf '%s\\0' "$path"; done; :`;
  const { stdout } = await run('/bin/sh', ['-c', script, 'sh', ...paths], asUser(user)) as { readonly stdout: string };
  return stdout.split('\0').filter((path) => path !== '');
}
