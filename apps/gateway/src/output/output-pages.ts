import { setTimeout as pause } from 'node:timers/promises';
import type { ExecutionRef } from '#libs/contracts';
import { Refused } from '#libs/execution';
import type { OutputStore, StoredOutput } from '#libs/jetstream';
import { LogError } from '#libs/ledger';

/** Chunks of one read: 3 MiB at most. */
export const PAGE = 100;
/** Chunks that are known again: an execution writes far fewer in the moments that a killed broker loses. */
const MAX_TOLD = 1_000;
const LOOK_MS = { shortest: 100, longest: 1_000 } as const;

export type Source = {
  readonly output: Pick<OutputStore, 'read' | 'last' | 'lastSequence' | 'firstFrom' | 'connectedSince'>;
  /** Whether nothing runs of the execution any more. */
  readonly hasEnded: () => Promise<boolean>;
};

/**
 * `isRead`: all that was stored has been handed out; `isOver`: and nothing more comes. `lostBehind`, on the last page: the sequence behind which the broker
 * has lost what it had told.
 */
export type Page = { readonly chunks: readonly StoredOutput[]; readonly isRead: boolean; readonly isOver: boolean; readonly lostBehind?: number };

/** By both it is the same chunk: a sequence alone may be used again. */
export type KnownChunk = Pick<StoredOutput, 'sequence' | 'storedAt'>;

export type Reading = {
  readonly task: string | undefined;
  readonly readFrom: number;
  /** Chunks up to there that have been read before, in order. */
  readonly known: readonly KnownChunk[];
  /** Goes on with what comes, until this says no or nothing more comes. */
  readonly follows: () => boolean;
  readonly signal: AbortSignal;
};

/**
 * Output of an execution from a sequence on, page by page: it is asked for, as a consumer of its own for whoever reads would be a load on the broker
 * that clients decide about. A broker that is away is waited for while it is followed; who follows what is deleted has what was read until then. Throws LogError LOG_UNAVAILABLE otherwise, and what `hasEnded` throws.
 */
export async function* outputPages({ output, hasEnded }: Source, ref: ExecutionRef, { task, readFrom, known, follows, signal }: Reading): AsyncGenerator<Page, void, void> {
  let afterSequence = readFrom;
  let isRead = false;
  let told = known;
  let { connectedSince } = output;
  let waitMs: number = LOOK_MS.shortest;
  while (!signal.aborted) {
    const before = afterSequence;
    try {
      // Asked before the output is read: what the last attempt has written is stored by then.
      const ended = await hasEnded();
      const now = output.connectedSince;
      if (now !== connectedSince) {
        const lostBehind = await lossOf(output, ref, task, told);
        if (lostBehind !== undefined) return yield { chunks: [], isRead: false, isOver: false, lostBehind };
        connectedSince = now;
      }
      for (let more = true; more && !signal.aborted; ) {
        const page = await output.read(ref, task, { afterSequence, limit: PAGE });
        told = [...told, ...page.chunks.map(({ sequence, storedAt }) => ({ sequence, storedAt }))].slice(-MAX_TOLD);
        afterSequence = page.chunks[page.chunks.length - 1]?.sequence ?? afterSequence;
        more = page.more;
        isRead = !more;
        yield { chunks: page.chunks, isRead, isOver: ended && isRead };
      }
      if (ended) return;
    } catch (error) {
      if (error instanceof Refused && error.code === 'EXECUTION_DELETED' && follows()) return;
      if (!(error instanceof LogError && error.code === 'LOG_UNAVAILABLE' && follows())) throw error;
    }
    if (!follows()) return;
    waitMs = afterSequence > before ? LOOK_MS.shortest : Math.min(LOOK_MS.longest, waitMs * 1.5);
    await pause(waitMs, undefined, { signal }).catch(() => undefined);
  }
}

/** The sequence behind which what was told is not there any more; undefined where all of it is. */
const lossOf = async (output: Source['output'], ref: ExecutionRef, task: string | undefined, told: readonly KnownChunk[]): Promise<number | undefined> => {
  const isThere = async ({ sequence, storedAt }: KnownChunk): Promise<boolean> => {
    const found = await output.firstFrom(ref, task, sequence);
    return found?.sequence === sequence && found.storedAt === storedAt;
  };
  const [first, last] = [told[0], told[told.length - 1]];
  if (!first || !last || (await isThere(last))) return undefined;
  let [low, high] = [0, told.length - 1];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (await isThere(told[middle] ?? last)) low = middle + 1;
    else high = middle;
  }
  return told[low - 1]?.sequence ?? first.sequence - 1;
};
