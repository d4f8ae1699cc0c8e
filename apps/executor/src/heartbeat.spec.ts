import type { CancelTimer, Clock } from './clock.js';
import { watchHeartbeat } from './heartbeat.js';

/** Time that goes on when the test says so. */
class ManualClock implements Clock {
  private time = 0;
  private readonly timers = new Map<() => void, number>();

  now = (): number => this.time;

  after(delayMs: number, callback: () => void): CancelTimer {
    this.timers.set(callback, this.time + delayMs);
    return () => this.timers.delete(callback);
  }

  every(): CancelTimer {
    throw new Error('a heartbeat is watched with single timers');
  }

  pass(ms: number): void {
    this.time += ms;
    for (const [callback, at] of this.timers) {
      if (at > this.time) continue;
      this.timers.delete(callback);
      callback();
    }
  }

  get isIdle(): boolean {
    return this.timers.size === 0;
  }
}

const watched = () => {
  const clock = new ManualClock();
  let missed = 0;
  return { clock, heartbeat: watchHeartbeat(clock, 100, () => (missed += 1)), missed: () => missed };
};

describe('a heartbeat', () => {
  it('is missed once when no sign has come for as long as it may take', () => {
    const { clock, heartbeat, missed } = watched();
    clock.pass(99);
    expect(missed()).toBe(0);
    clock.pass(1);
    heartbeat.beat();
    clock.pass(1_000);
    expect(missed()).toBe(1);
  });

  it('is not missed while signs come', () => {
    const { clock, heartbeat, missed } = watched();
    for (let i = 0; i < 10; i++) {
      clock.pass(99);
      heartbeat.beat();
    }
    expect(missed()).toBe(0);
  });

  it('is not asked for while nobody could tell, and is again after the next beat', () => {
    const { clock, heartbeat, missed } = watched();
    heartbeat.suspend();
    clock.pass(1_000);
    expect(missed()).toBe(0);
    heartbeat.beat();
    clock.pass(100);
    expect(missed()).toBe(1);
  });

  it('leaves no timer behind its end', () => {
    const { clock, heartbeat, missed } = watched();
    heartbeat.end();
    heartbeat.beat();
    expect(clock.isIdle).toBe(true);
    expect(missed()).toBe(0);
  });
});
