import { JetStreamApiError } from '@nats-io/jetstream';
import { type KV, type KvEntry, type KvWatchEntry, Kvm } from '@nats-io/kv';
import type { QueuedIterator } from '@nats-io/transport-node';
import { LogError } from '#libs/ledger';
import { isConflict } from './codes.js';
import type { Nats } from './connection.js';
import { untilAnswered } from './until-answered.js';

const RETRY_MS = 500;
const MAX_TRIES = 16;

type Known<T> = { readonly value: T; readonly revision: number };

/**
 * Small JSON values by key, all of them known here: a read costs nothing, and what changes elsewhere is known within milliseconds.
 * While the broker is away the last values known count. provision() has made the bucket.
 */
export class Catalog<T> {
  private readonly known = new Map<string, Known<T>>();
  private watching: QueuedIterator<KvWatchEntry> | undefined;
  private isStopped = false;

  private constructor(private readonly bucket: KV) {}

  /** Knows everything when it resolves. Throws LogError LOG_UNAVAILABLE. */
  static async open<T>(nats: Nats, name: string): Promise<Catalog<T>> {
    const bucket = await untilAnswered(nats, name, () => new Kvm(nats.connection).open(name, { allow_direct: false }));
    const catalog = new Catalog<T>(bucket);
    const watching = await untilAnswered(nats, name, () => bucket.watch());
    await untilAnswered(nats, name, () => catalog.load());
    void catalog.follow(watching);
    return catalog;
  }

  get(key: string): T | undefined {
    return this.known.get(key)?.value;
  }

  values(): readonly T[] {
    return [...this.known.values()].map(({ value }) => value);
  }

  /** Resolves once it is stored. Throws LogError LOG_UNAVAILABLE. */
  async put(key: string, value: T): Promise<void> {
    const revision = await this.write(() => this.bucket.put(key, JSON.stringify(value)));
    this.take(key, value, revision);
  }

  /** Stores a first value; where there is one, that one is returned and stays. Throws LogError LOG_UNAVAILABLE. */
  async create(key: string, value: T): Promise<T | undefined> {
    try {
      this.take(key, value, await this.bucket.create(key, JSON.stringify(value)));
      return undefined;
    } catch (error) {
      if (!(error instanceof JetStreamApiError && isConflict(error.code))) throw unavailable(error);
    }
    const entry = await this.write(() => this.bucket.get(key));
    if (entry) this.takeEntry(entry);
    return this.get(key);
  }

  /** Stores what `change` makes of the value there; undefined where there is none. Throws LogError LOG_UNAVAILABLE. */
  async update(key: string, change: (value: T) => T): Promise<T | undefined> {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const entry = await this.write(() => this.bucket.get(key));
      if (entry?.operation !== 'PUT') return undefined;
      const value = change(entry.json<T>());
      try {
        this.take(key, value, await this.bucket.update(key, JSON.stringify(value), entry.revision));
        return value;
      } catch (error) {
        if (!(error instanceof JetStreamApiError && isConflict(error.code))) throw unavailable(error);
      }
    }
    throw new LogError('LOG_UNAVAILABLE', `${MAX_TRIES} conflicts in a row on one entry; try again in a moment`);
  }

  /** False where there was none. Throws LogError LOG_UNAVAILABLE. */
  async delete(key: string): Promise<boolean> {
    const wasKnown = this.known.has(key);
    await this.write(() => this.bucket.delete(key));
    this.known.delete(key);
    return wasKnown;
  }

  stop(): void {
    this.isStopped = true;
    this.watching?.stop();
  }

  private async load(): Promise<void> {
    for await (const key of await this.bucket.keys()) {
      const entry = await this.bucket.get(key);
      if (entry) this.takeEntry(entry);
    }
  }

  /** Goes on for ever: a watch that ends is begun anew, and brings every value again. */
  private async follow(first: QueuedIterator<KvWatchEntry>): Promise<void> {
    for (let watching: QueuedIterator<KvWatchEntry> | undefined = first; !this.isStopped; watching = undefined) {
      try {
        this.watching = watching ?? (await this.bucket.watch());
        for await (const entry of this.watching) this.takeEntry(entry);
      } catch {
        // The broker is away, or closed.
      }
      if (!this.isStopped) await new Promise((resolve) => setTimeout(resolve, RETRY_MS).unref());
    }
  }

  private takeEntry(entry: KvEntry): void {
    if (entry.operation !== 'PUT') {
      if ((this.known.get(entry.key)?.revision ?? 0) <= entry.revision) this.known.delete(entry.key);
      return;
    }
    try {
      this.take(entry.key, entry.json<T>(), entry.revision);
    } catch {
      // Not written by Runledger; nobody can look it up.
    }
  }

  private take(key: string, value: T, revision: number): void {
    if ((this.known.get(key)?.revision ?? 0) <= revision) this.known.set(key, { value, revision });
  }

  private async write<R>(work: () => Promise<R>): Promise<R> {
    try {
      return await work();
    } catch (error) {
      throw unavailable(error);
    }
  }
}

const unavailable = (cause: unknown): LogError =>
  new LogError('LOG_UNAVAILABLE', 'the broker did not store it, or did not say so; look whether it is there, and try again', { cause });
