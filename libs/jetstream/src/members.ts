import { type KV, Kvm } from '@nats-io/kv';
import { isToken } from '#libs/contracts';
import type { Nats } from './connection.js';

const TTL_MS = 3_000;
const BEAT_MS = 1_000;

export type MembershipOptions = { readonly incarnation: string; readonly details: Readonly<Record<string, unknown>> };

/**
 * Who is alive: each member keeps a key that lapses after 3 s. Nobody is taken for dead on a lapsed key alone: after a
 * broker outage every key has lapsed at once, so only absence seen over a full TTL by a connected observer counts.
 */
export class Members {
  readonly ttlMs = TTL_MS;
  private readonly seen = new Map<string, { readonly details: unknown; readonly at: number }>();
  private readonly gone = new Map<string, number>();
  private readonly callbacks = new Set<() => void>();
  private readonly timers: NodeJS.Timeout[] = [];
  private stopWatch: (() => void) | undefined;
  /** Since when this process has seen every beat there was. */
  private observingSince = Date.now();

  private constructor(
    private readonly nats: Nats,
    private readonly bucket: KV,
    private readonly self: MembershipOptions,
  ) {}

  /** Joins, and knows all others when it resolves. */
  static async join(nats: Nats, self: MembershipOptions): Promise<Members> {
    const { incarnation } = self;
    if (!isToken(incarnation)) throw new RangeError(`not an incarnation: ${String(incarnation)}`);
    const bucket = await new Kvm(nats.connection).create('members', { ttl: TTL_MS, history: 1 });
    const members = new Members(nats, bucket, self);
    await members.start();
    return members;
  }

  live(): ReadonlyMap<string, unknown> {
    return new Map([...this.seen].map(([incarnation, { details }]) => [incarnation, details]));
  }

  onChange(callback: () => void): void {
    this.callbacks.add(callback);
  }

  /** Milliseconds a member has been absent while this process was connected all along; 0 while nobody can say. */
  goneFor(incarnation: string): number {
    if (this.seen.has(incarnation) || !this.nats.connected) return 0;
    return Date.now() - Math.max(this.observingSince, this.gone.get(incarnation) ?? 0);
  }

  /** Leaves: what it owned goes to the others at once. */
  async leave(): Promise<void> {
    for (const timer of this.timers) clearInterval(timer);
    this.stopWatch?.();
    if (this.nats.connected) await this.bucket.delete(this.self.incarnation).catch(() => undefined);
  }

  private async start(): Promise<void> {
    await this.beat();
    const watch = await this.bucket.watch({ include: 'allUpdates' as never });
    this.stopWatch = () => watch.stop();
    this.seen.set(this.self.incarnation, { details: this.self.details, at: Date.now() });
    void this.observe(watch);
    const keys = await this.bucket.keys();
    for await (const key of keys) if (!this.seen.has(key)) this.seen.set(key, { details: undefined, at: Date.now() });
    this.nats.onReconnect(() => {
      // Nobody could be heard meanwhile: everyone gets the time to beat again.
      this.observingSince = Date.now();
      for (const [incarnation, entry] of this.seen) this.seen.set(incarnation, { ...entry, at: Date.now() });
      void this.beat().catch(() => undefined);
    });
    this.timers.push(
      setInterval(() => void this.beat().catch(() => undefined), BEAT_MS),
      setInterval(() => this.expire(), BEAT_MS / 4),
    );
  }

  private async beat(): Promise<void> {
    if (this.nats.connected) await this.bucket.put(this.self.incarnation, JSON.stringify(this.self.details));
  }

  private async observe(watch: AsyncIterable<{ key: string; operation: string; json<T>(): T }>): Promise<void> {
    for await (const entry of watch) {
      if (entry.operation !== 'PUT') {
        if (this.seen.delete(entry.key)) this.changed(entry.key);
        continue;
      }
      const isNew = !this.seen.has(entry.key);
      this.seen.set(entry.key, { details: entry.json(), at: Date.now() });
      this.gone.delete(entry.key);
      if (isNew) this.changed(undefined);
    }
  }

  private expire(): void {
    if (!this.nats.connected) return;
    for (const [incarnation, { at }] of this.seen) {
      if (incarnation === this.self.incarnation || Date.now() - at < TTL_MS) continue;
      this.seen.delete(incarnation);
      this.changed(incarnation);
    }
  }

  private changed(gone: string | undefined): void {
    if (gone !== undefined) this.gone.set(gone, Date.now());
    for (const callback of this.callbacks) callback();
  }
}
