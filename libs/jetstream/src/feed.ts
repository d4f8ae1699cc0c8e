import { randomUUID } from 'node:crypto';
import { headers } from '@nats-io/transport-node';
import { type ExecutionRef, feedFilter, feedSubject } from '#libs/contracts';
import { LogError } from '#libs/ledger';
import { type PublishAnswer, isConflict, toAnswer } from './codes.js';
import type { Nats } from './connection.js';
import { purgeSubject } from './purge.js';
import { jetStreamApi, leaderGet } from './read.js';

/** `commit` is the hash of the commit at `position`: by it the log is recognised that the feed was made from. */
export type FeedMessage = {
  readonly subject: string;
  readonly body: Uint8Array | string;
  readonly position: string;
  readonly commit: string;
};

/**
 * The feed's end: its last sequence, and what its last message carries; undefined where no message is left, be it that none was
 * ever published (sequence 0) or that the feed was purged to be built anew.
 */
type FeedHead = { readonly sequence: number; readonly position: string | undefined; readonly commit: string | undefined };

/** Messages of one publish() at most. */
export const FEED_BATCH_MAX = 300;
const ANSWER_TIMEOUT_MS = 5_000;
/** How long an outcome may stay in doubt before the caller is told so. */
const RESOLVE_WITHIN_MS = 10_000;
const PAUSE_MS = 100;

/** The public feed: stream FEED. Only one publisher gets on: everyone else is fenced by the expected last sequence. */
export class FeedStream {
  constructor(private readonly nats: Nats) {}

  /** Throws LogError LOG_UNAVAILABLE. */
  async head(): Promise<FeedHead> {
    type Info = { readonly state?: { readonly last_seq: number } };
    const last = await leaderGet(this.nats, 'FEED', { last_by_subj: 'events.>' });
    const header = (name: string): string | undefined => new RegExp(`^${name}: *(\\S+)`, 'im').exec(last?.headers ?? '')?.[1];
    if (last) return { sequence: last.sequence, position: header('Runledger-Position'), commit: header('Runledger-Commit') };
    const { state } = await jetStreamApi<Info>(this.nats, 'FEED', 'STREAM.INFO.FEED', undefined);
    if (!state) throw new LogError('LOG_UNAVAILABLE', 'stream FEED is not there; provision the broker first');
    return { sequence: state.last_seq, position: undefined, commit: undefined };
  }

  /**
   * Removes what the feed carries of a deleted execution but for the deletion itself, committed at this log sequence. False while that
   * has not been published: then nothing is removed. Throws LogError LOG_UNAVAILABLE.
   */
  async purge(ref: ExecutionRef, deletedAt: number): Promise<boolean> {
    const { sequence, position } = await this.head();
    if (position === undefined || Number.parseInt(position, 10) < deletedAt) return false;
    const deletion = await leaderGet(this.nats, 'FEED', { last_by_subj: feedSubject(ref, 'ExecutionDeleted') });
    await purgeSubject(this.nats, 'FEED', feedFilter(ref), deletion?.sequence ?? sequence + 1);
    return true;
  }

  /**
   * Publishes 1 to 300 messages, all or none, as the next of the feed. 'fenced' when another publisher has published since
   * `expected`: read the head before going on. Throws LogError LOG_UNAVAILABLE (nothing published) or OUTCOME_UNKNOWN.
   */
  async publish(messages: readonly FeedMessage[], expected: number): Promise<{ readonly lastSequence: number } | 'fenced'> {
    const last = messages[messages.length - 1];
    if (!last || messages.length > FEED_BATCH_MAX) throw new RangeError(`${messages.length} messages; 1 to ${FEED_BATCH_MAX} can be published`);
    const published = { lastSequence: expected + messages.length };
    for (let until: number | undefined; ; ) {
      const answer = await this.send(messages, expected);
      if (typeof answer !== 'string' && answer.error === undefined) return published;
      if (until === undefined) {
        if (typeof answer !== 'string' && isConflict(answer.error?.err_code)) return 'fenced';
        if (answer !== 'silent') throw new LogError('LOG_UNAVAILABLE', `feed not published: ${reason(answer)}`);
        until = Date.now() + RESOLVE_WITHIN_MS;
      }
      const head = await this.headBy(until);
      if (head.sequence === published.lastSequence && head.position === last.position) return published;
      if (head.sequence !== expected) return 'fenced';
      // Absent is not refused: an earlier try may still be under way. Whatever gets there first keeps the others out.
      if (Date.now() >= until) throw unknown();
      await pause();
    }
  }

  private async headBy(until: number): Promise<FeedHead> {
    for (;;) {
      try {
        return await this.head();
      } catch (error) {
        if (Date.now() >= until) throw unknown(error);
        await pause();
      }
    }
  }

  private async send(messages: readonly FeedMessage[], expected: number): Promise<PublishAnswer | 'silent' | 'unheard'> {
    const batch = messages.length > 1 ? randomUUID() : undefined;
    let sequence = 0;
    try {
      for (const { subject, body, position, commit } of messages) {
        sequence += 1;
        const all = headers();
        all.set('Content-Type', 'application/cloudevents+json');
        all.set('Runledger-Position', position);
        all.set('Runledger-Commit', commit);
        if (sequence === 1) all.set('Nats-Expected-Last-Sequence', String(expected));
        if (batch !== undefined) {
          all.set('Nats-Batch-Id', batch);
          all.set('Nats-Batch-Sequence', String(sequence));
        }
        if (sequence === messages.length) {
          if (batch !== undefined) all.set('Nats-Batch-Commit', '1');
          return toAnswer(await this.nats.replies.request(subject, body, ANSWER_TIMEOUT_MS, all));
        }
        this.nats.connection.publish(subject, body, { headers: all });
      }
    } catch {
      // Closed half-way: a batch without its last message is never stored.
    }
    return 'unheard';
  }
}

const reason = (answer: PublishAnswer | 'unheard'): string =>
  answer === 'unheard' ? 'no stream listens' : `${answer.error?.description ?? 'no reason given'} (${answer.error?.err_code ?? 'no code'})`;

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, PAUSE_MS));

const unknown = (cause?: unknown): LogError =>
  new LogError('OUTCOME_UNKNOWN', 'the broker did not say whether the feed was published; read its head before going on', { cause });
