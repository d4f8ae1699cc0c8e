import { StringDecoder } from 'node:string_decoder';
import { setTimeout as pause } from 'node:timers/promises';
import type { Api, Query } from './api.js';
import { CliError } from './cli-error.js';
import { EXIT } from './exit-codes.js';
import { pathOf } from './executions-api.js';
import { Patience } from './patience.js';

const RETRY_MS = 500;

export type Line = {
  readonly position: string;
  readonly task: string;
  readonly stream: 'stdout' | 'stderr';
  readonly text: string;
  readonly continues?: true;
};

/** Behind what to go on; `lost` where what was told behind it is gone. */
type Next = { readonly next: string; readonly lost?: boolean };

export type LinesWanted = Query & { readonly tail?: number; readonly follow?: 'true' };

type LinesReading = {
  readonly signal: AbortSignal;
  /** Said once each time that the server can't be reached. */
  readonly trouble: (message: string) => void;
};

const lost = (error: unknown): CliError => new CliError(EXIT.unavailable, 'CONNECTION_LOST', `the answer broke off (${(error as Error).message})`);

/** One answer, as long as it comes. Throws CliError where it breaks off; what it left half a line is dropped. */
async function* answer(api: Pick<Api, 'download'>, path: string, query: Query, signal: AbortSignal): AsyncGenerator<Line | Next> {
  const body = await api.download(path, query);
  const leave = (): void => void body.destroy();
  signal.addEventListener('abort', leave);
  const decoder = new StringDecoder('utf8');
  let open = '';
  const pieces = body[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  try {
    for (;;) {
      const piece = await pieces.next().catch((error: unknown) => Promise.reject(lost(error)));
      if (piece.done) return;
      const lines = (open + decoder.write(piece.value)).split('\n');
      open = lines.pop() ?? '';
      for (const text of lines) if (text !== '') yield JSON.parse(text) as Line | Next;
    }
  } finally {
    signal.removeEventListener('abort', leave);
    leave();
  }
}

/** Lines that fit, each once, over as many answers as it takes; the server may go away in between, not at the start. Throws CliError. */
export async function* readLines(api: Pick<Api, 'download'>, id: string, wanted: LinesWanted, { signal, trouble }: LinesReading): AsyncGenerator<Line> {
  const patience = new Patience(trouble);
  let query: LinesWanted = wanted;
  let hasBegun = false;
  for (;;) {
    signal.throwIfAborted();
    let goesOn = false;
    try {
      for await (const line of answer(api, `${pathOf(id)}/output/lines`, query, signal)) {
        const { tail: _, ...rest } = query;
        hasBegun = true;
        patience.restored();
        goesOn = 'next' in line;
        query = { ...rest, after: 'next' in line ? line.next : line.position };
        if (!('next' in line)) yield line;
        else if (line.lost) trouble('the broker has lost the last of the output that was told; what follows was written afterwards');
      }
      signal.throwIfAborted();
      if (!goesOn) return;
    } catch (error) {
      if (!hasBegun || signal.aborted) throw error;
      patience.bear(error);
      await pause(RETRY_MS, undefined, { signal });
    }
  }
}
