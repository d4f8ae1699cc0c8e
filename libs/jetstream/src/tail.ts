import type { Delivered, OrderedPull } from './pull.js';
import { toStored } from './stored.js';

/** A message, and what it holds where somebody has looked at that already. */
export type Read = Delivered & { readonly stored?: ReturnType<typeof toStored> };

/** A read of the log in order: by a pull of one's own, or as one of many. */
export type Reading = { next(max: number): Promise<readonly Read[]>; close(): void };

const BATCH_MAX = 500;
/** Held for readers that are behind others. */
const HELD_MAX = 2_000;
const HELD_MAX_BYTES = 8 * 1024 * 1024;

/**
 * The end of the log, read and parsed once for all in this process that follow the whole of it and have come to its end. Each goes at
 * its own pace; whoever falls too far behind the others, or all when the pull ends, get an error, and begin anew by themselves.
 */
export class Tail {
  private held: Read[] = [];
  private heldBytes = 0;
  /** How many messages came before the first one held. */
  private passed = 0;
  private isReading = false;
  private failure: Error | undefined;
  private readonly readers = new Set<Reader>();

  /** Everything stored behind `floor` is still to come from the pull, which is closed with the last reader. */
  constructor(
    private readonly pull: Pick<OrderedPull, 'next' | 'close'>,
    private floor: number,
  ) {}

  /** Whether all that is stored behind a sequence is there or to come, and what stands before it is not to come. */
  covers(after: number): boolean {
    const newest = this.held[this.held.length - 1]?.sequence ?? this.floor;
    return !this.failure && after >= this.floor && after <= newest;
  }

  /** Reads what is stored behind a sequence that it covers. */
  join(after: number): Reading {
    const ahead = this.held.findIndex(({ sequence }) => sequence > after);
    const reader = new Reader(this, this.passed + (ahead < 0 ? this.held.length : ahead));
    this.readers.add(reader);
    return reader;
  }

  get hasEnded(): boolean {
    return this.failure !== undefined;
  }

  /** Undefined while nothing stands there yet. Throws where it has ended, or no longer holds what stood there. */
  at(place: number, max: number): readonly Read[] | undefined {
    if (this.failure) throw this.failure;
    if (place < this.passed) throw new Error('others are too far ahead');
    const taken = this.held.slice(place - this.passed, place - this.passed + max);
    return taken.length === 0 ? undefined : taken;
  }

  /** To be called when a reader has moved on. */
  trim(): void {
    let least = this.passed + this.held.length;
    for (const { place } of this.readers) least = Math.min(least, place);
    this.drop(least - this.passed);
  }

  leave(reader: Reader): void {
    if (!this.readers.delete(reader)) return;
    if (this.readers.size === 0) this.end(new Error('nobody reads any more'));
    else this.trim();
  }

  /** Asks the broker, unless that is being done: everybody is woken. */
  want(): void {
    if (this.isReading || this.failure) return;
    this.isReading = true;
    this.pull.next(BATCH_MAX).then(
      (messages) => this.take(messages),
      (error: unknown) => this.end(error instanceof Error ? error : new Error(String(error))),
    );
  }

  private take(messages: readonly Delivered[]): void {
    this.isReading = false;
    // Somebody has taken all of it, or would not have asked for more.
    if (this.held.length > HELD_MAX || this.heldBytes > HELD_MAX_BYTES) this.drop(this.held.length);
    for (const message of messages) {
      this.held.push({ ...message, stored: toStored(message) });
      this.heldBytes += message.data.length;
    }
    for (const reader of this.readers) reader.wake();
  }

  private drop(count: number): void {
    if (count <= 0) return;
    for (const { data, sequence } of this.held.splice(0, count)) {
      this.heldBytes -= data.length;
      this.floor = sequence;
    }
    this.passed += count;
  }

  private end(why: Error): void {
    this.failure ??= why;
    this.held = [];
    this.pull.close();
    for (const reader of this.readers) reader.wake();
  }
}

class Reader implements Reading {
  private isClosed = false;
  wake: () => void = () => undefined;

  constructor(
    private readonly tail: Tail,
    /** How many messages of the tail came before the next one. */
    public place: number,
  ) {}

  /** As of a pull: waits for the first, and is empty when the broker says that nothing is there. */
  async next(max: number): Promise<readonly Read[]> {
    if (!this.isClosed && !this.tail.at(this.place, 1)) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
        this.tail.want();
      });
    }
    if (this.isClosed) throw new Error('closed');
    const taken = this.tail.at(this.place, max) ?? [];
    this.place += taken.length;
    this.tail.trim();
    return taken;
  }

  close(): void {
    this.isClosed = true;
    this.tail.leave(this);
    this.wake();
  }
}
