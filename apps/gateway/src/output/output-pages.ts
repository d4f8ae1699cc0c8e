import { setTimeout as pause } from 'node:timers/promises';
import type { ExecutionRef } from '#libs/contracts';
import { Refused } from '#libs/execution';
import type { OutputStore, StoredOutput } from '#libs/jetstream';
import { LogError } from '#libs/ledger';

/** Chunks of one read: 3 MiB at most. */
export const PAGE = 100;
const LOOK_MS = { shortest: 100, longest: 1_000 } as const;

export type Source = {
  readonly output: Pick<OutputStore, 'read' | 'last'>;
  /** Whether nothing runs of the execution any more. */
  readonly hasEnded: () => Promise<boolean>;
};

/** `isRead`: all that was stored has been handed out; `isOver`: and nothing more comes. */
export type Page = { readonly chunks: readonly StoredOutput[]; readonly isRead: boolean; readonly isOver: boolean };

export type Reading = {
  readonly task: string | undefined;
  readonly readFrom: number;
  /** Goes on with what comes, until this says no or nothing more comes. */
  readonly follows: () => boolean;
  readonly signal: AbortSignal;
};

/**
 * Output of an execution from a sequence on, page by page: it is asked for, as a consumer of its own for whoever reads would be a load on the broker
 * that clients decide about. A broker that is away is waited for while it is followed; who follows what is deleted has what was read until then. Throws LogError LOG_UNAVAILABLE otherwise, and what `hasEnded` throws.
 */
export async function* outputPages({ output, hasEnded }: Source, ref: ExecutionRef, { task, readFrom, follows, signal }: Reading): AsyncGenerator<Page, void, void> {
  let afterSequence = readFrom;
  let isRead = false;
  let waitMs: number = LOOK_MS.shortest;
  while (!signal.aborted) {
    const before = afterSequence;
    try {
      // Asked before the output is read: what the last attempt has written is stored by then.
      const ended = await hasEnded();
      for (let more = true; more && !signal.aborted; ) {
        const page = await output.read(ref, task, { afterSequence, limit: PAGE });
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
