import { LogError } from '#libs/ledger';
import type { Nats } from './connection.js';
import { FeedTroubles } from './feed-troubles.js';
import { OrderedPull } from './pull.js';
import { type LeaderMessage, directPage, jetStreamApi, leaderGet } from './read.js';

/** A place in the log: sequence of a commit and index of one of its events. */
export type FeedPlace = { readonly sequence: number; readonly index: number };

/** Before everything. */
export const FEED_START: FeedPlace = { sequence: 0, index: -1 };

export const isBehind = (a: FeedPlace, b: FeedPlace): boolean => a.sequence > b.sequence || (a.sequence === b.sequence && a.index > b.index);

const RETRY_MS = 250;
const BATCH_MAX = 500;
/** What is read and can't be sent on for the moment is read again: twice what waits for a client. */
const PAGE_BYTES = 256 * 1024;
/** Places of which the sequence in FEED is remembered. */
const KNOWN = 5_000;

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

type State = { readonly first_seq: number; readonly last_seq: number; readonly messages: number };

const keyOf = ({ sequence, index }: FeedPlace): string => `${sequence}/${index}`;

/** Reads the public feed: stream FEED, one CloudEvent a message, in the order of their places in the log. */
export class FeedReader {
  private readonly known = new Map<string, number>();
  private asked: Promise<FeedPlace | undefined> | undefined;

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
          await this.mustStillBegin(next);
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
   * The next of a tenant's events behind a place, in order: at most `limit`, and 256 KiB and one more. And the place up to which none is
   * missing. Undefined where the feed no longer holds what came behind that place. Throws LogError LOG_UNAVAILABLE.
   */
  async page(tenant: string, after: FeedPlace, limit: number): Promise<{ readonly bodies: readonly Uint8Array[]; readonly upTo: FeedPlace } | undefined> {
    const end = await this.end();
    const { next, from } = await this.begin(after, 0);
    if (isBehind(from, after)) return undefined;
    const { messages, pending } = await directPage(this.nats, 'FEED', { seq: next, next_by_subj: `events.${tenant}.>`, batch: limit, max_bytes: PAGE_BYTES });
    await this.mustStillBegin(next);
    const placed = messages.map((message) => ({ place: placeOf(message.header('Runledger-Position')), sequence: message.sequence }));
    const last = placed.findLast(({ place }) => place !== undefined) ?? { place: after, sequence: undefined };
    const reached = pending > 0 || !end.place || !isBehind(end.place, last.place ?? after) ? last : end;
    if (reached.place && reached.sequence !== undefined) this.remember(reached.place, reached.sequence);
    return { bodies: messages.map(({ data }) => data), upTo: reached.place ?? after };
  }

  /** Whether the feed holds all that came behind a place. Those who ask at once get one answer. Throws LogError LOG_UNAVAILABLE. */
  async reachesBack(place: FeedPlace): Promise<boolean> {
    this.asked ??= this.floor().finally(() => (this.asked = undefined));
    const floor = await this.asked;
    return floor === undefined || !isBehind(floor, place);
  }

  /** The first place behind which all is there; undefined: all ever was. */
  private async floor(): Promise<FeedPlace | undefined> {
    const { first_seq: first, messages } = await this.state();
    return messages === 0 || (await this.beginsWithTheLog(first)) ? undefined : await this.placeAt(first);
  }

  /** The last event. */
  private async end(): Promise<{ readonly place: FeedPlace | undefined; readonly sequence: number | undefined }> {
    const last = await leaderGet(this.nats, 'FEED', { last_by_subj: 'events.>' });
    return { place: last && placeIn(last), sequence: last?.sequence };
  }

  private async state(): Promise<State> {
    const { state } = await jetStreamApi<{ readonly state?: State }>(this.nats, 'FEED', 'STREAM.INFO.FEED', undefined);
    if (!state) throw new LogError('LOG_UNAVAILABLE', 'stream FEED is not there; provision the broker first');
    return state;
  }

  /** Who reads page by page comes back with this place. */
  private remember(place: FeedPlace, sequence: number): void {
    this.known.set(keyOf(place), sequence);
    const [oldest] = this.known.keys();
    if (this.known.size > KNOWN && oldest !== undefined) this.known.delete(oldest);
  }

  /** The sequence of FEED to read from, and the place that this is behind of. */
  private async begin(after: FeedPlace | undefined, backlog: number): Promise<{ readonly next: number; readonly from: FeedPlace }> {
    const { first_seq: first, last_seq: last, messages } = await this.state();
    // It is to be built anew, from the start.
    if (messages === 0) return { next: last + 1, from: after ?? FEED_START };
    const next = after === undefined ? Math.max(first, last + 1 - backlog) : await this.firstBehind(after, first, last);
    if (next > first) return { next, from: after ?? (await this.mustHavePlace(next - 1)) };
    return { next: first, from: (await this.beginsWithTheLog(first)) ? (after ?? FEED_START) : later((await this.placeAt(first)) ?? FEED_START, after) };
  }

  /** What was discarded while it was read would be passed over. */
  private async mustStillBegin(next: number): Promise<void> {
    const { first_seq: first, messages } = await this.state();
    if (first > next && messages > 0) throw new LogError('LOG_UNAVAILABLE', 'stream FEED has discarded messages while it was read; try again in a moment');
  }

  /** By halves: places only grow. */
  private async firstBehind(after: FeedPlace, first: number, last: number): Promise<number> {
    const known = this.known.get(keyOf(after));
    const there = known !== undefined && known >= first && (await leaderGet(this.nats, 'FEED', { seq: known }));
    const place = there ? placeIn(there) : undefined;
    // Still the same feed, so nothing behind the place stands before it.
    if (there && place && keyOf(place) === keyOf(after)) return there.sequence + 1;
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
