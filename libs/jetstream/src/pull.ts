import { type Msg, type Subscription, nuid } from '@nats-io/transport-node';
import type { Nats } from './connection.js';
import { jetStreamApi } from './read.js';

/** A message as a consumer delivers it. */
export type Delivered = {
  readonly subject: string;
  readonly sequence: number;
  /** RFC 3339 with milliseconds. */
  readonly storedAt: string;
  readonly data: Uint8Array;
  /** Matching messages stored behind this one when it was sent. */
  readonly pending: number;
};

const PREFETCH = 2_000;
const PREFETCH_BYTES = 8 * 1024 * 1024;
const HEARTBEAT_MS = 1_000;
const SILENCE_MS = 4_000;
const PULL_EXPIRES_MS = 30_000;
const INACTIVE_MS = 30_000;
const nanoseconds = (ms: number): number => ms * 1_000_000;

type Created = {
  readonly name?: string;
  readonly num_pending?: number;
  readonly error?: { readonly description?: string };
};

/** `$JS.ACK.…<stream sequence>.<consumer sequence>.<time>.<pending>`, with two tokens more before the stream from some servers. */
const metadata = (reply: string): { sequence: number; delivery: number; storedAt: string; pending: number } => {
  const tokens = reply.split('.');
  const at = tokens.length >= 11 ? 7 : 5;
  return {
    sequence: Number(tokens[at]),
    delivery: Number(tokens[at + 1]),
    storedAt: new Date(Number(tokens[at + 2]?.slice(0, -6))).toISOString(),
    pending: Number(tokens[at + 3]),
  };
};

/**
 * An ordered read of a stream from a sequence on, by pull: no more is fetched than is taken. It ends with an error at the first
 * sign that something may be missing: a gap, silence, a lost connection, a deleted consumer. Then it has to be made anew, by a
 * caller who first makes sure that it is still the same stream; nats.js's own ordered consumer would go on by itself.
 */
export class OrderedPull {
  private readonly inbox: string;
  private readonly subscription: Subscription;
  private readonly forget: () => void;
  private readonly watchdog: NodeJS.Timeout;
  private buffer: Delivered[] = [];
  private bufferedBytes = 0;
  private requested = 0;
  private delivery = 0;
  private failure: Error | undefined;
  private wake: () => void = () => undefined;
  /** Matching messages that were stored when the consumer was made. */
  pendingAtStart = 0;

  private constructor(
    private readonly nats: Nats,
    private readonly stream: string,
    private readonly consumer: string,
  ) {
    this.inbox = nats.inbox();
    this.forget = nats.onDisconnect(() => this.fail('the connection was lost'));
    this.watchdog = setTimeout(() => this.fail(`nothing was heard for ${SILENCE_MS} ms`), SILENCE_MS);
    this.subscription = nats.connection.subscribe(this.inbox, {
      callback: (error, message) => {
        if (error) this.fail(error.message);
        else this.receive(message);
      },
    });
  }

  /** Throws LogError LOG_UNAVAILABLE, or an Error with the server's reason. */
  static async open(nats: Nats, stream: string, subjects: readonly string[], from: number): Promise<OrderedPull> {
    const name = `follow-${nuid.next()}`;
    const pull = new OrderedPull(nats, stream, name);
    try {
      const created = await jetStreamApi<Created>(nats, stream, `CONSUMER.CREATE.${stream}.${name}`, {
        stream_name: stream,
        action: 'create',
        config: {
          name,
          deliver_policy: 'by_start_sequence',
          opt_start_seq: from,
          ack_policy: 'none',
          replay_policy: 'instant',
          filter_subjects: subjects,
          mem_storage: true,
          num_replicas: 1,
          inactive_threshold: nanoseconds(INACTIVE_MS),
        },
      });
      if (created.error || created.num_pending === undefined) {
        throw new Error(`no consumer on ${stream}: ${created.error?.description ?? 'no reason given'}`);
      }
      pull.pendingAtStart = created.num_pending;
      pull.request();
      return pull;
    } catch (error) {
      pull.close();
      throw error;
    }
  }

  /** What has arrived, at most `max`; waits for the first. Empty when the broker says that nothing is there. Throws when the order ends. */
  async next(max: number): Promise<readonly Delivered[]> {
    if (this.buffer.length === 0 && this.failure === undefined) await new Promise<void>((resolve) => (this.wake = resolve));
    if (this.failure) throw this.failure;
    const taken = this.buffer.splice(0, max);
    for (const { data } of taken) this.bufferedBytes -= data.length;
    this.request();
    return taken;
  }

  close(): void {
    if (this.failure === undefined && this.nats.connected) {
      this.nats.connection.publish(`$JS.API.CONSUMER.DELETE.${this.stream}.${this.consumer}`);
    }
    this.fail('closed');
    if (!this.subscription.isClosed()) this.subscription.unsubscribe();
  }

  private fail(why: string): void {
    this.failure ??= new Error(`reading of ${this.stream} ended: ${why}`);
    clearTimeout(this.watchdog);
    this.forget();
    this.wake();
  }

  private receive(message: Msg): void {
    if (this.failure) return;
    this.watchdog.refresh();
    if (message.subject === this.inbox) this.status(message);
    else this.take(message);
  }

  private take(message: Msg): void {
    const { delivery, ...rest } = metadata(message.reply ?? '');
    this.requested -= 1;
    this.delivery += 1;
    if (delivery !== this.delivery) return this.fail(`message ${this.delivery} was to come, ${delivery} came`);
    this.buffer.push({ subject: message.subject, data: message.data, ...rest });
    this.bufferedBytes += message.data.length;
    this.wake();
  }

  private status(message: Msg): void {
    const code = message.headers?.code ?? 0;
    if (code === 100) {
      // A heartbeat: the broker has nothing more to send just now.
      if (this.buffer.length === 0) this.wake();
      return;
    }
    const left = Number(message.headers?.get('Nats-Pending-Messages') || Number.NaN);
    if (Number.isNaN(left)) return this.fail(`${code} ${message.headers?.description ?? ''}`);
    this.requested -= left;
    this.request();
  }

  private request(): void {
    if (this.failure || this.requested + this.buffer.length > PREFETCH / 2 || this.bufferedBytes > PREFETCH_BYTES / 2) return;
    const batch = PREFETCH - this.requested - this.buffer.length;
    this.requested += batch;
    const pull = {
      batch,
      max_bytes: PREFETCH_BYTES,
      expires: nanoseconds(PULL_EXPIRES_MS),
      idle_heartbeat: nanoseconds(HEARTBEAT_MS),
    };
    this.nats.connection.publish(`$JS.API.CONSUMER.MSG.NEXT.${this.stream}.${this.consumer}`, JSON.stringify(pull), {
      reply: this.inbox,
    });
  }
}
