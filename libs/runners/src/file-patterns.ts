import { readdir, realpath } from 'node:fs/promises';
import { join, posix } from 'node:path';

const MAX_FILES = 100;
const MAX_ENTRIES = 20_000;

/** More files fit, or have to be looked at, than may. */
export class TooManyFiles extends Error {
  override readonly name = 'TooManyFiles';
}

type Any<T> = { readonly isAny: (part: T | undefined) => boolean; readonly fits: (part: T, one: T) => boolean };

/**
 * Whether a list fits a pattern of which some parts stand for any number of its elements. What such a part has taken is only ever made
 * longer for the last one of them, which is enough; so that no pattern takes longer than its length times that of the list.
 */
const matches = <T>(pattern: ArrayLike<T>, list: ArrayLike<T>, { isAny, fits }: Any<T>): boolean => {
  let [at, next, open, taken] = [0, 0, -1, 0];
  while (next < list.length) {
    const [part, one] = [pattern[at], list[next]] as [T | undefined, T];
    if (isAny(part)) {
      open = at++;
      taken = next;
    } else if (part !== undefined && fits(part, one)) {
      at += 1;
      next += 1;
    } else {
      if (open < 0) return false;
      at = open + 1;
      next = ++taken;
    }
  }
  while (isAny(pattern[at])) at += 1;
  return at >= pattern.length;
};

const inName: Any<string> = { isAny: (part) => part === '*', fits: (part, one) => part === '?' || part === one };
const inPath: Any<string> = { isAny: (part) => part === '**', fits: (part, one) => matches(part, one, inName) };

/** `*` and `?` within a name, `**` for any number of folders. */
const fitting = (pattern: string): ((path: string) => boolean) => {
  const parts = pattern.split('/');
  // At the end it stands for files, too, and there has to be one.
  if (parts[parts.length - 1] === '**') parts.push('*');
  return (path) => matches(parts, path.split('/'), inPath);
};

/** Folders that a pattern can only match below. */
const baseOf = (pattern: string): string => {
  const parts = pattern.split('/');
  const first = parts.findIndex((part) => /[*?]/.test(part));
  return parts.slice(0, first < 0 ? -1 : first).join('/');
};

/** Files below a directory that fit a pattern, in the order of their paths. No link is followed. Throws TooManyFiles where there are too many. */
export const filesMatching = async (directory: string, patterns: readonly string[]): Promise<readonly string[]> => {
  const found = new Set<string>();
  let seen = 0;
  const walk = async (folder: string, fits: (path: string) => boolean): Promise<void> => {
    const entries = await readdir(join(directory, folder), { withFileTypes: true }).catch(() => []);
    for (const entry of entries) {
      seen += 1;
      if (seen > MAX_ENTRIES) throw new TooManyFiles(`more than ${MAX_ENTRIES} files and folders to look through for ${patterns.join(', ')}; name the folder in the pattern`);
      const path = posix.join(folder, entry.name);
      if (entry.isDirectory()) await walk(path, fits);
      else if (entry.isFile() && fits(path)) found.add(path);
      if (found.size > MAX_FILES) throw new TooManyFiles(`more than ${MAX_FILES} files fit ${patterns.join(', ')}; pack them into an archive`);
    }
  };
  const real = await realpath(directory);
  for (const pattern of patterns) {
    const base = baseOf(pattern);
    const isHere = (await realpath(join(real, base)).catch(() => undefined)) === join(real, base);
    if (isHere) await walk(base, fitting(pattern));
  }
  return [...found].toSorted();
};
