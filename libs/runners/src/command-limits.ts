import { readFileSync } from 'node:fs';

/** What one attempt of a command may use; a limit that is absent does not exist. Bytes, seconds and milliseconds as named. */
export type CommandLimits = {
  /** Of each process. Past it SIGXCPU, one second later SIGKILL. */
  readonly cpuSeconds?: number;
  /** Private writable memory of each process (RLIMIT_DATA): what passes it is refused to the program. */
  readonly memoryBytes?: number;
  /** Of each process. */
  readonly openFiles?: number;
  /** Processes and threads of the attempt together. Kept in a sandbox only, and not for root. */
  readonly processes?: number;
  /** Of each file written; past it SIGXFSZ. */
  readonly fileSizeBytes?: number;
  /** Kept of both streams together. */
  readonly outputBytes?: number;
  /** From start to end; past it TERM, and KILL after the grace time. */
  readonly timeMs?: number;
  /** Of /tmp and of /dev/shm, each; in a sandbox only, where they are memory. */
  readonly tmpBytes?: number;
};

export type LimitName = keyof CommandLimits;

/** Every limit with the least and the most it may be set to. */
export const limitBounds: Readonly<Record<LimitName, readonly [min: number, max: number]>> = {
  cpuSeconds: [1, 10_000_000],
  memoryBytes: [2 ** 20, 2 ** 50],
  openFiles: [16, 2 ** 20],
  processes: [4, 2 ** 20],
  fileSizeBytes: [512, 2 ** 50],
  outputBytes: [0, 2 ** 31 - 1],
  timeMs: [1, 2 ** 31 - 1],
  tmpBytes: [4096, 2 ** 50],
};

/** Those a plan may name for itself; its output and time have fields of their own. */
export const plannedLimits = ['cpuSeconds', 'memoryBytes', 'openFiles', 'processes', 'fileSizeBytes'] as const;

/** The lower of each. */
export function tightest(...all: readonly CommandLimits[]): CommandLimits {
  const lowest: { -readonly [name in LimitName]?: number } = {};
  for (const limits of all) {
    for (const [name, value] of Object.entries(limits) as [LimitName, number][]) {
      lowest[name] = Math.min(value, lowest[name] ?? Infinity);
    }
  }
  return lowest;
}

/** POSIX counts files in blocks of this many bytes. */
const BLOCK = 512;

/**
 * Commands of a POSIX shell that set the limits on itself, for whatever it becomes. Each ends the shell with 126 should
 * it fail: nothing runs without its limits.
 */
export function ulimits({ cpuSeconds, memoryBytes, openFiles, processes, fileSizeBytes }: CommandLimits): readonly string[] {
  return [
    // A soft limit below the hard one: reaching both at once is a SIGKILL that says nothing.
    cpuSeconds !== undefined && `ulimit -t ${cpuSeconds + 1} && ulimit -S -t ${cpuSeconds}`,
    memoryBytes !== undefined && `ulimit -d ${Math.ceil(memoryBytes / 1024)}`,
    openFiles !== undefined && `ulimit -n ${openFiles}`,
    // The only one whose letter is not agreed on: -u in bash, -p in dash and busybox.
    processes !== undefined && `{ ulimit -u ${processes} 2>/dev/null || ulimit -p ${processes}; }`,
    fileSizeBytes !== undefined && `ulimit -f ${Math.ceil(fileSizeBytes / BLOCK)}`,
  ].flatMap((command) => (command === false ? [] : [`${command} || exit 126`]));
}

const OWN: readonly (readonly [LimitName, title: string])[] = [
  ['cpuSeconds', 'Max cpu time'],
  ['memoryBytes', 'Max data size'],
  ['openFiles', 'Max open files'],
  ['processes', 'Max processes'],
  ['fileSizeBytes', 'Max file size'],
];

/** What this process could not raise for what it starts; nothing where there is no /proc. */
export function ownLimits(): CommandLimits {
  let text: string;
  try {
    text = readFileSync('/proc/self/limits', 'latin1');
  } catch {
    return {};
  }
  return Object.fromEntries(
    OWN.flatMap(([name, title]) => {
      const [, hard] = new RegExp(`^${title} +\\S+ +(\\d+)`, 'm').exec(text) ?? [];
      return hard === undefined ? [] : [[name, Number(hard)] as const];
    }),
  );
}
