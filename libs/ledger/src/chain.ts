import { hash, randomUUID } from 'node:crypto';
import { type Commit, type Event, type ExecutionRef, isEventType, isTombstone, logSubject } from '#libs/contracts';
import { type State, fold, initial } from '#libs/execution';
import { MAX_COMMIT_BYTES, type StoredCommit, commitTooLarge } from './store.js';

/** SHA-256 in base64url without padding. */
export const hashOf = (bytes: Uint8Array | string): string => hash('sha256', bytes, 'base64url');

/** One execution as folded from its commits, with what the next commit must refer to. */
export type Execution = {
  readonly ref: ExecutionRef;
  readonly state: State;
  /** Version, position and hash of the last commit; 0, 0 and the hash of the subject before the first. */
  readonly version: number;
  readonly sequence: number;
  readonly hash: string;
};

/** What the next commit of an execution must follow. */
type Link = Pick<Execution, 'version' | 'hash'>;

/** The history is not what was written: a commit is missing, altered or out of order. Only its execution is halted. */
export class BrokenHistory extends Error {
  override readonly name = 'BrokenHistory';
  readonly code = 'HISTORY_BROKEN';
  readonly retryable = false;

  constructor(
    readonly ref: ExecutionRef,
    readonly sequence: number,
    why: string,
  ) {
    super(`history of ${ref.tenant}/${ref.execution} is broken at log sequence ${sequence}: ${why}`);
  }
}

/** An execution before its first commit. */
export const unborn = (ref: ExecutionRef): Execution => ({
  ref,
  state: initial,
  version: 0,
  sequence: 0,
  hash: hashOf(logSubject(ref)),
});

const encoder = new TextEncoder();

export type Sealed = { readonly commit: Commit; readonly body: Uint8Array; readonly hash: string };

/** The next commit of an execution, ready to append. Throws LogError COMMIT_TOO_LARGE. */
export const seal = (execution: Execution, events: readonly Event[], id: string = randomUUID()): Sealed => {
  const commit: Commit = { id, version: execution.version + 1, previous: execution.hash, events };
  const body = encoder.encode(JSON.stringify(commit));
  if (body.length > MAX_COMMIT_BYTES) throw commitTooLarge(body.length);
  return { commit, body, hash: hashOf(body) };
};

/** True for what has the shape of a commit; event types need not be known. */
const isCommit = (value: unknown): value is Commit => {
  if (typeof value !== 'object' || value === null) return false;
  const { id, version, previous, events } = value as Partial<Record<keyof Commit, unknown>>;
  return (
    typeof id === 'string' &&
    Number.isInteger(version) &&
    typeof previous === 'string' &&
    Array.isArray(events) &&
    events.length > 0 &&
    events.every((event: Partial<Event> | null) => typeof event?.type === 'string' && typeof event.at === 'string')
  );
};

const decoder = new TextDecoder('utf-8', { fatal: true });

/** The commit in a message's body, or why it is none. */
export const parseCommit = (body: Uint8Array): Commit | { readonly unreadable: string } => {
  try {
    const value: unknown = JSON.parse(decoder.decode(body));
    return isCommit(value) ? value : { unreadable: 'JSON, but not a commit' };
  } catch (error) {
    return { unreadable: error instanceof Error ? error.message : String(error) };
  }
};

/** True for a commit all of whose event types this version knows. */
export const isKnown = (commit: Commit): boolean => commit.events.every((event) => isEventType(event.type));

/** Throws BrokenHistory for a gap or a wrong hash. What stood before a tombstone may be gone. */
const mustFollow = (ref: ExecutionRef, before: Link, { commit, sequence }: StoredCommit): void => {
  if (commit.version > before.version + 1 && isTombstone(commit)) return;
  if (commit.version !== before.version + 1) {
    throw new BrokenHistory(ref, sequence, `version ${commit.version} follows version ${before.version}`);
  }
  if (commit.previous !== before.hash) {
    throw new BrokenHistory(ref, sequence, `version ${commit.version} does not carry the hash of what came before`);
  }
};

/** A history as it was read behind `from`, checked: versions without gaps but before a tombstone, each with the hash of the one before. Throws BrokenHistory. */
export const checked = (ref: ExecutionRef, history: readonly StoredCommit[], from: Link = unborn(ref)): readonly StoredCommit[] => {
  let before = from;
  for (const stored of history) {
    mustFollow(ref, before, stored);
    before = { version: stored.commit.version, hash: stored.hash };
  }
  return history;
};

/** Folds the next commit in. Throws BrokenHistory for a gap that no tombstone explains or a wrong hash, Refused EVENT_UNKNOWN for a later version's event. */
export const advance = (execution: Execution, stored: StoredCommit): Execution => {
  const { ref, state } = execution;
  const { commit, sequence, hash } = stored;
  mustFollow(ref, execution, stored);
  return { ref, state: fold(state, commit.events), version: commit.version, sequence, hash };
};

/** Folds a whole history, or what is new of one. */
export const replay = (execution: Execution, history: readonly StoredCommit[]): Execution =>
  history.reduce(advance, execution);
