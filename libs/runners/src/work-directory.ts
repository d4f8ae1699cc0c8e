import { constants } from 'node:fs';
import { chmod, chown, mkdir, open, readlink, realpath, stat } from 'node:fs/promises';
import { join, resolve, sep } from 'node:path';
import type { ExecutionRef, Failure } from '#libs/contracts';

/** Who commands run as. */
export type CommandUser = { readonly uid: number; readonly gid: number };

export const isWithin = (path: string, root: string): boolean =>
  path === root || path.startsWith(root.endsWith(sep) ? root : root + sep);

const refused = (code: string, message: string): Failure => ({ code, message, retryable: false });

/** Where a command runs. */
export type WorkingDirectory = {
  /** `<workRoot>/<tenant>/<execution>`, its real path. */
  readonly own: string;
  /** The real paths of the roots that exist. */
  readonly roots: readonly string[];
  /** The real path of the directory. */
  readonly path: string;
  /** Names that very directory, whatever the path has come to mean, until `release`. */
  readonly pinned: string;
  release(): Promise<void>;
};

type Places = {
  /** Absolute; made as needed. */
  readonly workRoot: string;
  /** Who commands run as, when that is not this process's user. */
  readonly user?: CommandUser | undefined;
};

/** For its owner only; the tasks of an execution share it to pass files. */
async function executionDirectory({ workRoot, user }: Places, { tenant, execution }: ExecutionRef): Promise<string> {
  const tenantDirectory = join(workRoot, tenant);
  const path = join(tenantDirectory, execution);
  // Another user has to get through, and sees nothing on the way.
  await mkdir(tenantDirectory, { recursive: true, mode: user ? 0o711 : 0o700 });
  await mkdir(path, { recursive: true, mode: 0o700 });
  if (user) {
    await chmod(tenantDirectory, 0o711);
    const { uid } = await stat(path);
    if (uid !== user.uid) await chown(path, user.uid, user.gid);
  }
  return realpath(path);
}

const existing = async (path: string): Promise<string | undefined> => {
  try {
    return await realpath(path);
  } catch {
    return undefined;
  }
};

/** The real paths of those that exist. */
export const existingPaths = async (paths: readonly string[]): Promise<readonly string[]> =>
  (await Promise.all(paths.map(existing))).filter((path) => path !== undefined);

/**
 * The directory `cwd` means, or why not. Symbolic links are followed before it is judged, and what was judged is held,
 * so that none leads out of the execution's directory and the roots, not even one that appears in between. Codes:
 * CWD_NOT_ALLOWED, CWD_NOT_FOUND.
 */
export async function workingDirectory(
  places: Places,
  roots: readonly string[],
  ref: ExecutionRef,
  cwd: string | undefined,
): Promise<WorkingDirectory | Failure> {
  const own = await executionDirectory(places, ref);
  const real = { own, roots: await existingPaths(roots) };
  const wanted = cwd === undefined ? own : resolve(own, cwd);
  const path = await existing(wanted);
  const isAllowed = (candidate: string, among: readonly string[]): boolean =>
    [own, ...among].some((root) => isWithin(candidate, root));
  const notAllowed = (): Failure =>
    refused('CWD_NOT_ALLOWED', `the working directory ${cwd} is neither the execution's nor in an allowed one`);

  // What lies outside is refused alike whether it exists or not, so that nobody can search the machine by it.
  if (path === undefined) {
    return isAllowed(wanted, [...real.roots, ...roots])
      ? refused('CWD_NOT_FOUND', `the working directory ${cwd} does not exist`)
      : notAllowed();
  }
  if (!isAllowed(path, real.roots)) return notAllowed();
  const held = await hold(path);
  if (held === undefined) return refused('CWD_NOT_FOUND', `${cwd} is not a directory`);
  if (isAllowed(held.path, real.roots)) return { ...real, ...held };
  void held.release();
  return notAllowed();
}

/** open(2) for naming only: needs no right to read. Linux's number on the machines Node has builds for. */
const O_PATH = 0o10000000;

async function hold(path: string): Promise<Pick<WorkingDirectory, 'path' | 'pinned' | 'release'> | undefined> {
  try {
    // Elsewhere there is no way to start a process in a directory that is open.
    if (process.platform !== 'linux') {
      return (await stat(path)).isDirectory() ? { path, pinned: path, release: async () => {} } : undefined;
    }
    const handle = await open(path, O_PATH | constants.O_DIRECTORY);
    const pinned = `/proc/self/fd/${handle.fd}`;
    return { path: await readlink(pinned), pinned, release: () => handle.close().catch(() => {}) };
  } catch {
    return undefined;
  }
}
