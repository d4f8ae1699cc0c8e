import { setImmediate as othersTurn } from 'node:timers/promises';
import type { ExecutionRef } from '#libs/contracts';
import { LineReader, type OutputLine } from '#libs/output';
import type { LastLines } from './last-lines.js';
import { type LinesCursor, type LinesQuery, isBehind, isWanted, positionOf } from './lines-query.js';
import { type KnownChunk, type Source, outputPages } from './output-pages.js';
import { LINES_A_TURN, readEnd } from './read-end.js';

/** Who follows is sent away after this time, and comes back with a cursor. */
const FOLLOW_MS = 10 * 60_000;
/** Output in which one answer looks in vain, in bytes; what is asked for paces itself by whoever reads it. */
export const MAX_IN_VAIN = 64 * 1024 * 1024;
const BEAT_MS = 15_000;
/** Of lines that end with one chunk. */
const MAX_INDEX = 999_999;
const START: LinesCursor = { sequence: 0, index: 0, readFrom: 0 };
/** Characters handed on at once: lines one by one would cost more to send than to find. */
const PIECE = 32 * 1024;

type LinesReader = {
  readonly signal: AbortSignal;
  /** Whether who follows may still read. */
  readonly counts: () => boolean;
};

const written = (form: LinesQuery['form'], line: OutputLine): string => (form === 'text' ? `${line.text}\n` : `${JSON.stringify(line)}\n`);

const goOn = (form: LinesQuery['form'], { sequence, index, readFrom }: LinesCursor, lost = false): string => {
  const next = `${sequence}/${index}@${readFrom}`;
  if (lost) return form === 'text' ? `[runledger] the broker has lost the last of it: go on with after=${next}\n` : `${JSON.stringify({ next, lost })}\n`;
  return form === 'text' ? `[runledger] not all of it: go on with after=${next}\n` : `${JSON.stringify({ next })}\n`;
};

/**
 * What the answer consists of: lines in the order in which they ended, those that are there, and with `follow` those that come, until the execution has
 * ended. A line is the same whoever asks for it, and since when. Where it ends before, its last line says behind what to go on. Throws LogError
 * LOG_UNAVAILABLE.
 */
export async function* readLines(source: Source, ref: ExecutionRef, query: LinesQuery, { signal, counts }: LinesReader): AsyncGenerator<string, void, void> {
  const { task, follow, form, limit = Infinity } = query;
  const until = Date.now() + FOLLOW_MS;
  let reader = new LineReader();
  let tail: LastLines | undefined;
  let cursor = query.after;
  let readFrom = cursor.readFrom;
  let known: readonly KnownChunk[] = [];
  let [given, looked, inVain, beatenAt] = [0, 0, 0, Date.now()];
  let piece = '';
  let last: OutputLine | undefined;
  const behind = (): LinesCursor => (last ? { ...positionOf(last), readFrom: cursor.readFrom } : cursor);
  let wasOver = false;
  // Who follows silence has the head of the answer all the same.
  if (follow) yield '';
  const follows = (): boolean => follow && Date.now() < until && counts() && !signal.aborted;

  const beyond = query.after.sequence === 0 ? undefined : await endBefore(source.output, ref, query.after.sequence);
  if (beyond !== undefined) return yield goOn(form, beyond, true);
  if (query.tail !== undefined) ({ reader, tail, cursor, readFrom, known } = await readEnd(source.output, ref, query, query.tail, signal));

  for await (const { chunks, isRead, isOver, lostBehind } of outputPages(source, ref, { task, readFrom, known, follows, signal })) {
    if (lostBehind !== undefined) return yield goOn(form, behindChunk(lostBehind, cursor.readFrom), true);
    const before = given;
    // Behind the last chunk comes what has no end of line.
    for (const chunk of isOver ? [...chunks, undefined] : chunks) {
      await othersTurn();
      for (const line of chunk ? reader.take(chunk) : reader.end()) {
        if (++looked % LINES_A_TURN === 0) await othersTurn();
        // Behind the first that is all are.
        if (!last && !isBehind(query.after, line)) continue;
        last = line;
        if (!isWanted(query, line)) continue;
        if (tail) {
          tail.add(line);
          continue;
        }
        piece += written(form, line);
        if (++given >= limit) return yield piece + goOn(form, behind());
        if (piece.length < PIECE) continue;
        yield piece;
        piece = '';
      }
      if (piece !== '') yield piece;
      piece = '';
      if (chunk && reader.isAtStartOfLine) cursor = { ...cursor, readFrom: chunk.sequence };
      inVain = given > before ? 0 : inVain + (chunk?.bytes.length ?? 0);
      // Only where the next answer begins behind where this one has.
      if (!tail && !follow && inVain > MAX_IN_VAIN && cursor.readFrom > query.after.readFrom && chunk) return yield goOn(form, behind());
    }
    if (isRead && tail) {
      for (const line of tail.lines) {
        piece += written(form, line);
        if (piece.length < PIECE) continue;
        yield piece;
        piece = '';
      }
      if (piece !== '') yield piece;
      piece = '';
      tail = undefined;
    }
    // A line of nothing keeps what lies between from taking silence for the end.
    if (given > before) beatenAt = Date.now();
    else if (form === 'ndjson' && Date.now() - beatenAt > BEAT_MS) {
      beatenAt = Date.now();
      yield '\n';
    }
    wasOver = isOver;
  }
  if (follow && !wasOver && !signal.aborted) yield goOn(form, behind());
}

/** Behind all lines that end with a chunk. */
const behindChunk = (sequence: number, readFrom: number): LinesCursor => (sequence === 0 ? START : { sequence, index: MAX_INDEX, readFrom: readFrom <= sequence ? readFrom : 0 });

/** Where output ends, if that is before a place that was told: a broker that was killed has lost what was there. */
const endBefore = async (output: Source['output'], ref: ExecutionRef, sequence: number): Promise<LinesCursor | undefined> => {
  const end = await output.lastSequence(ref);
  return end < sequence ? behindChunk(end, 0) : undefined;
};
