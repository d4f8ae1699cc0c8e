import { type ExecutionRef, SHARDS, logSubject, shardFilter } from '#libs/contracts';
import {
  type Append,
  type AppendResult,
  type FollowHandler,
  type Follower,
  type HistoryRange,
  LogError,
  type LogPurge,
  type LogStore,
  MAX_COMMIT_BYTES,
  type Position,
  type StoredCommit,
  hashOf,
} from '#libs/ledger';
import { AppendQueue } from './append-queue.js';
import type { Nats } from './connection.js';
import { LogFollower, type LogInfo } from './follow.js';
import { type Timing, defaultTiming } from './publish.js';
import { purgeSubject } from './purge.js';
import { type LeaderMessage, directPages, directRange, jetStreamApi, leaderGet } from './read.js';
import type { OrderedPull } from './pull.js';
import { toStored } from './stored.js';
import { type Reading, Tail } from './tail.js';

/** Room for a commit's headers below the broker's limit for a message. */
const HEADER_BYTES = 1_024;
const WHOLE = 'log.>';

/** A message of the log that is no commit. */
type Unreadable = { readonly sequence: number; readonly subject: string; readonly unreadable: string };

/** The event log on JetStream's stream LOG; provision() has made it. */
export class JetStreamLog implements LogStore, LogPurge {
  private readonly queue: AppendQueue;
  private tail: Tail | undefined;

  /** `alarm` hears of what must not happen: it means a bug or a foreign publisher. */
  constructor(
    private readonly nats: Nats,
    private readonly alarm: (message: string) => void = () => undefined,
    timing: Partial<Timing> = {},
  ) {
    this.queue = new AppendQueue(nats, alarm, { ...defaultTiming, ...timing });
  }

  async append(append: Append): Promise<AppendResult> {
    const most = Math.min(MAX_COMMIT_BYTES, (this.nats.connection.info?.max_payload ?? Infinity) - HEADER_BYTES);
    if (append.body.length > most) {
      throw new LogError('COMMIT_TOO_LARGE', `a commit of ${append.body.length} bytes; at most ${most} are allowed`);
    }
    return await this.queue.append(append);
  }

  async history(ref: ExecutionRef, range: HistoryRange = {}): Promise<readonly StoredCommit[]> {
    const { after = 0, upTo = Infinity, limit = Infinity } = range;
    const { messages } = await directRange(this.nats, 'LOG', logSubject(ref), { from: after + 1, upTo, limit });
    const history: StoredCommit[] = [];
    for (const message of messages) {
      if (message.sequence > upTo) break;
      const stored = toStored(message);
      // Left out, it shows as a gap to whoever folds the history.
      if (!('unreadable' in stored)) history.push(stored);
    }
    return history;
  }

  /**
   * Everything in order behind a sequence and up to one that the log has, of all executions or one, page by page; what is no commit stands in its
   * place. Unlike history() and follow() it judges nothing: for audits. Throws LogError LOG_UNAVAILABLE.
   */
  async *scan(upTo: number, ref?: ExecutionRef, after = 0): AsyncGenerator<readonly (StoredCommit | Unreadable)[]> {
    for await (const page of directPages(this.nats, 'LOG', ref ? logSubject(ref) : 'log.>', { after, upTo })) {
      yield page.map((message) => {
        const stored = toStored(message);
        return 'unreadable' in stored ? { ...stored, sequence: message.sequence, subject: message.subject } : stored;
      });
    }
  }

  async purge(ref: ExecutionRef, before: number): Promise<void> {
    await purgeSubject(this.nats, 'LOG', logSubject(ref), before);
  }

  async follow(from: Position | undefined, handler: FollowHandler, shards?: readonly number[]): Promise<Follower> {
    const subjects = shards === undefined || shards.length === SHARDS ? [WHOLE] : shards.map(shardFilter);
    const { nats, alarm } = this;
    // A consumer without any filter would get everything.
    if (subjects.length === 0) return await this.followNothing(handler);
    const abreast = subjects.length === 1 && subjects[0] === WHOLE ? (own: OrderedPull, after: number) => this.abreast(own, after) : undefined;
    const follower = new LogFollower({ nats, log: this, subjects, from, handler, abreast, alarm });
    await follower.start();
    return follower;
  }

  private abreast(own: OrderedPull, after: number): Reading {
    if (!this.tail || this.tail.hasEnded) this.tail = new Tail(own, after);
    else if (!this.tail.covers(after)) return own;
    else own.close();
    return this.tail.join(after);
  }

  private async followNothing(handler: FollowHandler): Promise<Follower> {
    const { lastSequence } = await this.info();
    handler.reached?.(lastSequence);
    handler.caughtUp?.();
    return { delivered: lastSequence, stop: () => Promise.resolve() };
  }

  async head(): Promise<Position> {
    const { incarnation, lastSequence } = await this.info();
    const last = lastSequence > 0 ? await this.message(lastSequence) : undefined;
    return { incarnation, sequence: lastSequence, hash: last ? hashOf(last.data) : '' };
  }

  async at(sequence: number): Promise<StoredCommit | undefined> {
    const message = await this.message(sequence);
    const stored = message && toStored(message);
    return stored && !('unreadable' in stored) ? stored : undefined;
  }

  /** The message at a sequence, as the leader knows it: a direct get could be behind. */
  message(sequence: number): Promise<LeaderMessage | undefined> {
    return leaderGet(this.nats, 'LOG', { seq: sequence });
  }

  /** Throws LogError LOG_UNAVAILABLE. */
  async info(): Promise<LogInfo> {
    type Info = {
      readonly config?: { readonly metadata?: Record<string, string>; readonly max_bytes: number };
      readonly state?: { readonly last_seq: number; readonly bytes: number };
    };
    const { config, state } = await jetStreamApi<Info>(this.nats, 'LOG', 'STREAM.INFO.LOG', undefined);
    if (!config || !state) throw new LogError('LOG_UNAVAILABLE', 'stream LOG is not there; provision the broker first');
    const incarnation = config.metadata?.['runledger.incarnation'] ?? '';
    return { incarnation, lastSequence: state.last_seq, bytes: state.bytes, maxBytes: config.max_bytes };
  }
}
