import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import type { ProcessSpec } from '../../apps/cli/src/up/process-spec.js';

const RESTART_MS = 300;

export type VictimKind = 'nats-server' | 'gateway' | 'executor' | 'projector';

type Around = {
  /** Of all of them, by which what is left of them is found. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly logFile: string;
  /** It has ended, and nobody asked it to; `startingSince` when it had not got ready yet. */
  readonly endedByItself: (how: string, startingSince: number | undefined) => void;
  readonly saidReady: (details: Readonly<Record<string, unknown>>) => void;
};

/** A process that things are done to. */
export class Victim {
  state: 'up' | 'paused' | 'down' = 'down';
  private child: ChildProcess | undefined;
  private next: NodeJS.Timeout | undefined;

  constructor(
    readonly kind: VictimKind,
    readonly spec: ProcessSpec,
    private readonly around: Around,
  ) {}

  get name(): string {
    return this.spec.name;
  }

  get pid(): number | undefined {
    return this.child?.pid;
  }

  start(): void {
    if (this.child) return;
    const log = openSync(this.around.logFile, 'a');
    const child = spawn(this.spec.command, this.spec.args, {
      env: { ...this.around.env, ...this.spec.env },
      stdio: ['ignore', log, log, ...(this.spec.readiness === 'ipc' ? ['ipc' as const] : [])],
      detached: true,
    });
    closeSync(log);
    this.child = child;
    this.state = 'up';
    let startingSince: number | undefined = Date.now();
    child.on('message', (message) => {
      if (typeof message !== 'object' || message === null || !('type' in message) || message.type !== 'ready') return;
      startingSince = undefined;
      this.around.saidReady({ ...message });
    });
    child.once('exit', (code, signal) => {
      if (this.child !== child) return;
      this.child = undefined;
      this.state = 'down';
      this.around.endedByItself(signal ?? `exit code ${code}`, startingSince);
      this.next = setTimeout(() => this.start(), RESTART_MS);
    });
  }

  /** Resolves once it is gone; with TERM, killed where it takes longer than its spec allows. */
  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    clearTimeout(this.next);
    const child = this.child;
    if (!child) return;
    this.child = undefined;
    this.state = 'down';
    const gone = new Promise((resolve) => child.once('exit', resolve));
    const patience = setTimeout(() => child.kill('SIGKILL'), this.spec.stopMs);
    child.kill(signal);
    // One that is paused hears of nothing else.
    if (signal === 'SIGTERM') child.kill('SIGCONT');
    await gone;
    clearTimeout(patience);
  }

  pause(): void {
    if (this.state !== 'up') return;
    this.state = 'paused';
    this.child?.kill('SIGSTOP');
  }

  resume(): void {
    if (this.state !== 'paused') return;
    this.state = 'up';
    this.child?.kill('SIGCONT');
  }
}
