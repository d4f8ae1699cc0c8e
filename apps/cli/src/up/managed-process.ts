import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, renameSync, statSync } from 'node:fs';
import type { Role, Watchdog } from './watchdog.js';

const BACKOFF_MS = { first: 100, last: 5_000 } as const;
/** A process that ran this long is not in a crash loop. */
const STEADY_MS = 30_000;
const MAX_LOG_BYTES = 50 * 1024 * 1024;

/** One process of the platform, as data. */
export type ProcessSpec = {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly role: Role;
  readonly logFile: string;
  /** Whether it does its work now: 'message' waits for {type: 'ready'} on its IPC channel, else it is asked until it says so. */
  readonly ready: 'message' | (() => Promise<boolean>);
};

export type ProcessEvents = {
  restarted(name: string, why: string, inMs: number): void;
  message(name: string, message: unknown): void;
};

const rotate = (file: string): void => {
  try {
    if (statSync(file).size > MAX_LOG_BYTES) renameSync(file, `${file}.1`);
  } catch {
    // There is none yet.
  }
};

/** Keeps one process running until it is told to stop. */
export class ManagedProcess {
  private child: ChildProcess | undefined;
  private startedAt = 0;
  private failures = 0;
  private stopping = false;
  private timer: NodeJS.Timeout | undefined;
  private hasBeenReady = false;

  constructor(
    private readonly spec: ProcessSpec,
    private readonly watchdog: Watchdog,
    private readonly events: ProcessEvents,
  ) {}

  /** Resolves once it is ready; rejects when it ends before that, or takes longer than `withinMs`. */
  async start(withinMs: number): Promise<void> {
    const child = this.launch();
    const died = new Promise<never>((_, reject) => {
      child.once('exit', (code, signal) => reject(new Error(`${this.spec.name} ended at its start (${signal ?? `exit code ${code}`})`)));
      child.once('error', (error) => reject(new Error(`${this.spec.name} can't be started: ${error.message}`)));
    });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`${this.spec.name} was not ready within ${withinMs / 1000} s`)), withinMs);
    });
    try {
      await Promise.race([this.isReady(child), died, late]);
      this.hasBeenReady = true;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Asks it to end, and ends it when it has not within `graceMs`. */
  async stop(graceMs: number): Promise<void> {
    this.stopping = true;
    clearTimeout(this.timer);
    const { child } = this;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
    await exited;
    clearTimeout(timer);
  }

  kill(): void {
    this.stopping = true;
    this.child?.kill('SIGKILL');
  }

  /** Ends it so that it is started anew. */
  restart(): void {
    this.child?.kill('SIGTERM');
  }

  lastLines(count: number): string {
    try {
      return readFileSync(this.spec.logFile, 'utf8').trimEnd().split('\n').slice(-count).join('\n');
    } catch {
      return '';
    }
  }

  private launch(): ChildProcess {
    const { command, args, env, role, logFile, ready } = this.spec;
    rotate(logFile);
    const log = openSync(logFile, 'a', 0o600);
    const output = ready === 'message' ? (['ignore', log, log, 'ipc'] as const) : (['ignore', log, log] as const);
    // A group of its own: Ctrl-C in a terminal reaches the supervisor alone, which stops the others in order.
    const child = spawn(command, [...args], { env: { ...env } as NodeJS.ProcessEnv, detached: true, stdio: [...output] });
    closeSync(log);
    this.child = child;
    this.startedAt = Date.now();
    if (child.pid !== undefined) this.watchdog.watch(child.pid, role);
    child.on('message', (message) => this.events.message(this.spec.name, message));
    child.once('exit', (code, signal) => this.ended(child, signal ?? `exit code ${code}`));
    child.on('error', () => undefined);
    return child;
  }

  private ended(child: ChildProcess, why: string): void {
    if (child.pid !== undefined) this.watchdog.release(child.pid);
    if (this.stopping || !this.hasBeenReady) return;
    this.failures = Date.now() - this.startedAt > STEADY_MS ? 0 : this.failures + 1;
    const inMs = Math.min(BACKOFF_MS.first * 2 ** Math.max(0, this.failures - 1), BACKOFF_MS.last);
    this.events.restarted(this.spec.name, why, inMs);
    this.timer = setTimeout(() => this.launch(), inMs);
  }

  private async isReady(child: ChildProcess): Promise<void> {
    const { ready } = this.spec;
    if (ready === 'message') {
      await new Promise<void>((resolve) => {
        child.on('message', (message: { readonly type?: string }) => {
          if (message.type === 'ready') resolve();
        });
      });
      return;
    }
    while (!this.stopping && !(await ready())) await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
