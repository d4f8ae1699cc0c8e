import { mkdir, realpath, stat } from 'node:fs/promises';
import { join, resolve, sep } from 'node:path';
import type { ExecutionRef, Failure } from '#libs/contracts';

const isWithin = (path: string, root: string): boolean =>
  path === root || path.startsWith(root.endsWith(sep) ? root : root + sep);

const refused = (code: string, message: string): Failure => ({ code, message, retryable: false });

/** `<workRoot>/<tenant>/<execution>`, for its owner only; the tasks of an execution share it to pass files. */
async function executionDirectory(workRoot: string, { tenant, execution }: ExecutionRef): Promise<string> {
  const path = join(workRoot, tenant, execution);
  await mkdir(path, { recursive: true, mode: 0o700 });
  return realpath(path);
}

const existing = async (path: string): Promise<string | undefined> => {
  try {
    return await realpath(path);
  } catch {
    return undefined;
  }
};

/**
 * Where a command runs: the real path of `cwd`, or why not. Symbolic links are followed before it is judged, so that
 * none leads out of the execution's directory and the allowed roots. Codes: CWD_NOT_ALLOWED, CWD_NOT_FOUND.
 */
export async function workingDirectory(
  { workRoot, allowedRoots }: { readonly workRoot: string; readonly allowedRoots: readonly string[] },
  ref: ExecutionRef,
  cwd: string | undefined,
): Promise<string | Failure> {
  const own = await executionDirectory(workRoot, ref);
  if (cwd === undefined) return own;
  const wanted = resolve(own, cwd);
  const real = await existing(wanted);
  const realRoots = (await Promise.all(allowedRoots.map(existing))).filter((root) => root !== undefined);
  const roots = [own, ...realRoots];
  // What lies outside is refused alike whether it exists or not, so that nobody can search the machine by it.
  const allowed = real === undefined ? [...roots, ...allowedRoots] : roots;
  if (!allowed.some((root) => isWithin(real ?? wanted, root))) {
    return refused('CWD_NOT_ALLOWED', `the working directory ${cwd} is neither the execution's nor in an allowed one`);
  }
  if (real === undefined) return refused('CWD_NOT_FOUND', `the working directory ${cwd} does not exist`);
  if (!(await stat(real)).isDirectory()) return refused('CWD_NOT_FOUND', `${cwd} is not a directory`);
  return real;
}
