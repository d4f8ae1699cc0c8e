import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { reaperProgram } from './reaper-program.js';

const RESTART_MS = 1_000;
/** Its own work needs next to nothing; V8 by itself would take several times as much. */
const SMALL = ['--jitless', '--no-expose-wasm', '--max-semi-space-size=1', '--max-old-space-size=32'];

/**
 * Sees to it that no command outlives its executor, even one killed with SIGKILL: a small process in a session of its
 * own that is told which groups run, and kills them when its input ends. It ends with the executor by itself and
 * does not keep it from ending. One that dies is replaced.
 */
export class Reaper {
  readonly #incarnation: string;
  readonly #groups = new Set<number>();
  #process: ChildProcess | undefined;

  constructor(incarnation: string) {
    this.#incarnation = incarnation;
  }

  /** Starts the process unless it runs, and before a command does; false when the system has none to give now. */
  start(): boolean {
    if (this.#process) return true;
    const child = spawn(
      process.execPath,
      [...SMALL, '--input-type=module', '-e', reaperProgram, '--', this.#incarnation],
      { detached: true, cwd: '/', env: {}, stdio: ['pipe', 'ignore', 'ignore'] },
    );
    child.on('error', () => {});
    if (child.pid === undefined) return false;
    this.#process = child;
    child.once('exit', () => this.#replace());
    child.unref();
    const input = child.stdin as Socket;
    input.unref();
    input.on('error', () => {});
    for (const group of this.#groups) this.#tell(`+${group}`);
    return true;
  }

  /** The process id, while there is one. */
  get pid(): number | undefined {
    return this.#process?.pid;
  }

  watch(group: number): void {
    this.#groups.add(group);
    this.#tell(`+${group}`);
  }

  release(group: number): void {
    this.#groups.delete(group);
    this.#tell(`-${group}`);
  }

  #tell(line: string): void {
    this.#process?.stdin?.write(`${line}\n`);
  }

  #replace(): void {
    this.#process = undefined;
    if (this.#groups.size > 0) setTimeout(() => void this.start(), RESTART_MS).unref();
  }
}
