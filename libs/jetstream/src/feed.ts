import { randomUUID } from 'node:crypto';
import { headers } from '@nats-io/transport-node';
import { LogError } from '#libs/ledger';
import { isConflict, parseAnswer } from './codes.js';
import type { Nats } from './connection.js';
import { directAt } from './read.js';

export type FeedMessage = { readonly subject: string; readonly body: Uint8Array | string; readonly position: string };

/** The feed's end: its last sequence, and the position in the log that its last message carries. */
export type FeedHead = { readonly sequence: number; readonly position: string | undefined };

const TIMEOUT_MS = 5_000;

/** The public feed: stream FEED. Only one publisher gets on: everyone else is fenced by the expected last sequence. */
export class FeedStream {
  constructor(private readonly nats: Nats) {}

  async head(): Promise<FeedHead> {
    type Info = { readonly state?: { readonly last_seq: number; readonly messages: number } };
    const answer = await this.nats.connection.request('$JS.API.STREAM.INFO.FEED', '', { timeout: TIMEOUT_MS });
    const { state } = answer.json<Info>();
    if (!state) throw new LogError('LOG_UNAVAILABLE', 'stream FEED is not there');
    if (state.messages === 0) return { sequence: state.last_seq, position: undefined };
    const last = await directAt(this.nats, 'FEED', state.last_seq);
    return { sequence: state.last_seq, position: last?.header('Runledger-Position') };
  }

  /**
   * Publishes at most 300 messages, all or none, as the next of the feed. 'fenced' when another publisher has published since
   * `expected`. Throws when the outcome can't be told: read the head before going on.
   */
  async publish(messages: readonly FeedMessage[], expected: number): Promise<{ readonly lastSequence: number } | 'fenced'> {
    const id = randomUUID();
    const last = messages.length - 1;
    for (const [i, message] of messages.entries()) {
      const all = headers();
      all.set('Content-Type', 'application/cloudevents+json');
      all.set('Runledger-Position', message.position);
      if (i === 0) all.set('Nats-Expected-Last-Sequence', String(expected));
      if (last > 0) {
        all.set('Nats-Batch-Id', id);
        all.set('Nats-Batch-Sequence', String(i + 1));
      }
      if (i < last) {
        this.nats.connection.publish(message.subject, message.body, { headers: all });
        continue;
      }
      if (last > 0) all.set('Nats-Batch-Commit', '1');
      const reply = await this.nats.connection.request(message.subject, message.body, { headers: all, timeout: TIMEOUT_MS });
      const answer = parseAnswer(reply.data);
      if (isConflict(answer.error?.err_code)) return 'fenced';
      if (answer.error) throw new LogError('LOG_UNAVAILABLE', `feed not published: ${answer.error.description ?? 'no reason given'}`);
    }
    return { lastSequence: expected + messages.length };
  }
}
