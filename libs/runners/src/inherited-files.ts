import { closeSync, readdirSync, readFileSync } from 'node:fs';

const O_CLOEXEC = 0o2000000;

const flagsOf = (fd: number): number => {
  try {
    const [, flags = ''] = /^flags:\s+([0-7]+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1')) ?? [];
    return Number.parseInt(flags, 8);
  } catch {
    return O_CLOEXEC; // Closed meanwhile: it was the one that read the folder.
  }
};

/**
 * Files that whoever started this process left open in it, and that it would leave open in what it starts. Node itself
 * opens everything for this process alone, and of what it inherits makes so only the lowest numbers. Linux only.
 */
export function inheritedFiles(): readonly number[] {
  let names: readonly string[];
  try {
    names = readdirSync('/proc/self/fd');
  } catch {
    return [];
  }
  return names.map(Number).filter((fd) => fd > 2 && (flagsOf(fd) & O_CLOEXEC) === 0);
}

/** Closes them, so that no command gets at them. For a process to do at its start, before it opens any itself. */
export function closeInheritedFiles(): void {
  for (const fd of inheritedFiles()) closeSync(fd);
}
