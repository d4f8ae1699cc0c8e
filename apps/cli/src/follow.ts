import { setTimeout as pause } from 'node:timers/promises';
import type { Reader } from './api.js';
import { type Chunk, type OutputWanted, type ReadEvent, readAllOutput, readEvents } from './executions-api.js';
import { Patience } from './patience.js';

const SHORTEST_MS = 50;
const LONGEST_MS = 1_000;

export type End = 'completed' | 'failed' | 'cancelled';

const ends: Readonly<Record<string, End>> = {
  ExecutionCompleted: 'completed',
  ExecutionFailed: 'failed',
  ExecutionCancelled: 'cancelled',
};

/** Milliseconds until the next look: short while something comes, up to a second while nothing does. */
export const nextPause = (last: number, news: boolean): number =>
  news ? SHORTEST_MS : Math.min(LONGEST_MS, Math.round(last * 1.5));

export type Following = {
  /** What is new, in the order in which it happened. */
  readonly take: (news: readonly (ReadEvent | Chunk)[]) => void;
  /** Said once each time that the server can't be reached. */
  readonly trouble: (message: string) => void;
  readonly signal: AbortSignal;
  /** Which output to follow; undefined: none. */
  readonly output: OutputWanted | undefined;
  /** False: only the output is of interest. */
  readonly events?: boolean;
};

const timeOf = (item: ReadEvent | Chunk): string => ('type' in item ? item.at : item.time);

/** Follows an execution from its beginning to its end. The server may go away in between, not at the start. */
export const follow = async (api: Reader, id: string, following: Following): Promise<End> => {
  const { signal, output, events: wanted = true } = following;
  let [position, outputPosition, wait] = ['0/0', 0, SHORTEST_MS];
  const patience = new Patience(following.trouble);
  let begun = false;

  const look = async (): Promise<{ readonly news: number; readonly end: End | undefined }> => {
    // Output is stored before the event that ends its attempt: read in this order, none is missed.
    const events = await readEvents(api, id, position);
    begun = true;
    const chunks = output === undefined ? [] : await readAllOutput(api, id, outputPosition, output);
    position = events[events.length - 1]?.position ?? position;
    outputPosition = chunks[chunks.length - 1]?.position ?? outputPosition;
    const news = [...(wanted ? events : []), ...chunks].sort((a, b) => Date.parse(timeOf(a)) - Date.parse(timeOf(b)));
    if (news.length > 0) following.take(news);
    const end = events.map(({ type }) => ends[type]).find((known) => known !== undefined);
    return { news: events.length + chunks.length, end };
  };

  for (;;) {
    signal.throwIfAborted();
    let news = false;
    try {
      const seen = await look();
      patience.restored();
      if (seen.end !== undefined) return seen.end;
      news = seen.news > 0;
    } catch (error) {
      if (!begun) throw error;
      patience.bear(error);
    }
    wait = nextPause(wait, news);
    await pause(wait, undefined, { signal });
  }
};
