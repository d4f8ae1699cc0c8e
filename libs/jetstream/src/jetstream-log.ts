import { type JetStreamClient, jetstream } from '@nats-io/jetstream';
import { type ExecutionRef, SHARDS, logSubject, shardFilter } from '#libs/contracts';
import {
  type Append,
  type AppendResult,
  type FollowHandler,
  type Follower,
  LogError,
  type LogStore,
  MAX_COMMIT_BYTES,
  type Position,
  type StoredCommit,
  hashOf,
} from '#libs/ledger';
import { AppendQueue } from './append-queue.js';
import type { Nats } from './connection.js';
import { LogFollower, type LogInfo } from './follow.js';
import { type DirectMessage, directAt, directRange } from './read.js';
import { toStored } from './stored.js';

/** The event log on JetStream's stream LOG; provision() has made it. */
export class JetStreamLog implements LogStore {
  private readonly queue: AppendQueue;
  private readonly client: JetStreamClient;

  /** `alarm` hears of what must not happen: it means a bug or a foreign publisher. */
  constructor(
    private readonly nats: Nats,
    alarm: (message: string) => void = () => undefined,
  ) {
    this.queue = new AppendQueue(nats, alarm);
    this.client = jetstream(nats.connection);
  }

  async append(append: Append): Promise<AppendResult> {
    if (append.body.length > MAX_COMMIT_BYTES) {
      throw new LogError('COMMIT_TOO_LARGE', `a commit of ${append.body.length} bytes; at most ${MAX_COMMIT_BYTES} are allowed`);
    }
    return await this.queue.append(append);
  }

  async history(
    ref: ExecutionRef,
    range: { readonly after?: number; readonly upTo?: number } = {},
  ): Promise<readonly StoredCommit[]> {
    const { messages } = await directRange(this.nats, 'LOG', logSubject(ref), (range.after ?? 0) + 1);
    const history: StoredCommit[] = [];
    for (const message of messages) {
      if (message.sequence > (range.upTo ?? Infinity)) break;
      const stored = toStored(message);
      // Left out, it shows as a gap to whoever folds the history.
      if (!('unreadable' in stored)) history.push(stored);
    }
    return history;
  }

  async follow(from: Position | undefined, handler: FollowHandler, shards?: readonly number[]): Promise<Follower> {
    const subjects = shards === undefined || shards.length === SHARDS ? ['log.>'] : shards.map(shardFilter);
    const follower = new LogFollower(this.nats, this.client, this, subjects, from, handler);
    await follower.start();
    return follower;
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

  async message(sequence: number): Promise<DirectMessage | undefined> {
    const message = await directAt(this.nats, 'LOG', sequence);
    return message?.sequence === sequence ? message : undefined;
  }

  /** Throws LogError LOG_UNAVAILABLE. */
  async info(): Promise<LogInfo> {
    type Info = {
      readonly config?: { readonly metadata?: Record<string, string>; readonly max_bytes: number };
      readonly state?: { readonly last_seq: number; readonly bytes: number };
    };
    try {
      const answer = await this.nats.connection.request('$JS.API.STREAM.INFO.LOG', '', { timeout: 3_000 });
      const { config, state } = answer.json<Info>();
      if (!config || !state) throw new Error('stream LOG is not there');
      const incarnation = config.metadata?.['runledger.incarnation'] ?? '';
      return { incarnation, lastSequence: state.last_seq, bytes: state.bytes, maxBytes: config.max_bytes };
    } catch (error) {
      throw new LogError('LOG_UNAVAILABLE', `the log can't be asked: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}
