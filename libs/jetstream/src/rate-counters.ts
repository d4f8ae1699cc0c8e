import { headers } from '@nats-io/transport-node';
import { toAnswer } from './codes.js';
import type { Nats } from './connection.js';

/** Nobody waits longer than this for a count, milliseconds. */
const WITHIN_MS = 250;
/** A broker that has not answered is left alone for this long. */
const REST_MS = 1_000;

/** Counters that every gateway shares: stream RATES, one message counter a subject. */
export class RateCounters {
  private restUntil = 0;

  constructor(private readonly nats: Nats) {}

  /** Adds one and resolves with the new value: one round trip. Undefined while the broker does not answer. Never rejects. */
  async increment(subject: string): Promise<number | undefined> {
    if (Date.now() < this.restUntil) return undefined;
    const all = headers();
    all.set('Nats-Incr', '1');
    const answer = toAnswer(await this.nats.replies.request(subject, '', WITHIN_MS, all));
    if (answer === 'silent') this.restUntil = Date.now() + REST_MS;
    if (typeof answer === 'string' || answer.error !== undefined) return undefined;
    const value = Number(answer.val);
    return Number.isNaN(value) ? undefined : value;
  }
}
