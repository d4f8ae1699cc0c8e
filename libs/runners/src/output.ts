import type { Attempt, OutputChunk, OutputStream } from './runner.js';

const CHUNK_BYTES = 32 * 1024;
const FLUSH_MS = 50;
/** Chunks handed to the sink that it has not settled; reading pauses at this many. */
const WINDOW = 4;
/** Changes of stream kept in order within one flush; beyond, a stream's bytes gather, so that chunks stay few. */
const MAX_SEGMENTS = 16;
const NEWLINE = 0x0a;

type Segment = { readonly stream: OutputStream; readonly time: string; readonly parts: Uint8Array[] };

/**
 * Cuts what a command writes into chunks and hands them to the attempt's sink: at 32 KiB or 50 ms after the first
 * byte, numbered in the order read, byte for byte. At most `limit` bytes are kept; then one last chunk says so and the
 * rest is dropped. A sink that rejects costs its chunk, never the command.
 */
export class Output {
  /** Everything read, also what was dropped. */
  bytes = 0;
  truncated = false;
  /** Chunks the sink rejected, or had not settled when `finish` stopped waiting. */
  lostChunks = 0;

  readonly #attempt: Pick<Attempt, 'attempt' | 'output'>;
  readonly #limit: number;
  readonly #pause: (paused: boolean) => void;
  #segments: Segment[] = [];
  #buffered = 0;
  #timer: NodeJS.Timeout | undefined;
  #queue: OutputChunk[] = [];
  #number = 0;
  /** Streams in the middle of a line. */
  readonly #midLine = new Set<OutputStream>();
  #pending = 0;
  #paused = false;
  #closed = false;
  #settled: () => void = () => {};

  /** `pause` is told to stop reading (true) and to go on (false). */
  constructor(attempt: Pick<Attempt, 'attempt' | 'output'>, limit: number, pause: (paused: boolean) => void) {
    this.#attempt = attempt;
    this.#limit = limit;
    this.#pause = pause;
  }

  write(stream: OutputStream, bytes: Uint8Array): void {
    const room = this.#limit - this.bytes;
    this.bytes += bytes.length;
    if (this.truncated || this.#closed) return;
    if (bytes.length <= room) return this.#keep(stream, bytes);
    if (room > 0) this.#keep(stream, bytes.subarray(0, room));
    this.#flush();
    this.truncated = true;
    const notice = Buffer.from(`[runledger] output truncated after ${this.#limit} bytes\n`);
    this.#cut({ stream: 'stderr', time: new Date().toISOString(), parts: [notice] });
    this.#send();
  }

  /** Hands over what is left and waits for the sink, at most so long. Nothing is sent afterwards. */
  async finish(withinMs: number): Promise<void> {
    this.#flush();
    if (this.#pending > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, withinMs);
        this.#settled = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.#closed = true;
    this.lostChunks += this.#pending + this.#queue.length;
    this.#queue = [];
  }

  #keep(stream: OutputStream, bytes: Uint8Array): void {
    const last = this.#segments.at(-1);
    const segment =
      this.#segments.length < MAX_SEGMENTS
        ? last?.stream === stream && last
        : this.#segments.findLast((open) => open.stream === stream);
    if (segment) segment.parts.push(bytes);
    else this.#segments.push({ stream, time: new Date().toISOString(), parts: [bytes] });
    this.#buffered += bytes.length;
    if (this.#buffered >= CHUNK_BYTES) this.#flush();
    else this.#timer ??= setTimeout(() => this.#flush(), FLUSH_MS);
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const segment of this.#segments) this.#cut(segment);
    this.#segments = [];
    this.#buffered = 0;
    this.#send();
  }

  #cut({ stream, time, parts }: Segment): void {
    const bytes = Buffer.concat(parts);
    for (let from = 0; from < bytes.length; from += CHUNK_BYTES) {
      const piece = bytes.subarray(from, from + CHUNK_BYTES);
      if (piece.at(-1) === NEWLINE) this.#midLine.delete(stream);
      else this.#midLine.add(stream);
      this.#queue.push({
        attempt: this.#attempt.attempt,
        stream,
        chunk: ++this.#number,
        time,
        truncated: this.truncated,
        // What was cut off is not gone on with.
        otherEnded: this.truncated || !this.#midLine.has(stream === 'stdout' ? 'stderr' : 'stdout'),
        bytes: piece,
      });
    }
  }

  #send(): void {
    while (this.#pending < WINDOW && !this.#closed) {
      const chunk = this.#queue.shift();
      if (!chunk) break;
      this.#pending += 1;
      void this.#deliver(chunk);
    }
    const full = this.#pending >= WINDOW && !this.truncated;
    if (full !== this.#paused) this.#pause((this.#paused = full));
    if (this.#pending === 0) this.#settled();
  }

  async #deliver(chunk: OutputChunk): Promise<void> {
    let lost = 0;
    try {
      await this.#attempt.output(chunk);
    } catch {
      lost = 1;
    }
    if (this.#closed) return;
    this.lostChunks += lost;
    this.#pending -= 1;
    this.#send();
  }
}
