import { type KV, Kvm } from '@nats-io/kv';
import type { Msg, Subscription } from '@nats-io/transport-node';
import { isToken } from '#libs/contracts';
import type { Nats } from './connection.js';
import { MEMBER_TTL_MS } from './streams.js';
import { untilAnswered } from './until-answered.js';

const BEAT_MS = 1_000;
/** Own beats further apart than this, as heard back, mean that others' may have been missed too. */
const DEAF_MS = 2_500;
const SUBJECT = '$KV.members.';

export type MembershipOptions = { readonly incarnation: string; readonly details: Readonly<Record<string, unknown>> };

/**
 * Who is alive. Each member beats every second: a put of its key, which lapses after 3 s. Beats are heard on the key's subject,
 * without a consumer that could lag or get lost. Nobody is taken for dead on a lapsed key alone, as after a broker outage every
 * key has lapsed at once: only absence counts that an observer has seen who heard its own beats all along.
 */
export class Members {
  readonly ttlMs = MEMBER_TTL_MS;
  /** Every member heard of: its details, and since when on this process's clock it has not been heard. */
  private readonly seen = new Map<string, { readonly details: unknown; readonly at: number }>();
  private readonly gone = new Map<string, number>();
  private readonly callbacks = new Set<() => void>();
  private readonly endings: (() => void)[] = [];
  private observingSince = Number.POSITIVE_INFINITY;
  private heardSelfAt = 0;

  private constructor(
    private readonly nats: Nats,
    private readonly bucket: KV,
    private readonly self: MembershipOptions,
  ) {}

  /** Joins; knows all others when it resolves. provision() has made the bucket. */
  static async join(nats: Nats, self: MembershipOptions): Promise<Members> {
    const { incarnation } = self;
    if (!isToken(incarnation)) throw new RangeError(`not an incarnation: ${String(incarnation)}`);
    const kvm = new Kvm(nats.connection);
    const members = new Members(nats, await untilAnswered(nats, 'members', () => kvm.open('members', { allow_direct: false })), self);
    await members.start();
    return members;
  }

  /** Who is alive now, for one who is no member: incarnation and details of each. */
  static async list(nats: Nats): Promise<ReadonlyMap<string, unknown>> {
    const bucket = await new Kvm(nats.connection).open('members', { allow_direct: false });
    const members = new Map<string, unknown>();
    for await (const key of await bucket.keys()) {
      const entry = await bucket.get(key);
      if (entry?.operation === 'PUT') members.set(key, entry.json());
    }
    return members;
  }

  live(): ReadonlyMap<string, unknown> {
    return new Map([...this.seen].map(([incarnation, { details }]) => [incarnation, details]));
  }

  /** Called after a member came or went. */
  onChange(callback: () => void): void {
    this.callbacks.add(callback);
  }

  /** Milliseconds a member has been absent while this process heard everyone all along; 0 while nobody can say. */
  goneFor(incarnation: string): number {
    if (this.seen.has(incarnation) || !this.isHearing()) return 0;
    return Math.max(0, Date.now() - Math.max(this.observingSince, this.gone.get(incarnation) ?? 0));
  }

  /** Leaves: what it owned goes to the others at once. */
  async leave(): Promise<void> {
    for (const end of this.endings.splice(0)) end();
    if (this.nats.connected) await this.bucket.delete(this.self.incarnation).catch(() => undefined);
  }

  private async start(): Promise<void> {
    const subscription: Subscription = this.nats.connection.subscribe(`${SUBJECT}*`, {
      callback: (error, message) => {
        if (!error) this.hear(message);
      },
    });
    const join = (): Promise<unknown> => this.bucket.put(this.self.incarnation, JSON.stringify(this.self.details));
    await untilAnswered(this.nats, 'membership', join);
    this.see(this.self.incarnation, this.self.details);
    for (const [incarnation, details] of await untilAnswered(this.nats, 'members', () => Members.list(this.nats))) {
      if (!this.seen.has(incarnation)) this.see(incarnation, details);
    }
    const beat = setInterval(() => void this.beat().catch(() => undefined), BEAT_MS);
    const expiry = setInterval(() => this.expire(), BEAT_MS / 4);
    this.endings.push(
      () => subscription.unsubscribe(),
      () => clearInterval(beat),
      () => clearInterval(expiry),
      this.nats.onReconnect(() => this.reconnected()),
    );
  }

  /** The others may come back later than this process: the count of everyone's absence starts anew with the next own beat. */
  private reconnected(): void {
    this.heardSelfAt = 0;
    void this.beat().catch(() => undefined);
  }

  private async beat(): Promise<void> {
    if (this.nats.connected) await this.bucket.put(this.self.incarnation, JSON.stringify(this.self.details));
  }

  private isHearing(): boolean {
    return this.nats.connected && Date.now() - this.heardSelfAt < DEAF_MS;
  }

  private hear(message: Msg): void {
    const incarnation = message.subject.slice(SUBJECT.length);
    if (incarnation === this.self.incarnation) this.hearSelf();
    if (message.headers?.get('KV-Operation')) return this.lose(incarnation);
    try {
      this.see(incarnation, message.json());
    } catch {
      // Not a member's beat.
    }
  }

  private hearSelf(): void {
    const now = Date.now();
    // After a silence everyone gets the time to beat again.
    if (now - this.heardSelfAt >= DEAF_MS) {
      this.observingSince = now;
      for (const [incarnation, { details }] of this.seen) this.seen.set(incarnation, { details, at: now });
    }
    this.heardSelfAt = now;
  }

  private see(incarnation: string, details: unknown): void {
    const isNew = !this.seen.has(incarnation);
    this.seen.set(incarnation, { details, at: Date.now() });
    this.gone.delete(incarnation);
    if (isNew) this.changed();
  }

  private lose(incarnation: string): void {
    if (incarnation === this.self.incarnation || !this.seen.delete(incarnation)) return;
    this.gone.set(incarnation, Date.now());
    this.changed();
  }

  private expire(): void {
    if (!this.isHearing()) return;
    const now = Date.now();
    for (const [incarnation, { at }] of this.seen) if (now - at >= MEMBER_TTL_MS) this.lose(incarnation);
    // Who never came back within a day is not asked about any more.
    for (const [incarnation, at] of this.gone) if (now - at > 86_400_000) this.gone.delete(incarnation);
  }

  private changed(): void {
    for (const callback of this.callbacks) callback();
  }
}
