import { type KV, Kvm } from '@nats-io/kv';
import type { Nats } from './connection.js';

/** Small JSON values by key that outlive a process. */
export class Checkpoints {
  private constructor(private readonly bucket: KV) {}

  static async open(nats: Nats): Promise<Checkpoints> {
    return new Checkpoints(await new Kvm(nats.connection).create('checkpoints', { history: 1 }));
  }

  async get(key: string): Promise<unknown> {
    const entry = await this.bucket.get(key);
    return entry?.operation === 'PUT' ? entry.json<unknown>() : undefined;
  }

  async put(key: string, value: unknown): Promise<void> {
    await this.bucket.put(key, JSON.stringify(value));
  }
}
