import { type KV, Kvm } from '@nats-io/kv';
import type { Msg, Subscription } from '@nats-io/transport-node';
import { isToken } from '#libs/contracts';
import type { Nats } from './connection.js';
import { Presence } from './presence.js';
import { MEMBER_TTL_MS } from './streams.js';
import { untilAnswered } from './until-answered.js';

const BEAT_MS = 1_000;
const SUBJECT = '$KV.members.';

type MembershipOptions = { readonly incarnation: string; readonly details: Readonly<Record<string, unknown>> };

/**
 * Who is alive. Each member beats every second: a put of its key, which lapses after 3 s. Beats are heard on the key's subject,
 * without a consumer that could lag or get lost. Nobody is taken for dead on a lapsed key alone, as after a broker outage every
 * key has lapsed at once: who is absent is for `Presence` to say.
 */
export class Members {
  readonly ttlMs = MEMBER_TTL_MS;
  private readonly presence: Presence;
  private readonly callbacks = new Set<() => void>();
  private readonly endings: (() => void)[] = [];

  private constructor(
    private readonly nats: Nats,
    private readonly bucket: KV,
    private readonly self: MembershipOptions,
  ) {
    this.presence = new Presence({ self: self.incarnation, ttlMs: MEMBER_TTL_MS, now: () => performance.now(), changed: () => this.changed() });
  }

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
    return this.presence.live();
  }

  /** Called after a member came or went. */
  onChange(callback: () => void): void {
    this.callbacks.add(callback);
  }

  /** Milliseconds a member has been absent while this process heard everyone, over all its connections; 0 while nobody can say. */
  goneFor(incarnation: string): number {
    return this.presence.goneFor(incarnation);
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
    this.presence.hear(this.self.incarnation, this.self.details);
    for (const [incarnation, details] of await untilAnswered(this.nats, 'members', () => Members.list(this.nats))) {
      if (!this.presence.live().has(incarnation)) this.presence.hear(incarnation, details);
    }
    const beat = setInterval(() => void this.beat().catch(() => undefined), BEAT_MS);
    const expiry = setInterval(() => this.presence.expire(), BEAT_MS / 4);
    this.endings.push(
      () => subscription.unsubscribe(),
      () => clearInterval(beat),
      () => clearInterval(expiry),
      this.nats.onDisconnect(() => this.presence.interrupted()),
      this.nats.onReconnect(() => void this.beat().catch(() => undefined)),
    );
  }

  private async beat(): Promise<void> {
    if (this.nats.connected) await this.bucket.put(this.self.incarnation, JSON.stringify(this.self.details));
  }

  private hear(message: Msg): void {
    const incarnation = message.subject.slice(SUBJECT.length);
    if (message.headers?.get('KV-Operation')) return this.presence.leaves(incarnation);
    try {
      this.presence.hear(incarnation, message.json());
    } catch {
      // Not a member's beat.
    }
  }

  private changed(): void {
    for (const callback of this.callbacks) callback();
  }
}
