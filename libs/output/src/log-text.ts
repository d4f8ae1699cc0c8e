import type { ExecutionRef } from '#libs/contracts';
import type { OutputStore, StoredOutput } from '#libs/jetstream';
import { LogError } from '#libs/ledger';
import { LineReader, type OutputLine } from './lines.js';

/** Chunks of one read: 3 MiB at most. */
const PAGE = 100;
const CUT = '[runledger] not all of it: the rest does not fit into one artifact\n';

type Source = Pick<OutputStore, 'read' | 'lastSequence'>;

const written = ({ time, task, attempt, stream, text }: OutputLine): string => `${time} ${task}/${attempt} ${stream} ${text}\n`;

async function* chunksOf(output: Source, ref: ExecutionRef, signal: AbortSignal): AsyncGenerator<StoredOutput | undefined> {
  const lastSequence = await output.lastSequence(ref);
  let afterSequence = 0;
  for (let more = true; more; ) {
    signal.throwIfAborted();
    const page = await output.read(ref, undefined, { afterSequence, limit: PAGE });
    yield* page.chunks;
    afterSequence = page.chunks[page.chunks.length - 1]?.sequence ?? afterSequence;
    ({ more } = page);
  }
  if (afterSequence < lastSequence) throw new LogError('LOG_UNAVAILABLE', `output was read up to ${afterSequence}, and there is more up to ${lastSequence}`);
  yield undefined;
}

/**
 * All output of an execution as text, a line each of `<time> <task>/<attempt> <stream> <text>`, in the order in which they ended: what
 * `output/lines` tells. Where there is more than `maxBytes`, the last line says so. Holds a page at most. Throws LogError LOG_UNAVAILABLE.
 */
export async function* logText(output: Source, ref: ExecutionRef, { maxBytes, signal }: { readonly maxBytes: number; readonly signal: AbortSignal }): AsyncGenerator<Uint8Array> {
  const reader = new LineReader();
  let room = maxBytes - CUT.length;
  for await (const chunk of chunksOf(output, ref, signal)) {
    for (const line of chunk ? reader.take(chunk) : reader.end()) {
      const bytes = Buffer.from(written(line));
      room -= bytes.length;
      if (room < 0) return yield Buffer.from(CUT);
      yield bytes;
    }
  }
}
