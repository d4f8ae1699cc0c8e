import { randomUUID } from 'node:crypto';
import { type ExecutionRef, logSubject, parseLogSubject, shardOf } from '#libs/contracts';
import { hashOf, parseCommit } from './chain.js';
import {
  type Append,
  type AppendResult,
  type FollowHandler,
  type Follower,
  type HistoryRange,
  type LogPurge,
  type LogStore,
  MAX_COMMIT_BYTES,
  type Position,
  type StoredCommit,
  commitTooLarge,
} from './store.js';

type Message = { readonly subject: string; readonly body: Uint8Array; readonly storedAt: string };

/** Called before or after an append is stored; what they throw is what the caller gets. */
export type Faults = {
  readonly before?: (append: Append) => void;
  readonly after?: (append: Append) => void;
};

const BATCH_MAX = 500;

/** The event log in memory, for tests: the same promises as the durable one but for durability. */
export class MemoryLog implements LogStore, LogPurge {
  /** By sequence, from 1; undefined where it was purged. */
  private messages: (Message | undefined)[] = [];
  private readonly lasts = new Map<string, number>();
  private readonly followers = new Set<MemoryFollower>();
  private incarnation: string = randomUUID();
  faults: Faults = {};

  /** `now`: the broker's clock, milliseconds since the epoch. */
  constructor(private readonly now: () => number = Date.now) {}

  append(append: Append): Promise<AppendResult> {
    return Promise.resolve().then(() => {
      const subject = logSubject(append.ref);
      if (append.body.length > MAX_COMMIT_BYTES) throw commitTooLarge(append.body.length);
      this.faults.before?.(append);
      if ((this.lasts.get(subject) ?? 0) !== append.expected) return { stored: false };
      const sequence = this.write(subject, append.body);
      this.faults.after?.(append);
      return { stored: true, sequence };
    });
  }

  /** Stores any bytes on any subject, as a foreign publisher could. Returns the sequence. */
  write(subject: string, body: Uint8Array): number {
    const sequence = this.messages.push({ subject, body, storedAt: new Date(this.now()).toISOString() });
    this.lasts.set(subject, sequence);
    for (const follower of this.followers) follower.wake();
    return sequence;
  }

  /** The log as it was when it ended at a sequence, as after a restored backup. Followers find out when they go on. */
  restore(sequence: number): void {
    this.messages = this.messages.slice(0, sequence);
    this.lasts.clear();
    this.messages.forEach((message, i) => message && this.lasts.set(message.subject, i + 1));
  }

  purge(ref: ExecutionRef, before: number): Promise<void> {
    const subject = logSubject(ref);
    this.messages = this.messages.map((message, i) => (i + 1 < before && message?.subject === subject ? undefined : message));
    return Promise.resolve();
  }

  history(ref: ExecutionRef, range: HistoryRange = {}): Promise<readonly StoredCommit[]> {
    return Promise.resolve().then(() => {
      const subject = logSubject(ref);
      const { after = 0, upTo = this.messages.length, limit = Infinity } = range;
      const history: StoredCommit[] = [];
      for (let sequence = after + 1; sequence <= Math.min(upTo, this.messages.length) && history.length < limit; sequence++) {
        const stored = this.messages[sequence - 1]?.subject === subject ? this.stored(sequence) : undefined;
        if (stored && !('unreadable' in stored)) history.push(stored);
      }
      return history;
    });
  }

  follow(from: Position | undefined, handler: FollowHandler, shards?: readonly number[]): Promise<Follower> {
    const follower = new MemoryFollower(this, from, handler, shards && new Set(shards), () => this.followers.delete(follower));
    this.followers.add(follower);
    follower.wake();
    return Promise.resolve(follower);
  }

  head(): Promise<Position> {
    return Promise.resolve(this.position(this.messages.length));
  }

  at(sequence: number): Promise<StoredCommit | undefined> {
    const stored = this.stored(sequence);
    return Promise.resolve(stored && !('unreadable' in stored) ? stored : undefined);
  }

  position(sequence: number): Position {
    const body = this.messages[sequence - 1]?.body;
    return { incarnation: this.incarnation, sequence, hash: body ? hashOf(body) : '' };
  }

  get lastSequence(): number {
    return this.messages.length;
  }

  subjectAt(sequence: number): string {
    return this.messages[sequence - 1]?.subject ?? '';
  }

  stored(sequence: number): StoredCommit | { readonly unreadable: string } | undefined {
    const message = this.messages[sequence - 1];
    if (!message) return undefined;
    const ref = parseLogSubject(message.subject);
    if (!ref) return { unreadable: 'its subject is none of an execution' };
    const commit = parseCommit(message.body);
    if ('unreadable' in commit) return commit;
    const { body, storedAt } = message;
    return { ref, sequence, storedAt, hash: hashOf(body), bytes: body.length, commit };
  }
}

class MemoryFollower implements Follower {
  delivered: number;
  private last: Position | undefined;
  private readonly target: number;
  private running: Promise<void> | undefined;
  private again = false;
  private stopped = false;
  private toldCaughtUp = false;

  constructor(
    private readonly log: MemoryLog,
    from: Position | undefined,
    private readonly handler: FollowHandler,
    private readonly shards: ReadonlySet<number> | undefined,
    private readonly forget: () => void,
  ) {
    this.last = from;
    this.delivered = from?.sequence ?? 0;
    this.target = log.lastSequence;
  }

  wake(): void {
    this.again = true;
    this.running ??= Promise.resolve().then(() => this.run());
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.forget();
    await this.running;
  }

  private async run(): Promise<void> {
    while (this.again && !this.stopped && this.isSameLog()) {
      this.again = false;
      await this.deliver();
    }
    this.running = undefined;
  }

  private isSameLog(): boolean {
    if (!this.last) return true;
    const { incarnation, sequence, hash } = this.last;
    const now = this.log.position(sequence);
    let why: string | undefined;
    if (now.incarnation !== incarnation) why = `it is log ${now.incarnation}, not ${incarnation}`;
    else if (this.log.lastSequence < sequence) why = `it ends at ${this.log.lastSequence}, before ${sequence} that was read from it`;
    // A hash of nothing: it was purged.
    else if (hash !== '' && now.hash !== '' && now.hash !== hash) why = `another commit stands at ${sequence}`;
    if (why === undefined) return true;
    this.stopped = true;
    this.forget();
    this.handler.lost(why);
    return false;
  }

  private async deliver(): Promise<void> {
    for (;;) {
      const batch: StoredCommit[] = [];
      let sequence = this.delivered;
      while (sequence < this.log.lastSequence && batch.length < BATCH_MAX) {
        sequence += 1;
        const stored = this.log.stored(sequence);
        if (!stored) continue;
        if ('unreadable' in stored) this.handler.unreadable?.(sequence, this.log.subjectAt(sequence), stored.unreadable);
        else if (this.shards?.has(shardOf(stored.ref.execution)) ?? true) batch.push(stored);
      }
      if (batch.length > 0) await this.handler.commits(batch);
      this.delivered = sequence;
      this.last = this.log.position(sequence);
      this.handler.reached?.(sequence);
      if (!this.toldCaughtUp && sequence >= this.target) {
        this.toldCaughtUp = true;
        this.handler.caughtUp?.();
      }
      if (this.stopped || sequence >= this.log.lastSequence) return;
    }
  }
}
