import { StringDecoder } from 'node:string_decoder';
import { harmless } from '#libs/contracts';
import type { StoredOutput } from '#libs/jetstream';

export const levels = ['debug', 'info', 'warn', 'error'] as const;
export type Level = (typeof levels)[number];

/** A line of a task's output. */
export type OutputLine = {
  /** `<sequence of the chunk that it ended in>/<how many had ended there before>`: the cursor behind it. */
  readonly position: string;
  readonly task: string;
  readonly attempt: number;
  readonly stream: 'stdout' | 'stderr';
  /** What the line calls itself; where it does not, `error` on standard error and `info` on standard output. */
  readonly level: Level;
  /** Of its first byte, as near as that is known. */
  readonly time: string;
  /** Without colours and other sequences for a terminal; what else would steer one stands as a visible sign. */
  readonly text: string;
  /** True where the line is longer than one of these may be, and goes on in the next one of its task and stream. */
  readonly continues?: true;
  /** True where output ends here although the task wrote more. */
  readonly truncated?: true;
};

/** Characters of one line. */
export const MAX_LINE = 16 * 1024;
/** Lines without an end that are held at once; the oldest goes on in a line of its own then. */
const MAX_OPEN = 500;
const NEWLINE = 0x0a;

const named = /\b(?:(TRACE|DEBUG)|(INFO|NOTICE)|(WARN(?:ING)?)|(ERROR|FATAL|CRITICAL|PANIC))\b/;
const byGroup: readonly Level[] = ['debug', 'info', 'warn', 'error'];
const NAMED_WITHIN = 64;

const levelOf = (text: string, stream: 'stdout' | 'stderr'): Level => {
  const groups = named.exec(text.slice(0, NAMED_WITHIN))?.slice(1) ?? [];
  return byGroup[groups.findIndex((group) => group !== undefined)] ?? (stream === 'stderr' ? 'error' : 'info');
};

/** What of a line was read; `chunk` is the one that it began in. */
type Open = { chunk: StoredOutput; readonly decoder: StringDecoder; text: string };

/** Up to where a piece of a long line goes: no character is cut in two. */
const endOfPiece = (text: string, from: number): number => {
  const end = from + MAX_LINE;
  const last = text.charCodeAt(end - 1);
  return last >= 0xd800 && last < 0xdc00 ? end - 1 : end;
};

/** Puts lines together of chunks in the order in which they are stored. Of every task and stream it holds one line at most, and 500 in all. */
export class LineReader {
  private readonly open = new Map<string, Open>();
  private sequence = 0;
  private ended = 0;

  /** True where all that was written has its end of line: whoever begins to read here reads the same lines. */
  get isAtStartOfLine(): boolean {
    return this.open.size === 0;
  }

  /** Lines that end with this chunk. */
  *take(chunk: StoredOutput): Generator<OutputLine, void, void> {
    const { task, attempt, stream, sequence } = chunk;
    if (sequence !== this.sequence) this.ended = 0;
    this.sequence = sequence;
    const key = `${task}/${attempt}/${stream}`;
    // What an attempt has not ended, its successor does not go on with; nor does the other stream where a chunk says that none is open there.
    yield* this.closeAll((other, otherKey) => other.chunk.task === task && otherKey !== key && (chunk.otherEnded === true || chunk.truncated || other.chunk.attempt < attempt));
    const open = this.open.get(key) ?? { chunk, decoder: new StringDecoder('utf8'), text: '' };
    this.open.set(key, open);
    if (open.text === '') open.chunk = chunk;
    const parts = (open.text + open.decoder.write(Buffer.from(chunk.bytes))).split('\n');
    open.text = parts.pop() ?? '';
    for (const part of parts) {
      yield* this.cut(open, part, chunk.truncated);
      open.chunk = chunk;
    }
    while (open.text.length > MAX_LINE) {
      const end = endOfPiece(open.text, 0);
      yield this.line(open, open.text.slice(0, end), { continues: true });
      open.text = open.text.slice(end);
    }
    if (chunk.truncated) yield* this.close(key, open);
    else if (chunk.bytes[chunk.bytes.length - 1] === NEWLINE) this.open.delete(key);
    if (this.open.size > MAX_OPEN) yield* this.leaveOldest();
  }

  /** No more follows: what has no end of its own ends here. */
  *end(): Generator<OutputLine, void, void> {
    yield* this.closeAll(() => true);
  }

  /** In the order in which the lines began, whatever was read before them. */
  private *closeAll(isOver: (open: Open, key: string) => boolean): Generator<OutputLine, void, void> {
    const over = [...this.open].filter(([key, open]) => isOver(open, key));
    if (over.length > 1) over.sort(([, one], [, other]) => one.chunk.sequence - other.chunk.sequence);
    for (const [key, open] of over) yield* this.close(key, open);
  }

  private *close(key: string, open: Open): Generator<OutputLine, void, void> {
    this.open.delete(key);
    const text = open.text + open.decoder.end();
    if (text !== '') yield* this.cut(open, text, false);
  }

  private *leaveOldest(): Generator<OutputLine, void, void> {
    const [[key, open] = []] = this.open;
    if (key === undefined || open === undefined) return;
    this.open.delete(key);
    if (open.text !== '') yield this.line(open, open.text, { continues: true });
  }

  private *cut(open: Open, text: string, truncated: boolean): Generator<OutputLine, void, void> {
    let from = 0;
    for (let end; text.length - from > MAX_LINE; from = end) {
      end = endOfPiece(text, from);
      yield this.line(open, text.slice(from, end), { continues: true });
    }
    yield this.line(open, text.slice(from).replace(/\r$/, ''), truncated ? { truncated: true } : {});
  }

  private line({ chunk: { task, attempt, stream, time } }: Open, raw: string, more: Pick<OutputLine, 'continues' | 'truncated'>): OutputLine {
    const text = harmless(raw);
    return { position: `${this.sequence}/${this.ended++}`, task, attempt, stream, level: levelOf(text, stream), time, text, ...more };
  }
}
