import { LogError } from '#libs/ledger';
import type { Nats } from './connection.js';
import { OrderedPull } from './pull.js';
import { type LeaderMessage, directRange, jetStreamApi, leaderGet } from './read.js';

/** A place in the log: sequence of a commit and index of one of its events. */
export type FeedPlace = { readonly sequence: number; readonly index: number };

/** Before everything. */
export const FEED_START: FeedPlace = { sequence: 0, index: -1 };

export const isBehind = (a: FeedPlace, b: FeedPlace): boolean => a.sequence > b.sequence || (a.sequence === b.sequence && a.index > b.index);

const RETRY_MS = 250;
const BATCH_MAX = 500;

const placeOf = (text: string | undefined): FeedPlace => {
  const [sequence = 0, index = -1] = (text ?? '0/-1').split('/').map(Number);
  return { sequence, index };
};

const placeIn = ({ headers }: LeaderMessage): FeedPlace => placeOf(/^Runledger-Position: *(\S+)/im.exec(headers)?.[1]);

export type FeedFollowing = {
  /** Where to go on; undefined: `backlog` events before the end. */
  readonly place: () => FeedPlace | undefined;
  readonly backlog: number;
  /**
   * A delivery begins. `from`: all events of the feed behind it are going to be delivered, in order. Where that is behind the place
   * that was asked for, events between them are no longer there. What was delivered before may come again.
   */
  readonly opened: (from: FeedPlace) => Promise<void>;
  /** Bodies of events, as they were published. The next call waits for the promise. */
  readonly take: (bodies: readonly Uint8Array[]) => Promise<void>;
};

/** Reads the public feed: stream FEED, one CloudEvent a message, in the order of their places in the log. */
export class FeedReader {
  constructor(private readonly nats: Nats) {}

  /** Goes on by itself until it is stopped, also when the broker was away or the feed was rebuilt. */
  follow(following: FeedFollowing): { readonly stop: () => Promise<void> } {
    let stopped = false;
    let pull: OrderedPull | undefined;
    let endPause = (): void => undefined;
    const run = async (): Promise<void> => {
      while (!stopped) {
        try {
          const { next, from } = await this.begin(following.place(), following.backlog);
          pull = await OrderedPull.open(this.nats, 'FEED', ['events.>'], next);
          await following.opened(from);
          while (!stopped) {
            const messages = await pull.next(BATCH_MAX);
            if (!stopped && messages.length > 0) await following.take(messages.map(({ data }) => data));
          }
        } catch {
          // The broker is away, or the consumer was lost with it: made anew until it is stopped.
        }
        pull?.close();
        if (stopped) return;
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, RETRY_MS);
          endPause = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
    };
    const running = run();
    return {
      stop: async () => {
        stopped = true;
        pull?.close();
        endPause();
        await running;
      },
    };
  }

  /**
   * A tenant's events behind a place, in order, at least one page of them where there are that many; and the place up to which none
   * is missing. Undefined where the feed no longer holds what came behind that place. Throws LogError LOG_UNAVAILABLE.
   */
  async page(tenant: string, after: FeedPlace, limit: number): Promise<{ readonly bodies: readonly Uint8Array[]; readonly upTo: FeedPlace } | undefined> {
    const end = await this.end();
    const { next, from } = await this.begin(after, 0);
    if (isBehind(from, after)) return undefined;
    const { messages, more } = await directRange(this.nats, 'FEED', `events.${tenant}.>`, { from: next, limit });
    const last = messages[messages.length - 1];
    const upTo = placeOf(last?.header('Runledger-Position'));
    return { bodies: messages.map(({ data }) => data), upTo: more || !isBehind(end, upTo) ? upTo : end };
  }

  /** Whether the feed holds all that came behind a place. Throws LogError LOG_UNAVAILABLE. */
  async reachesBack(place: FeedPlace): Promise<boolean> {
    return !isBehind((await this.begin(place, 0)).from, place);
  }

  /** Place of the last event. */
  private async end(): Promise<FeedPlace> {
    const last = await leaderGet(this.nats, 'FEED', { last_by_subj: 'events.>' });
    return last ? placeIn(last) : FEED_START;
  }

  /** The sequence of FEED to read from, and the place that this is behind of. */
  private async begin(after: FeedPlace | undefined, backlog: number): Promise<{ readonly next: number; readonly from: FeedPlace }> {
    type Info = { readonly state?: { readonly first_seq: number; readonly last_seq: number; readonly messages: number } };
    const { state } = await jetStreamApi<Info>(this.nats, 'FEED', 'STREAM.INFO.FEED', undefined);
    if (!state) throw new LogError('LOG_UNAVAILABLE', 'stream FEED is not there; provision the broker first');
    const { first_seq: first, last_seq: last, messages } = state;
    // It is to be built anew, from the start.
    if (messages === 0) return { next: last + 1, from: after ?? FEED_START };
    const next = after === undefined ? Math.max(first, last + 1 - backlog) : await this.firstBehind(after, first, last);
    if (next > first) return { next, from: after ?? (await this.placeAt(next - 1)) };
    return { next: first, from: (await this.beginsWithTheLog(first)) ? (after ?? FEED_START) : later(await this.placeAt(first), after) };
  }

  /** By halves: places only grow. */
  private async firstBehind(after: FeedPlace, first: number, last: number): Promise<number> {
    let [low, high] = [first, last + 1];
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (isBehind(await this.placeAt(middle), after)) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  private async placeAt(sequence: number): Promise<FeedPlace> {
    const message = await leaderGet(this.nats, 'FEED', { seq: sequence, next_by_subj: 'events.>' });
    if (message) return placeIn(message);
    throw new LogError('LOG_UNAVAILABLE', 'stream FEED has lost messages while it was read; try again in a moment');
  }

  /** Whether nothing of the log was published before this message and is gone from the feed. */
  private async beginsWithTheLog(first: number): Promise<boolean> {
    const { sequence, index } = await this.placeAt(first);
    const start = await leaderGet(this.nats, 'LOG', { seq: 1, next_by_subj: 'log.>' });
    return index === 0 && sequence <= (start?.sequence ?? 0);
  }
}

/** Where nothing in between can be told to be whole: the place of the first event, which is itself left out. */
const later = (first: FeedPlace, after: FeedPlace | undefined): FeedPlace => (after === undefined || isBehind(first, after) ? first : after);
