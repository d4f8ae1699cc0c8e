import { type FeedPlace, isBehind } from '#libs/jetstream';
import { type StreamFilter, endsExecution, fits, isDeletion } from './filter.js';
import type { Frame } from './frame.js';
import type { Ending, Sink } from './sink.js';

const RETRY_MS = 250;

/** What a client has asked for. */
export type Wanted = {
  readonly filter: StreamFilter;
  /** Ends with the event that ends the execution. */
  readonly untilEnd?: boolean;
  /** Ends after so many events. */
  readonly limit?: number;
  /** Whether the credentials still count. */
  readonly isValid: () => boolean;
};

/** Events behind a place, in order, and the place up to which none is missing; undefined where nobody holds them any more. */
export type Page = { readonly frames: readonly Frame[]; readonly upTo: FeedPlace };

/** Where events come from that are not on their way just now. */
export type Past = {
  /** The next ones of the last events; undefined where these do not reach back to the place. */
  recent(place: FeedPlace): readonly Frame[] | undefined;
  /** Throws LogError. */
  page(filter: StreamFilter, place: FeedPlace): Promise<Page | undefined>;
  /** Throws LogError. */
  learn(frames: readonly Frame[]): Promise<void>;
};

/**
 * One client's way through the log, by its cursor: everything up to there was sent or is not wanted, nothing behind it was sent. It
 * catches up at the client's pace, from wherever the events are; then it is live, and is handed each event as it comes.
 */
export class Subscription {
  private isLive = false;
  private isEnded = false;
  private sent = 0;
  private stalledSince: number | undefined;
  private takenThen = -1;
  private endPause = (): void => undefined;

  constructor(
    readonly wanted: Wanted,
    private readonly sink: Sink,
    private readonly past: Past,
    private cursor: FeedPlace,
  ) {}

  /** Not awaited by who has a connection to serve: it goes on until the subscription is live, or has ended. */
  async catchUp(): Promise<void> {
    while (!this.isEnded) {
      try {
        if (this.sink.isFull) await this.sink.room();
        else if (await this.step()) return;
      } catch {
        // The broker is away: what is there is there later, too.
        await this.pause();
      }
    }
  }

  /** The next event of the feed, which `before` is the one before of. */
  offer(frame: Frame, before: FeedPlace): void {
    if (!this.isLive) return;
    this.passed(before);
    if (!this.sink.isFull) return this.deliver(frame);
    this.isLive = false;
    void this.catchUp();
  }

  /** Where the last events begin anew: it has to find out where to go on. */
  interrupt(): void {
    this.endPause();
    if (!this.isLive) return;
    this.isLive = false;
    void this.catchUp();
  }

  /** Nothing that it wants stands between its cursor and this place, if it is live. */
  beat(end: FeedPlace): void {
    if (this.isEnded || this.sink.isFull) return;
    if (this.isLive) this.passed(end);
    this.sink.beat(this.cursor);
  }

  /** Sends away who takes nothing for `mostMs`, or may not be here any more. */
  check(now: number, mostMs: number): void {
    if (!this.wanted.isValid()) return this.end('CREDENTIALS_EXPIRED');
    const { isFull, taken } = this.sink;
    if (!isFull || taken !== this.takenThen) this.stalledSince = isFull ? now : undefined;
    this.takenThen = taken;
    if (this.stalledSince !== undefined && now - this.stalledSince >= mostMs) this.end('SLOW_READER');
  }

  end(why: Ending): void {
    if (this.isEnded) return;
    this.abandon();
    this.sink.end(why, this.cursor);
  }

  /** The client has gone. */
  abandon(): void {
    this.isEnded = true;
    this.isLive = false;
  }

  /** True once it is live. */
  private async step(): Promise<boolean> {
    const { labels } = this.wanted.filter;
    const recent = this.past.recent(this.cursor);
    // Between this and the next event of the feed nothing happens: no event gets by.
    if (recent?.length === 0) return (this.isLive = true);
    const page = recent ? undefined : await this.past.page(this.wanted.filter, this.cursor);
    const frames = recent ?? page?.frames;
    if (!frames) {
      this.end('CURSOR_EXPIRED');
      return true;
    }
    if (labels) await this.past.learn(frames);
    const before = this.cursor;
    for (const frame of frames) {
      if (this.sink.isFull) return false;
      this.deliver(frame);
      if (this.isEnded) return true;
    }
    if (page) this.passed(page.upTo);
    // What it waits for is not in the feed yet: it is being built anew.
    if (!isBehind(this.cursor, before)) await this.pause();
    return false;
  }

  private deliver(frame: Frame): void {
    if (this.isEnded || !isBehind(frame.place, this.cursor)) return;
    this.cursor = frame.place;
    const { filter, limit, untilEnd } = this.wanted;
    const isWanted = fits(filter, frame);
    if (isWanted) {
      this.sink.event(frame);
      this.sent += 1;
    }
    const isOfOne = frame.ref.tenant === filter.tenant && frame.ref.execution === filter.execution;
    if (this.sent === limit || (untilEnd && isOfOne && endsExecution(frame.type))) this.end('COMPLETE');
    else if (isOfOne && isDeletion(frame.type)) this.end('EXECUTION_DELETED');
  }

  private pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, RETRY_MS).unref();
      this.endPause = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  private passed(place: FeedPlace): void {
    if (isBehind(place, this.cursor)) this.cursor = place;
  }
}
