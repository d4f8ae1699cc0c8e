import { type FollowHandler, type Follower, LogError, type Position, type StoredCommit, hashOf } from '#libs/ledger';
import type { Nats } from './connection.js';
import { OrderedPull } from './pull.js';
import { toStored } from './stored.js';
import type { Read, Reading } from './tail.js';

const BATCH_MAX = 500;
const RETRY_MS = 250;

export type LogInfo = {
  readonly incarnation: string;
  readonly lastSequence: number;
  readonly bytes: number;
  readonly maxBytes: number;
};

/** What tells whether a log is still the one that was read. */
export type Identity = {
  info(): Promise<LogInfo>;
  message(sequence: number): Promise<{ readonly data: Uint8Array } | undefined>;
};

type Options = {
  readonly nats: Nats;
  readonly log: Identity;
  readonly subjects: readonly string[];
  readonly from: Position | undefined;
  readonly handler: FollowHandler;
  /** Once it is at the end: what to read on with in place of its own pull. */
  readonly abreast?: ((own: OrderedPull, after: number) => Reading) | undefined;
  readonly alarm: (message: string) => void;
};

/** Delivers the log in order. It goes on by itself after the broker was away, having checked that it is still the same log. */
export class LogFollower implements Follower {
  /** The last message handed over, by which the log is recognised: `delivered` may be beyond it. */
  private last: { readonly sequence: number; readonly hash: string };
  private lookedAt: number;
  private incarnation: string;
  private stopped = false;
  private toldCaughtUp = false;
  private toCatchUp = { messages: 0, sequence: 0 };
  private pull: Reading | undefined;
  private endPause: () => void = () => undefined;
  private running: Promise<void> = Promise.resolve();

  constructor(private readonly options: Options) {
    const { sequence = 0, hash = '', incarnation = '' } = options.from ?? {};
    this.last = { sequence, hash };
    this.lookedAt = sequence;
    this.incarnation = incarnation;
  }

  get delivered(): number {
    return this.lookedAt;
  }

  /** Throws when the log can't be read now; later faults are retried until stop(). */
  async start(): Promise<void> {
    if (!(await this.open())) return;
    this.running = this.run();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.pull?.close();
    this.endPause();
    await this.running;
  }

  private async run(): Promise<void> {
    while (!this.stopped) {
      try {
        if (this.pull ?? (await this.open())) await this.deliver();
      } catch {
        // The broker is away, or the consumer was lost with it: made anew until stop().
      }
      this.pull?.close();
      this.pull = undefined;
      if (!this.stopped) await this.pause();
    }
    this.pull?.close();
  }

  private pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, RETRY_MS);
      this.endPause = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** False when the log is another one than the position's, and following has ended. */
  private async open(): Promise<boolean> {
    const { nats, log, subjects, handler } = this.options;
    const { lastSequence } = await log.info();
    const pull = await OrderedPull.open(nats, 'LOG', subjects, this.last.sequence + 1);
    // Checked after the consumer was made: whatever happens from here on breaks the pull, and leads back to here.
    const why = await this.difference().catch((error: unknown) => {
      pull.close();
      throw error;
    });
    if (why !== undefined || this.stopped) pull.close();
    if (why !== undefined && !this.stopped) {
      this.stopped = true;
      handler.lost(why);
    }
    if (this.stopped) return false;
    this.pull = pull;
    this.toCatchUp = { messages: pull.pendingAtStart, sequence: lastSequence };
    if (pull.pendingAtStart === 0) this.caughtUp();
    return true;
  }

  /** What shows that this is not the log that was read so far. */
  private async difference(): Promise<string | undefined> {
    const { log } = this.options;
    const { sequence, hash } = this.last;
    const { incarnation, lastSequence } = await log.info();
    this.incarnation ||= incarnation;
    if (incarnation !== this.incarnation) return `it is log ${incarnation}, not ${this.incarnation}`;
    if (lastSequence < this.lookedAt) return `it ends at ${lastSequence}, before ${this.lookedAt} that was read from it`;
    if (sequence === 0 || hash === '') return undefined;
    const there = await log.message(sequence);
    return there && hashOf(there.data) !== hash ? `another commit stands at ${sequence}` : undefined;
  }

  private async deliver(): Promise<void> {
    while (!this.stopped && this.pull) {
      const messages = await this.pull.next(BATCH_MAX);
      if (this.stopped) return;
      await this.hand(messages);
      this.toCatchUp.messages -= messages.length;
      const last = messages[messages.length - 1];
      // An empty batch is the broker's word that nothing is left; what was to come may have been purged.
      if (!last || last.pending === 0 || this.toCatchUp.messages <= 0) this.caughtUp();
      if (this.toldCaughtUp && this.pull instanceof OrderedPull) this.pull = this.options.abreast?.(this.pull, this.last.sequence) ?? this.pull;
    }
  }

  private async hand(messages: readonly Read[]): Promise<void> {
    const { handler, alarm } = this.options;
    const commits: StoredCommit[] = [];
    for (const message of messages) {
      const stored = message.stored ?? toStored(message);
      if ('unreadable' in stored) handler.unreadable?.(message.sequence, message.subject, stored.unreadable);
      else commits.push(stored);
    }
    const last = messages[messages.length - 1];
    if (!last) return;
    try {
      if (commits.length > 0) await handler.commits(commits);
    } catch (error) {
      // A reader that needs the broker fails with it, and goes on with it.
      const passes = error instanceof LogError && error.code === 'LOG_UNAVAILABLE';
      if (!passes) alarm(`a reader of the log failed behind ${this.last.sequence} and gets the same again: ${String(error)}`);
      throw error;
    }
    // Only now: what a handler failed on is delivered again.
    const lastCommit = commits[commits.length - 1];
    const hash = lastCommit?.sequence === last.sequence ? lastCommit.hash : hashOf(last.data);
    this.last = { sequence: last.sequence, hash };
    this.looked(last.sequence);
  }

  private looked(sequence: number): void {
    if (sequence <= this.lookedAt) return;
    this.lookedAt = sequence;
    this.options.handler.reached?.(sequence);
  }

  private caughtUp(): void {
    this.looked(this.toCatchUp.sequence);
    if (this.toldCaughtUp) return;
    this.toldCaughtUp = true;
    this.options.handler.caughtUp?.();
  }
}
