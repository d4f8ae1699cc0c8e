import { readdir } from 'node:fs/promises';
import { join, posix } from 'node:path';

const MAX_FILES = 100;
const MAX_ENTRIES = 20_000;

/** More files fit, or have to be looked at, than may. */
export class TooManyFiles extends Error {
  override readonly name = 'TooManyFiles';
}

const special = /[.+^${}()|[\]\\]/g;

/** `*` and `?` within a name, `**` for any number of folders. */
const expressionOf = (pattern: string): RegExp => {
  const parts = pattern.split('/').map((part) => (part === '**' ? '**' : part.replace(special, String.raw`\$&`).replaceAll('*', '[^/]*').replaceAll('?', '[^/]')));
  const source = parts.reduce((before, part, index) => {
    const isLast = index === parts.length - 1;
    if (part === '**') return before + (isLast ? '.*' : '(?:[^/]+/)*');
    return before + part + (isLast ? '' : '/');
  }, '');
  return new RegExp(`^${source}$`, 's');
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
  const walk = async (folder: string, fits: RegExp): Promise<void> => {
    const entries = await readdir(join(directory, folder), { withFileTypes: true }).catch(() => []);
    for (const entry of entries) {
      seen += 1;
      if (seen > MAX_ENTRIES) throw new TooManyFiles(`more than ${MAX_ENTRIES} files and folders to look through for ${patterns.join(', ')}; name the folder in the pattern`);
      const path = posix.join(folder, entry.name);
      if (entry.isDirectory()) await walk(path, fits);
      else if (entry.isFile() && fits.test(path)) found.add(path);
      if (found.size > MAX_FILES) throw new TooManyFiles(`more than ${MAX_FILES} files fit ${patterns.join(', ')}; pack them into an archive`);
    }
  };
  for (const pattern of patterns) await walk(baseOf(pattern), expressionOf(pattern));
  return [...found].toSorted();
};
