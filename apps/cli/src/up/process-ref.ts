import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** One process for ever: a pid alone is given to another one later. */
export type ProcessRef = { readonly pid: number; readonly identity: string };

const POLL_MS = 20;
const linux = existsSync('/proc/self/stat');

/** Undefined when there is no such process, or only what its parent has not collected yet. */
export function refOf(pid: number): ProcessRef | undefined {
  const identity = linux ? fromProc(pid) : fromPs(pid);
  return identity === undefined ? undefined : { pid, identity };
}

export function isAlive(ref: ProcessRef): boolean {
  return refOf(ref.pid)?.identity === ref.identity;
}

/** To that very process; nothing when it is gone. */
export function signal(ref: ProcessRef, name: NodeJS.Signals): void {
  if (!isAlive(ref)) return;
  try {
    process.kill(ref.pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** TERM, then KILL after `graceMs`. Resolves when all are gone. */
export async function end(refs: readonly ProcessRef[], graceMs: number): Promise<void> {
  const deadline = Date.now() + graceMs;
  for (const ref of refs) signal(ref, 'SIGTERM');
  let killed = false;
  while (refs.some(isAlive)) {
    if (!killed && Date.now() >= deadline) {
      for (const ref of refs) signal(ref, 'SIGKILL');
      killed = true;
    }
    await delay(POLL_MS);
  }
}

/** The kernel's start time, in ticks since this boot. */
function fromProc(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The command's name comes in parentheses and may hold anything, parentheses and spaces too.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state, startTime] = [fields[0], fields[19]];
    if (state === 'Z' || state === 'X') return undefined;
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()}/${startTime}`;
  } catch {
    return undefined;
  }
}

function fromPs(pid: number): string | undefined {
  try {
    const line = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim();
    return line === '' || line.startsWith('Z') ? undefined : line.slice(line.indexOf(' ')).trim();
  } catch {
    return undefined;
  }
}
