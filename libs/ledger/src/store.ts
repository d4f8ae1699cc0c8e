import type { Commit, ExecutionRef } from '#libs/contracts';

/** A commit as the log holds it. */
export type StoredCommit = {
  readonly ref: ExecutionRef;
  /** Position in the log: 1, 2, 3 …, over all executions. */
  readonly sequence: number;
  /** When the log stored it, RFC 3339: what "as of a time" goes by. */
  readonly storedAt: string;
  /** SHA-256 of the bytes, base64url: what the next commit's `previous` must say. */
  readonly hash: string;
  readonly bytes: number;
  readonly commit: Commit;
};

/** A place in a log that tells whether it is still the same log: after a restore the hash, or the incarnation, is another. */
export type Position = { readonly incarnation: string; readonly sequence: number; readonly hash: string };

/** One commit to be stored as the next of its execution. */
export type Append = {
  readonly ref: ExecutionRef;
  readonly id: string;
  readonly body: Uint8Array;
  /** Sequence of the execution's last commit; 0 for the first. */
  readonly expected: number;
};

/** conflict: something else was stored after `expected`; read what is new, decide again. */
export type AppendResult = { readonly stored: true; readonly sequence: number } | { readonly stored: false };

export type LogErrorCode =
  /** Nobody can say whether it was stored: retry with the same command id. */
  | 'OUTCOME_UNKNOWN'
  | 'LOG_FULL'
  | 'LOG_UNAVAILABLE'
  | 'COMMIT_TOO_LARGE'
  /** The log ends before what was read from it: it was restored or lost data. */
  | 'LOG_WENT_BACK'
  | 'LOG_MISCONFIGURED';

/** The log could not do what was asked. */
export class LogError extends Error {
  override readonly name = 'LogError';
  readonly retryable: boolean;

  constructor(
    readonly code: LogErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.retryable = code !== 'COMMIT_TOO_LARGE' && code !== 'LOG_MISCONFIGURED';
  }
}

export const commitTooLarge = (bytes: number): LogError =>
  new LogError('COMMIT_TOO_LARGE', `a commit of ${bytes} bytes; at most ${MAX_COMMIT_BYTES} are allowed`);

/** What a follower delivers; never two calls at once. */
export type FollowHandler = {
  /** Commits in log order, one or many as they have arrived. The next call waits for the promise. */
  commits(batch: readonly StoredCommit[]): void | Promise<void>;
  /** A message that is no commit (not JSON, wrong shape, wrong subject): it is passed over, and an alarm is due. */
  unreadable?(sequence: number, subject: string, why: string): void;
  /** The log is not the one `from` belongs to, or has lost what was delivered. Following has stopped: rebuild. */
  lost(why: string): void;
  /** Everything up to this log sequence has been looked at, and handed over where it was wanted: also where no commit stands. */
  reached?(sequence: number): void;
  /** Called when everything stored at the time of the call to follow() has been delivered. */
  caughtUp?(): void;
};

export type Follower = {
  /** Last sequence looked at, also where no commit of the wanted shards stood there. */
  readonly delivered: number;
  stop(): Promise<void>;
};

/** Commits behind the sequence `after`, up to `upTo`, and no more than `limit`. */
export type HistoryRange = { readonly after?: number; readonly upTo?: number; readonly limit?: number };

/** The event log. Two implementations pass one contract suite: in memory, and JetStream. */
export type LogStore = {
  /** Compare-and-set on the exact execution. Throws LogError. */
  append(append: Append): Promise<AppendResult>;
  /** Commits of one execution in order. Throws LogError. */
  history(ref: ExecutionRef, range?: HistoryRange): Promise<readonly StoredCommit[]>;
  /** Everything in order from behind `from` (from the start when undefined), of all shards or the given ones. */
  follow(from: Position | undefined, handler: FollowHandler, shards?: readonly number[]): Promise<Follower>;
  /** The last position of the log; sequence 0 and an empty hash when it is empty. */
  head(): Promise<Position>;
  /** The commit stored at a sequence. */
  at(sequence: number): Promise<StoredCommit | undefined>;
};

/** For whoever cleans up behind a deletion; not of the log's port, since nobody else may. */
export type LogPurge = {
  /** Removes what stands before a sequence on the execution's own subject; again changes nothing. Throws LogError LOG_UNAVAILABLE. */
  purge(ref: ExecutionRef, before: number): Promise<void>;
};

/** Largest commit, in bytes. */
export const MAX_COMMIT_BYTES = 256 * 1024;
