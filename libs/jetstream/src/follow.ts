import type { ConsumerMessages, JetStreamClient, JsMsg } from '@nats-io/jetstream';
import { type FollowHandler, type Follower, type Position, type StoredCommit, hashOf } from '#libs/ledger';
import type { Nats } from './connection.js';
import { fromConsumer, toStored } from './stored.js';

const BATCH_MAX = 500;
const PREFETCH = 2_000;
const RESTART_MS = 250;

export type LogInfo = {
  readonly incarnation: string;
  readonly lastSequence: number;
  readonly bytes: number;
  readonly maxBytes: number;
};

/** What tells whether a log is still the one that was read. */
type Identity = {
  info(): Promise<LogInfo>;
  message(sequence: number): Promise<{ readonly data: Uint8Array } | undefined>;
};

/** Delivers the log in order. It goes on by itself after the broker was away, having checked that it is still the same log. */
export class LogFollower implements Follower {
  delivered: number;
  private hash: string;
  private incarnation: string;
  private stopped = false;
  private toldCaughtUp = false;
  private messages: ConsumerMessages | undefined;
  private running: Promise<void> = Promise.resolve();

  constructor(
    private readonly nats: Nats,
    private readonly client: JetStreamClient,
    private readonly log: Identity,
    private readonly subjects: string[],
    from: Position | undefined,
    private readonly handler: FollowHandler,
  ) {
    this.delivered = from?.sequence ?? 0;
    this.hash = from?.hash ?? '';
    this.incarnation = from?.incarnation ?? '';
  }

  /** Throws when the log can't be read now; later faults are retried. */
  async start(): Promise<void> {
    if (!(await this.isSameLog())) return;
    const messages = await this.open();
    this.nats.onDisconnect(this.interrupt);
    this.running = this.run(messages);
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.interrupt();
    await this.running;
  }

  private readonly interrupt = (): void => {
    this.messages?.stop();
  };

  /** False when following has ended: the log is another one than the position's. */
  private async isSameLog(): Promise<boolean> {
    const { incarnation, lastSequence } = await this.log.info();
    this.incarnation ||= incarnation;
    const lost = async (): Promise<string | undefined> => {
      if (incarnation !== this.incarnation) return `it is log ${incarnation}, not ${this.incarnation}`;
      if (lastSequence < this.delivered) return `it ends at ${lastSequence}, before ${this.delivered}`;
      if (this.hash === '' || this.delivered === 0) return undefined;
      const there = await this.log.message(this.delivered);
      return there && hashOf(there.data) !== this.hash ? `another commit stands at ${this.delivered}` : undefined;
    };
    const why = await lost();
    if (why === undefined) return true;
    this.stopped = true;
    this.handler.lost(why);
    return false;
  }

  private async open(): Promise<ConsumerMessages> {
    const consumer = await this.client.consumers.get('LOG', {
      filter_subjects: [...this.subjects],
      opt_start_seq: this.delivered + 1,
      deliver_policy: 'by_start_sequence',
      inactive_threshold: 60_000,
    });
    if ((await consumer.info(true)).num_pending === 0) this.tellCaughtUp();
    this.messages = await consumer.consume({ max_messages: PREFETCH });
    return this.messages;
  }

  private tellCaughtUp(): void {
    if (this.toldCaughtUp) return;
    this.toldCaughtUp = true;
    this.handler.caughtUp?.();
  }

  private async run(first: ConsumerMessages): Promise<void> {
    for (let messages: ConsumerMessages | undefined = first; !this.stopped; ) {
      try {
        if (messages) await this.deliver(messages);
      } catch {
        // The consumer is gone, with the broker or by itself: made anew below.
      }
      messages = undefined;
      if (this.stopped) return;
      await new Promise((resolve) => setTimeout(resolve, RESTART_MS));
      try {
        if (this.nats.connected && (await this.isSameLog())) messages = await this.open();
      } catch {
        // The broker is not back yet.
      }
    }
  }

  /** Hands over in batches of what has arrived together; no more is asked for than the handler keeps up with. */
  private async deliver(messages: ConsumerMessages): Promise<void> {
    let batch: JsMsg[] = [];
    let scheduled = false;
    let handing: Promise<void> = Promise.resolve();
    const flush = (): Promise<void> => {
      const full = batch;
      batch = [];
      handing = handing.then(() => this.hand(full));
      return handing;
    };
    for await (const message of messages) {
      if (this.stopped) break;
      batch.push(message);
      if (batch.length >= BATCH_MAX) await flush();
      if (scheduled || batch.length === 0) continue;
      scheduled = true;
      // Runs once the messages that are here already have been taken.
      setImmediate(() => {
        scheduled = false;
        flush().catch(() => messages.stop());
      });
    }
    await handing;
  }

  private async hand(batch: readonly JsMsg[]): Promise<void> {
    if (this.stopped || batch.length === 0) return;
    const commits: StoredCommit[] = [];
    let { delivered, hash } = this;
    for (const message of batch) {
      const raw = fromConsumer(message);
      // The server may repeat what a consumer made anew has delivered before.
      if (raw.sequence <= delivered) continue;
      const stored = toStored(raw);
      if ('unreadable' in stored) this.handler.unreadable?.(raw.sequence, raw.subject, stored.unreadable);
      else commits.push(stored);
      delivered = raw.sequence;
      hash = 'unreadable' in stored ? hashOf(raw.data) : stored.hash;
    }
    if (commits.length > 0) await this.handler.commits(commits);
    // Only now: what a handler failed on is delivered again.
    this.delivered = delivered;
    this.hash = hash;
    const last = batch[batch.length - 1];
    if (last && !this.toldCaughtUp && last.info.pending === 0) this.tellCaughtUp();
  }
}
