import { setImmediate as othersTurn } from 'node:timers/promises';
import type { ExecutionRef } from '#libs/contracts';
import type { StoredOutput } from '#libs/jetstream';
import type { EventPosition } from '../request-query.js';
import { LastLines, MAX_TAIL_CHARACTERS } from './last-lines.js';
import { LineReader, type OutputLine } from '#libs/output';
import { type LinesCursor, type LinesQuery, isBehind, isWanted, positionOf } from './lines-query.js';
import { type KnownChunk, PAGE, type Source } from './output-pages.js';

/** Sequences of the first window, and how much more each one before has. */
const WINDOW = { first: 8, growth: 4 } as const;
/** Of more tasks more lines could be open than are held, and then where a line ends depends on all that was before. */
const MAX_TASKS = 250;
/** Then it is others' turn: a chunk may be 32 Ki lines, none of which is wanted. */
export const LINES_A_TURN = 500;

type Output = Source['output'];

/** Up to where it was read, with what was there to be had, and what goes on from there. */
export type End = {
  readonly reader: LineReader;
  readonly tail: LastLines;
  readonly cursor: LinesCursor;
  readonly readFrom: number;
  readonly known: readonly KnownChunk[];
};

/**
 * The last lines that fit, looked for from the end on: the same ones as who reads all of it finds, with what is read bounded by where they are.
 * Throws LogError LOG_UNAVAILABLE.
 */
export const readEnd = async (output: Output, ref: ExecutionRef, query: LinesQuery, most: number, signal: AbortSignal): Promise<End> => {
  const { task, after } = query;
  const tail = new LastLines(most);
  const lasts = await output.last(ref, task, { tasks: MAX_TASKS });
  if (lasts === undefined || lasts.length === 0) return { reader: new LineReader(), tail, cursor: after, readFrom: after.readFrom, known: [] };

  const end = Math.max(...lasts.map(({ sequence }) => sequence));
  const found: (readonly OutputLine[])[] = [];
  let [wanted, characters] = [most, MAX_TAIL_CHARACTERS];
  let reader: LineReader | undefined;
  let last: EventPosition | undefined;
  let wholeUpTo: number | undefined;
  // No line that is wanted has ended before the cursor.
  const least = Math.max(1, after.sequence);
  for (let [upTo, width] = [end, WINDOW.first]; ; width *= WINDOW.growth) {
    const from = Math.max(least, upTo - width + 1);
    const before = (await output.last(ref, task, { upTo: from - 1, tasks: MAX_TASKS })) ?? [];
    const window = await readWindow({ output, ref, query, signal }, { from, upTo, before, lines: new LastLines(wanted, characters) });
    reader ??= window.reader;
    last ??= window.last;
    wholeUpTo ??= window.wholeUpTo;
    const { lines, isFull } = window.lines;
    found.unshift(lines);
    wanted -= lines.length;
    for (const { text } of lines) characters -= text.length;
    if (isFull || wanted === 0 || from === least || before.length === 0 || signal.aborted) break;
    upTo = from - 1;
  }
  for (const line of found.flat()) tail.add(line);
  return { reader, tail, cursor: { ...(last ?? after), readFrom: wholeUpTo ?? after.readFrom }, readFrom: Math.max(end, after.readFrom), known: lasts };
};

type Reads = { readonly output: Output; readonly ref: ExecutionRef; readonly query: LinesQuery; readonly signal: AbortSignal };

type Window = {
  readonly from: number;
  readonly upTo: number;
  /** Of each task the last chunk before. */
  readonly before: readonly StoredOutput[];
  readonly lines: LastLines;
};

type WindowRead = {
  readonly reader: LineReader;
  readonly lines: LastLines;
  /** The last line behind the cursor, be it wanted or not. */
  readonly last: EventPosition | undefined;
  /** Sequence of the last chunk behind which no line was open. */
  readonly wholeUpTo: number | undefined;
};

const readWindow = async (reads: Reads, { from, upTo, before, lines }: Window): Promise<WindowRead> => {
  const { query, signal } = reads;
  const reader = new LineReader();
  for (const chunk of before) if (!endsAllLines(chunk)) await takeOpenLines(reads, reader, chunk);
  let last: OutputLine | undefined;
  let looked = 0;
  let wholeUpTo = reader.isAtStartOfLine ? from - 1 : undefined;
  for await (const chunk of chunksOf(reads, query.task, from - 1, upTo)) {
    if (signal.aborted) break;
    for (const line of reader.take(chunk)) {
      if (++looked % LINES_A_TURN === 0) await othersTurn();
      // Behind the first that is all are.
      if (!last && !isBehind(query.after, line)) continue;
      last = line;
      if (isWanted(query, line)) lines.add(line);
    }
    if (reader.isAtStartOfLine) wholeUpTo = chunk.sequence;
  }
  return { reader, lines, last: last && positionOf(last), wholeUpTo };
};

const NEWLINE = 0x0a;

const endsAllLines = ({ bytes, otherEnded, truncated }: StoredOutput): boolean => truncated || (otherEnded === true && bytes[bytes.length - 1] === NEWLINE);

/** True where what is open behind a chunk follows from the chunk. */
const isKnownBehind = (chunk: StoredOutput): boolean => chunk.truncated || (chunk.otherEnded === true && chunk.bytes.includes(NEWLINE));

/** Makes a reader hold the lines that are open behind a task's chunk, as if it had read everything. */
const takeOpenLines = async (reads: Reads, reader: LineReader, last: StoredOutput): Promise<void> => {
  const start = await lastKnownBehind(reads, last);
  if (start && !start.truncated) {
    const bytes = start.bytes.subarray(start.bytes.lastIndexOf(NEWLINE) + 1);
    if (bytes.length > 0) for (const _ of reader.take({ ...start, bytes }));
  }
  for await (const chunk of chunksOf(reads, last.task, start?.sequence ?? 0, last.sequence)) {
    if (reads.signal.aborted) return;
    for (const _ of reader.take(chunk));
  }
};

/** Of the task this chunk, or one before it; undefined where there is none. */
const lastKnownBehind = async ({ output, ref }: Reads, last: StoredOutput): Promise<StoredOutput | undefined> => {
  let chunk: StoredOutput | undefined = last;
  for (let step = 1; chunk && !isKnownBehind(chunk); step *= 2) {
    [chunk] = (await output.last(ref, last.task, { upTo: chunk.sequence - step, tasks: 1 })) ?? [];
  }
  return chunk;
};

async function* chunksOf({ output, ref }: Reads, task: string | undefined, after: number, upTo: number): AsyncGenerator<StoredOutput, void, void> {
  for (let afterSequence = after; afterSequence < upTo; ) {
    const { chunks, more } = await output.read(ref, task, { afterSequence, limit: PAGE });
    for (const chunk of chunks) {
      if (chunk.sequence > upTo) return;
      await othersTurn();
      yield chunk;
      afterSequence = chunk.sequence;
    }
    if (!more) return;
  }
}
