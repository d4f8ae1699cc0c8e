import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

const signal = (target: number, name: NodeJS.Signals): void => {
  try {
    process.kill(target, name);
  } catch {
    // Gone already, or never ours to signal.
  }
};

/** Signals every process of the group `leader` started. */
export const signalGroup = (leader: number, name: NodeJS.Signals): void => {
  // kill(0) and kill(-1) reach the executor itself and the whole machine.
  if (leader > 1) signal(-leader, name);
};

/** Process ids by the RUNLEDGER_RUN they were started with, zombies left out; empty where there is no /proc. */
function readRuns(): Map<string, number[]> {
  const runs = new Map<string, number[]>();
  for (const name of processNames()) {
    const run = runOf(name);
    if (run === undefined) continue;
    const pids = runs.get(run);
    if (pids) pids.push(Number(name));
    else runs.set(run, [Number(name)]);
  }
  return runs;
}

function processNames(): readonly string[] {
  try {
    return readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  } catch {
    return [];
  }
}

function runOf(name: string): string | undefined {
  try {
    const environment = `\0${readFileSync(`/proc/${name}/environ`, 'latin1')}`;
    const start = environment.indexOf('\0RUNLEDGER_RUN=');
    return start < 0 ? undefined : environment.slice(start + 15, environment.indexOf('\0', start + 1));
  } catch {
    return undefined; // Ended meanwhile, or another user's.
  }
}

let nextReading: Promise<Map<string, number[]>> | undefined;

/** About 10 µs per process of the machine, so that attempts ending together share one reading. */
const runs = (): Promise<Map<string, number[]>> =>
  (nextReading ??= new Promise((resolve) => {
    setImmediate(() => {
      nextReading = undefined;
      resolve(readRuns());
    });
  }));

/**
 * Kills every process that carries this run's marker, wherever it moved to, until none is left; returns how many were
 * left after `withinMs`, which takes a process the kernel can't end.
 */
export async function killRun(run: string, withinMs: number): Promise<number> {
  const until = performance.now() + withinMs;
  for (;;) {
    const pids = (await runs()).get(run) ?? [];
    if (pids.length === 0 || performance.now() > until) return pids.length;
    for (const pid of pids) signal(pid, 'SIGKILL');
    await delay(2);
  }
}
