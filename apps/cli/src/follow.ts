import { setTimeout as pause } from 'node:timers/promises';
import type { Api } from './api.js';
import { ChangeSignal } from './change-signal.js';
import { type Chunk, type OutputWanted, type ReadEvent, pathOf, readAllOutput, readEvents } from './executions-api.js';
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

/** What has an end, and may write until then. */
const opens = /^TaskStarted$/;
const closes = /^Task(Completed|Failed|TimedOut|Cancelled)$/;

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

/**
 * Follows an execution from its beginning to its end. The server may go away in between, not at the start. Events are read when its
 * stream says that there are some, or now and then while there is no stream; output also while a task runs, as no event tells of it.
 */
export const follow = async (api: Pick<Api, 'get' | 'download'>, id: string, following: Following): Promise<End> => {
  const { signal, output, events: wanted = true } = following;
  let [position, outputPosition, wait] = ['0/0', 0, SHORTEST_MS];
  const patience = new Patience(following.trouble);
  const changes = new ChangeSignal(api, `${pathOf(id)}/stream`);
  const running = new Set<string>();
  let begun = false;

  const look = async (forEvents: boolean): Promise<{ readonly news: number; readonly end: End | undefined }> => {
    // Output is stored before the event that ends its attempt: read in this order, none is missed.
    const events = forEvents ? await readEvents(api, id, position) : [];
    begun = true;
    const chunks = output === undefined ? [] : await readAllOutput(api, id, outputPosition, output);
    position = events[events.length - 1]?.position ?? position;
    outputPosition = chunks[chunks.length - 1]?.position ?? outputPosition;
    for (const { type, data } of events) {
      if (!('taskId' in data) || data.taskId === undefined) continue;
      if (opens.test(type)) running.add(data.taskId);
      if (closes.test(type)) running.delete(data.taskId);
    }
    const news = [...(wanted ? events : []), ...chunks].sort((a, b) => Date.parse(timeOf(a)) - Date.parse(timeOf(b)));
    if (news.length > 0) following.take(news);
    const end = events.map(({ type }) => ends[type]).find((known) => known !== undefined);
    return { news: events.length + chunks.length, end };
  };

  try {
    for (let isDue = true; ; isDue = changes.taken() || isDue) {
      signal.throwIfAborted();
      let news = false;
      try {
        const seen = await look(isDue);
        patience.restored();
        if (seen.end !== undefined) return seen.end;
        news = seen.news > 0;
        isDue = false;
        changes.open(position);
      } catch (error) {
        if (!begun) throw error;
        patience.bear(error);
        isDue = true;
      }
      wait = nextPause(wait, news);
      // What comes in a burst is read at once.
      await pause(SHORTEST_MS, undefined, { signal });
      const isQuiet = changes.isLive && !isDue && (output === undefined || running.size === 0);
      await changes.wait(isQuiet ? undefined : wait, signal);
      isDue ||= !changes.isLive;
    }
  } finally {
    changes.close();
  }
};
