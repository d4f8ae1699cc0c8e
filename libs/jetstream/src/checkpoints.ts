import { type KV, Kvm } from '@nats-io/kv';
import type { Nats } from './connection.js';
import { untilAnswered } from './until-answered.js';

/** Small JSON values by key that outlive a process; provision() has made the bucket. Calls reject while the broker is away. */
export class Checkpoints {
  private constructor(private readonly bucket: KV) {}

  /** Throws LogError LOG_UNAVAILABLE. */
  static async open(nats: Nats): Promise<Checkpoints> {
    const kvm = new Kvm(nats.connection);
    return new Checkpoints(await untilAnswered(nats, 'checkpoints', () => kvm.open('checkpoints', { allow_direct: false })));
  }

  /** Undefined where there is none. */
  async get(key: string): Promise<unknown> {
    const entry = await this.bucket.get(key);
    return entry?.operation === 'PUT' ? entry.json<unknown>() : undefined;
  }

  /** Resolves once it is stored. */
  async put(key: string, value: unknown): Promise<void> {
    await this.bucket.put(key, JSON.stringify(value));
  }

  async delete(key: string): Promise<void> {
    await this.bucket.delete(key);
  }
}
