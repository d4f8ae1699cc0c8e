import { spawn, type ChildProcess } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { natsInfo } from './nats-process.js';
import { refOf, type ProcessRef } from './process-ref.js';
import type { ProcessLog } from './process-log.js';
import type { ProcessSpec, ReadyDetails } from './process-spec.js';
import { UpError } from './up-error.js';

const BACKOFF_FIRST_MS = 100;
const BACKOFF_MOST_MS = 5_000;
/** Whoever ran this long has come up well; the next death starts over with the shortest wait. */
const SETTLED_MS = 30_000;
/** One that has never been ready and ends this often will not be helped by another try. */
const DEATHS_BEFORE_READY = 5;
const NATS_POLL_MS = 20;
const TAIL_LINES = 20;
/** How long the last output of an ended process is waited for; something it left running may hold its pipes open. */
const LAST_OUTPUT_MS = 500;

export type Surroundings = {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: ProcessLog;
  readonly say: (line: string) => void;
  /** Called with every new process, and with undefined when it has ended. */
  readonly onChange: (ref: ProcessRef | undefined) => void;
  /** Messages over IPC other than the one that says ready. */
  readonly onMessage: (message: { readonly type: unknown }) => void;
};

/** Keeps one process running from start() to stop(). It lives in a session of its own: Ctrl-C does not reach it. */
export class SupervisedProcess {
  /** Settles once: with the details of the first readiness, or with UpError NOT_READY. */
  readonly ready: Promise<ReadyDetails>;
  private child: ChildProcess | undefined;
  private readonly gotReady: (details: ReadyDetails) => void;
  private readonly gaveUp: (error: UpError) => void;
  private readyOnce = false;
  private startedAt = 0;
  private deathsInARow = 0;
  private nextStart: NodeJS.Timeout | undefined;
  private stopping = false;
  private wanted: string | undefined;

  constructor(
    readonly spec: ProcessSpec,
    private readonly surroundings: Surroundings,
  ) {
    let settle: [(details: ReadyDetails) => void, (error: UpError) => void] | undefined;
    this.ready = new Promise((resolve, reject) => (settle = [resolve, reject]));
    this.ready.catch(() => undefined);
    [this.gotReady, this.gaveUp] = settle as NonNullable<typeof settle>;
  }

  start(): void {
    if (this.stopping) return;
    const { spec, surroundings } = this;
    const ipc = spec.readiness === 'ipc';
    const child = spawn(spec.command, spec.args, {
      env: { ...surroundings.env, ...spec.env },
      stdio: ['ignore', 'pipe', 'pipe', ...(ipc ? ['ipc' as const] : [])],
      detached: true,
    });
    this.child = child;
    this.startedAt = Date.now();
    for (const stream of ['stdout', 'stderr'] as const) {
      child[stream]?.setEncoding('utf8').on('data', (text: string) => surroundings.log.write(text, stream));
    }
    child.once('error', (error) => {
      if (child.pid === undefined) this.ended(child, error.message);
      else surroundings.say(`${spec.name}: ${error.message}`);
    });
    child.once('exit', (code, signal) => this.ended(child, signal ?? `exit code ${code}`));
    child.on('message', (message) => this.received(message));
    if (child.pid !== undefined) surroundings.onChange(refOf(child.pid));
    if (spec.readiness !== 'ipc') void this.awaitNats(child, spec.readiness.natsPort);
  }

  /** Ends the running process in order; another one is started after the usual wait. Nothing while none runs. */
  restart(why: string): void {
    if (this.child === undefined || this.stopping || this.wanted !== undefined) return;
    this.wanted = why;
    this.terminate(this.child);
  }

  /** TERM, then KILL after the spec's stopMs. Resolves when it is gone. */
  async stop(): Promise<void> {
    this.noMore();
    const child = this.child;
    if (child === undefined) return;
    const exited = new Promise((resolve) => child.once('exit', resolve));
    const closed = new Promise((resolve) => child.once('close', resolve));
    this.terminate(child);
    await exited;
    await Promise.race([closed, delay(LAST_OUTPUT_MS, undefined, { ref: false })]);
    child.stdout?.destroy();
    child.stderr?.destroy();
  }

  kill(): void {
    this.noMore();
    this.child?.kill('SIGKILL');
  }

  notReady(why: string): UpError {
    const { name } = this.spec;
    const { log } = this.surroundings;
    const tail = log.tail(TAIL_LINES).replace(/^/gm, '    ');
    return new UpError('NOT_READY', `${name} ${why}. The end of ${log.file}:\n${tail}`);
  }

  private noMore(): void {
    this.stopping = true;
    clearTimeout(this.nextStart);
    this.gaveUp(new UpError('NOT_READY', `${this.spec.name} was stopped before it was ready`));
  }

  private terminate(child: ChildProcess): void {
    const { name, stopMs } = this.spec;
    const patience = setTimeout(() => {
      this.surroundings.say(`${name} has not stopped within ${seconds(stopMs)}: killing it`);
      child.kill('SIGKILL');
    }, stopMs);
    child.once('exit', () => clearTimeout(patience));
    child.kill('SIGTERM');
  }

  private ended(child: ChildProcess, how: string): void {
    if (this.child !== child) return;
    this.child = undefined;
    this.surroundings.onChange(undefined);
    if (this.stopping) return;

    const ran = Date.now() - this.startedAt;
    this.deathsInARow = ran >= SETTLED_MS ? 1 : this.deathsInARow + 1;
    if (!this.readyOnce && this.deathsInARow >= DEATHS_BEFORE_READY) {
      this.gaveUp(this.notReady(`ended ${DEATHS_BEFORE_READY} times before it was ready, the last time with ${how}`));
      return;
    }
    const wait = Math.min(BACKOFF_FIRST_MS * 2 ** (this.deathsInARow - 1), BACKOFF_MOST_MS);
    const why = this.wanted ?? `ended (${how}) after ${seconds(ran)}`;
    this.wanted = undefined;
    this.surroundings.say(`${this.spec.name} ${why}; starting it again in ${seconds(wait)}`);
    this.nextStart = setTimeout(() => this.start(), wait);
  }

  private received(message: unknown): void {
    if (typeof message !== 'object' || message === null || !('type' in message)) return;
    if (message.type === 'ready') this.becameReady({ ...message });
    else if (message.type === 'hopeless' && !this.readyOnce) this.hopeless(message);
    else this.surroundings.onMessage(message);
  }

  /** It has said itself that another try won't help. */
  private hopeless(message: object): void {
    this.stopping = true;
    const why = 'message' in message ? String(message.message) : 'it did not say why';
    this.gaveUp(new UpError('MISCONFIGURED', `${this.spec.name}: ${why}`));
  }

  private async awaitNats(child: ChildProcess, port: number): Promise<void> {
    while (this.child === child && !this.readyOnce) {
      const info = await natsInfo('127.0.0.1', port).catch(() => undefined);
      if (info?.includes('"jetstream":true')) return this.becameReady({});
      await delay(NATS_POLL_MS);
    }
  }

  private becameReady(details: ReadyDetails): void {
    this.readyOnce = true;
    this.gotReady(details);
  }
}

function seconds(ms: number): string {
  return ms < 1_000 ? `${ms} ms` : `${(ms / 1_000).toFixed(1)} s`;
}
