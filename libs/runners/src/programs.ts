import { constants } from 'node:fs';
import { access, realpath, stat } from 'node:fs/promises';
import { basename, delimiter, dirname, isAbsolute, join, resolve } from 'node:path';
import type { Failure } from '#libs/contracts';

const refused = (code: string, message: string): Failure => ({ code, message, retryable: false });

/** Where a program is: as it stands when it is a path, else along PATH, as execvp looks for it. Undefined: nowhere. */
async function find(program: string, path: string, cwd: string): Promise<{ file: string; executable: boolean } | undefined> {
  const places = program.includes('/') ? [''] : path.split(delimiter).map((place) => place || '.');
  let found: { file: string; executable: boolean } | undefined;
  for (const place of places) {
    const file = resolve(cwd, place, program);
    if (!(await isFile(file))) continue;
    if (await isExecutable(file)) return { file, executable: true };
    found ??= { file, executable: false };
  }
  return found;
}

const isFile = async (file: string): Promise<boolean> => {
  try {
    return (await stat(file)).isFile();
  } catch {
    return false;
  }
};

const isExecutable = async (file: string): Promise<boolean> => {
  try {
    await access(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};

/**
 * A file by its directory's real path and its own name. The last link stays: where one binary is many programs, as
 * busybox is, each is a link to it, and to allow `ls` must not allow `sh`.
 */
const identity = async (file: string): Promise<string> => join(await realpath(dirname(file)), basename(file));

/**
 * The absolute path of the program a command names, or why it is not started: COMMAND_NOT_FOUND,
 * COMMAND_NOT_EXECUTABLE, COMMAND_NOT_ALLOWED. What is judged is that path, and that path is what has to be run.
 */
export async function resolveProgram(
  program: string,
  { path, cwd, allowed, fixedPath }: {
    /** PATH of the command. */
    readonly path: string;
    readonly cwd: string;
    /** Undefined: any. */
    readonly allowed: readonly string[] | undefined;
    /** PATH along which allowed names are found, never a plan's. */
    readonly fixedPath: string;
  },
): Promise<string | Failure> {
  const found = await find(program, path, cwd);
  // What is not allowed is refused alike whether it exists or not, so that nobody can search the machine by it.
  if (allowed && !(await isAllowed(found?.file, allowed, fixedPath))) {
    return refused('COMMAND_NOT_ALLOWED', `${program} is none of the programs that the policy of its tenant allows`);
  }
  if (!found) return refused('COMMAND_NOT_FOUND', `${program} was not found`);
  if (!found.executable) return refused('COMMAND_NOT_EXECUTABLE', `${program} may not be executed`);
  return found.file;
}

async function isAllowed(file: string | undefined, allowed: readonly string[], fixedPath: string): Promise<boolean> {
  if (file === undefined) return false;
  const wanted = await identity(file);
  for (const entry of allowed) {
    const known = isAbsolute(entry) ? { file: entry } : await find(entry, fixedPath, '/');
    if (!known) continue;
    try {
      if ((await identity(known.file)) === wanted) return true;
    } catch {
      // Its directory is not there on this machine.
    }
  }
  return false;
}
