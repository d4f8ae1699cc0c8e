import type { CancelTimer, Clock } from '../../apps/executor/src/clock.js';
import type { Random } from './random.js';

type Item = { at: number; readonly order: number; readonly host: Host | undefined; run: (() => void) | undefined };

/** A process: what happens in it waits while it is frozen, and never happens once it is gone. */
export class Host {
  state: 'up' | 'frozen' | 'gone' = 'up';
  /** How far its clock is ahead of the world's, in milliseconds. */
  skewMs = 0;
  /** What would have happened while it was frozen. */
  readonly missed: Item[] = [];

  constructor(readonly name: string) {}
}

const isBefore = (a: Item, b: Item): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);

/** Every microtask that can run has run once the next turn of the event loop begins. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** When every program begins, in milliseconds since the epoch. */
export const BEGIN = Date.parse('2026-01-01T00:00:00.000Z');

/**
 * Virtual time. Whatever is to happen is an item here, one happens after the other, each with everything that follows from it at once;
 * when nothing is left to happen now, time goes on to what is next. What is due at the same millisecond happens in any order.
 */
export class Scheduler {
  /** Milliseconds since the epoch. */
  now = BEGIN;
  steps = 0;
  private readonly heap: Item[] = [];

  constructor(private readonly random: Random) {}

  /** To happen `delayMs` from now, in a process or, without one, whatever becomes of the processes. */
  after(delayMs: number, host: Host | undefined, run: () => void): CancelTimer {
    const item: Item = { at: this.now + Math.max(0, delayMs), order: this.random.next(), host, run };
    this.push(item);
    return () => (item.run = undefined);
  }

  every(intervalMs: number, host: Host | undefined, run: () => void): CancelTimer {
    let isOver = false;
    const again = (): void => {
      this.after(intervalMs, host, () => {
        if (isOver) return;
        again();
        run();
      });
    };
    again();
    return () => (isOver = true);
  }

  /** Time as a process sees it. */
  clockOf(host: Host): Clock {
    return {
      now: () => this.now + host.skewMs,
      after: (delayMs, callback) => this.after(delayMs, host, callback),
      every: (intervalMs, callback) => this.every(intervalMs, host, callback),
    };
  }

  thaw(host: Host): void {
    host.state = 'up';
    for (const item of host.missed.splice(0)) {
      item.at = this.now;
      this.push(item);
    }
  }

  /** Lets the next thing happen, and all that follows from it without further waiting; where nothing is left, a second goes by. */
  async step(): Promise<void> {
    this.steps += 1;
    for (let item = this.pop(); item; item = this.pop()) {
      if (!item.run || item.host?.state === 'gone') continue;
      this.now = Math.max(this.now, item.at);
      if (item.host?.state === 'frozen') {
        item.host.missed.push(item);
        continue;
      }
      item.run();
      return await settled();
    }
    this.now += 1_000;
  }

  private push(item: Item): void {
    const { heap } = this;
    let i = heap.push(item) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!isBefore(item, heap[parent]!)) break;
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = item;
  }

  private pop(): Item | undefined {
    const { heap } = this;
    const first = heap[0];
    const last = heap.pop();
    if (!last || heap.length === 0) return first;
    let i = 0;
    for (;;) {
      const [left, right] = [2 * i + 1, 2 * i + 2];
      if (left >= heap.length) break;
      const child = right < heap.length && isBefore(heap[right]!, heap[left]!) ? right : left;
      if (!isBefore(heap[child]!, last)) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = last;
    return first;
  }
}
