import { LogError } from '#libs/ledger';
import type { Nats } from './connection.js';
import { FeedTroubles } from './feed-troubles.js';
import { OrderedPull } from './pull.js';
import { type LeaderMessage, directRange, jetStreamApi, leaderGet } from './read.js';

/** A place in the log: sequence of a commit and index of one of its events. */
export type FeedPlace = { readonly sequence: number; readonly index: number };

/** Before everything. */
export const FEED_START: FeedPlace = { sequence: 0, index: -1 };

export const isBehind = (a: FeedPlace, b: FeedPlace): boolean => a.sequence > b.sequence || (a.sequence === b.sequence && a.index > b.index);

const RETRY_MS = 250;
const BATCH_MAX = 500;


/** Undefined for what the feed's publisher has not written. */
const placeOf = (text = ''): FeedPlace | undefined => {
  const [, sequence, index] = /^(\d+)\/(\d+)$/.exec(text) ?? [];
  return sequence === undefined ? undefined : { sequence: Number(sequence), index: Number(index) };
};

const placeIn = ({ headers }: LeaderMessage): FeedPlace | undefined => placeOf(/^Runledger-Position: *(\S+)/im.exec(headers)?.[1]);

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
  /** `alarm` hears of what keeps a follower from going on, once each time, unless it is that there is no broker. */
  constructor(
    private readonly nats: Nats,
    private readonly alarm: (message: string) => void,
  ) {}

  /** Goes on by itself until it is stopped, also when the broker was away or the feed was rebuilt. What `opened` or `take` throws is told, and they get the same again. */
  follow(following: FeedFollowing): { readonly stop: () => Promise<void> } {
    const troubles = new FeedTroubles(this.alarm);
    let stopped = false;
    let pull: OrderedPull | undefined;
    let endPause = (): void => undefined;
    const run = async (): Promise<void> => {
      while (!stopped) {
        try {
          const { next, from } = await this.begin(following.place(), following.backlog);
          pull = await OrderedPull.open(this.nats, 'FEED', ['events.>'], next);
          await troubles.within(following.opened(from));
          while (!stopped) {
            const messages = await pull.next(BATCH_MAX);
            if (!stopped && messages.length > 0) await troubles.within(following.take(messages.map(({ data }) => data)));
            troubles.over();
          }
        } catch (error) {
          // The broker is away, or the consumer was lost with it: made anew until it is stopped.
          if (!stopped && this.nats.connected) troubles.heard(error);
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
    const upTo = messages.map((message) => placeOf(message.header('Runledger-Position'))).findLast((place) => place !== undefined) ?? after;
    return { bodies: messages.map(({ data }) => data), upTo: more || !isBehind(end, upTo) ? upTo : end };
  }

  /** Whether the feed holds all that came behind a place. Throws LogError LOG_UNAVAILABLE. */
  async reachesBack(place: FeedPlace): Promise<boolean> {
    return !isBehind((await this.begin(place, 0)).from, place);
  }

  /** Place of the last event. */
  private async end(): Promise<FeedPlace> {
    const last = await leaderGet(this.nats, 'FEED', { last_by_subj: 'events.>' });
    return (last && placeIn(last)) ?? FEED_START;
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
    if (next > first) return { next, from: after ?? (await this.mustHavePlace(next - 1)) };
    return { next: first, from: (await this.beginsWithTheLog(first)) ? (after ?? FEED_START) : later((await this.placeAt(first)) ?? FEED_START, after) };
  }

  /** By halves: places only grow. */
  private async firstBehind(after: FeedPlace, first: number, last: number): Promise<number> {
    let [low, high] = [first, last + 1];
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const place = await this.placeAt(middle);
      if (!place || isBehind(place, after)) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** Of the first event at a sequence of FEED or behind it; undefined where only others' messages are left. */
  private async placeAt(sequence: number): Promise<FeedPlace | undefined> {
    for (let seq = sequence; ; ) {
      const message = await leaderGet(this.nats, 'FEED', { seq, next_by_subj: 'events.>' });
      if (!message && seq === sequence) throw new LogError('LOG_UNAVAILABLE', 'stream FEED has lost messages while it was read; try again in a moment');
      const place = message && placeIn(message);
      if (!message || place) return place;
      seq = message.sequence + 1;
    }
  }

  private async mustHavePlace(sequence: number): Promise<FeedPlace> {
    const place = await this.placeAt(sequence);
    if (place) return place;
    throw new LogError('LOG_UNAVAILABLE', `stream FEED has nothing but messages of somebody else from ${sequence} on; remove them, and who may publish to events.> beside the projector`);
  }

  /** Whether nothing of the log was published before this message and is gone from the feed. */
  private async beginsWithTheLog(first: number): Promise<boolean> {
    const place = await this.placeAt(first);
    if (!place) return false;
    const start = await leaderGet(this.nats, 'LOG', { seq: 1, next_by_subj: 'log.>' });
    return place.index === 0 && place.sequence <= (start?.sequence ?? 0);
  }
}

/** Where nothing in between can be told to be whole: the place of the first event, which is itself left out. */
const later = (first: FeedPlace, after: FeedPlace | undefined): FeedPlace => (after === undefined || isBehind(first, after) ? first : after);
