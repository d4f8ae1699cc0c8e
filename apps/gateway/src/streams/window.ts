import { FEED_START, type FeedPlace, isBehind } from '#libs/jetstream';
import type { Frame } from './frame.js';

/** Events that are handed out at once. */
const SLICE = 256;

/**
 * The last events of the feed, of all tenants. Whoever comes back soon, or can't take more for a moment, goes on from here: nobody has
 * a queue of their own.
 */
export class Window {
  private frames: Frame[] = [];
  private bytes = 0;
  /** Every event behind this place is here, up to `end`. Undefined: nothing is known yet. */
  private floor: FeedPlace | undefined;
  private last: FeedPlace = FEED_START;

  constructor(
    private readonly mostFrames: number,
    private readonly mostBytes: number,
  ) {}

  /** The place from which on it knows everything. */
  get start(): FeedPlace | undefined {
    return this.floor;
  }

  get end(): FeedPlace {
    return this.last;
  }

  /** The last one, while it is held. */
  get newest(): Frame | undefined {
    return this.frames[this.frames.length - 1];
  }

  /** Empty, and to be continued behind a place. */
  begin(from: FeedPlace): void {
    this.frames = [];
    this.bytes = 0;
    this.floor = from;
    this.last = from;
  }

  /** It knows nothing any more. */
  forget(): void {
    this.begin(FEED_START);
    this.floor = undefined;
  }

  /** False for what it has had already. */
  add(frame: Frame): boolean {
    if (!isBehind(frame.place, this.last)) return false;
    this.last = frame.place;
    this.frames.push(frame);
    this.bytes += frame.bytes;
    if (this.frames.length > this.mostFrames || this.bytes > this.mostBytes) this.shed();
    return true;
  }

  /** The events behind a place; undefined where it does not know them all any more. */
  after(place: FeedPlace): readonly Frame[] | undefined {
    if (this.floor === undefined || isBehind(this.floor, place)) return undefined;
    let [low, high] = [0, this.frames.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const frame = this.frames[middle];
      if (frame && isBehind(frame.place, place)) high = middle;
      else low = middle + 1;
    }
    return low === this.frames.length ? [] : this.frames.slice(low, low + SLICE);
  }

  /** A quarter at a time: taking one from the front moves all others. */
  private shed(): void {
    let gone = 0;
    for (const frame of this.frames) {
      if (gone > 0 && this.frames.length - gone <= this.mostFrames * 0.75 && this.bytes <= this.mostBytes * 0.75) break;
      this.bytes -= frame.bytes;
      this.floor = frame.place;
      gone += 1;
    }
    this.frames = this.frames.slice(gone);
  }
}

