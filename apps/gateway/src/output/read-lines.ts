import { setTimeout as pause } from 'node:timers/promises';
import type { ExecutionRef } from '#libs/contracts';
import type { OutputStore } from '#libs/jetstream';
import { LineReader, type OutputLine } from './lines.js';
import { type LinesQuery, isWanted } from './lines-query.js';

/** Chunks of one read. */
const PAGE = 100;
const LOOK_MS = { shortest: 100, longest: 1_000 } as const;
/** Who follows is sent away after this time, and comes back with a cursor: what they may see is checked anew then. */
const FOLLOW_MS = 10 * 60_000;

export type Source = {
  readonly output: Pick<OutputStore, 'read'>;
  /** Whether nothing runs of the execution any more. */
  readonly hasEnded: () => Promise<boolean>;
};

/**
 * Lines in the order in which they ended, those that are there, and with `follow` those that come, until the execution has ended. All of its output is
 * read for that, from the beginning: a line is the same whoever asks for it, and since when.
 */
async function* lines({ output, hasEnded }: Source, ref: ExecutionRef, { task, follow }: LinesQuery, signal: AbortSignal): AsyncGenerator<OutputLine, void, void> {
  const reader = new LineReader();
  const until = Date.now() + FOLLOW_MS;
  let afterSequence = 0;
  let waitMs: number = LOOK_MS.shortest;
  while (!signal.aborted) {
    // Asked before the output is read: what the last attempt has written is stored by then.
    const isOver = await hasEnded();
    const begun = afterSequence;
    for (let more = true; more && !signal.aborted; ) {
      const page = await output.read(ref, task, { afterSequence, limit: PAGE });
      for (const chunk of page.chunks) yield* reader.take(chunk);
      afterSequence = page.chunks[page.chunks.length - 1]?.sequence ?? afterSequence;
      more = page.more;
    }
    if (isOver) yield* reader.end();
    if (isOver || !follow || Date.now() > until) return;
    waitMs = afterSequence > begun ? LOOK_MS.shortest : Math.min(LOOK_MS.longest, waitMs * 1.5);
    await pause(waitMs, undefined, { signal }).catch(() => undefined);
  }
}

const written = (form: LinesQuery['form'], line: OutputLine): string => (form === 'text' ? `${line.text}\n` : `${JSON.stringify(line)}\n`);

/** What the answer consists of. Throws LogError LOG_UNAVAILABLE. */
export async function* readLines(source: Source, ref: ExecutionRef, query: LinesQuery, signal: AbortSignal): AsyncGenerator<string, void, void> {
  const { tail, follow, form } = query;
  if (tail !== undefined) {
    const last: OutputLine[] = [];
    for await (const line of lines(source, ref, { ...query, follow: false }, signal)) {
      if (isWanted(query, line)) last.push(line);
      if (last.length > 2 * tail) last.splice(0, last.length - tail);
    }
    const shown = last.slice(-tail);
    for (const line of shown) yield written(form, line);
    if (!follow) return;
    const [sequence = 0, index = 0] = shown[shown.length - 1]?.position.split('/').map(Number) ?? [];
    if (shown.length > 0) return yield* readLines(source, ref, { ...query, tail: undefined, after: { sequence, index } }, signal);
  }
  for await (const line of lines(source, ref, query, signal)) if (isWanted(query, line)) yield written(form, line);
}
