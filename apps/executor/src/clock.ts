/** Time as an executor sees it: handed in, so that a simulation decides what time it is and which timer rings next. */
export type Clock = {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Calls back once, at least `delayMs` from now, never within this call. Returns what prevents it. */
  after(delayMs: number, callback: () => void): CancelTimer;
  /** Calls back again and again. Returns what ends it. */
  every(intervalMs: number, callback: () => void): CancelTimer;
};

export type CancelTimer = () => void;

/** setTimeout takes no more; a longer timer rings early. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: Date.now,
  after: (delayMs, callback) => {
    const timer = setTimeout(callback, Math.min(delayMs, MAX_TIMER_MS));
    return () => clearTimeout(timer);
  },
  every: (intervalMs, callback) => {
    const timer = setInterval(callback, intervalMs);
    return () => clearInterval(timer);
  },
};

/** Resolves when the condition holds, or `withinMs` later, whatever becomes of the time of day. */
export const until = async (clock: Clock, condition: () => boolean, withinMs: number): Promise<void> => {
  let isOver = withinMs <= 0;
  const cancel = clock.after(withinMs, () => (isOver = true));
  while (!condition() && !isOver) await new Promise<void>((resolve) => clock.after(20, resolve));
  cancel();
};
