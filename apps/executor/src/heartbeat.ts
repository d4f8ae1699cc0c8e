import type { Heartbeat } from '#libs/runners';
import type { CancelTimer, Clock } from './clock.js';

/** Watches an attempt for signs of life; calls `missed` once when `everyMs` have passed without any. */
export const watchHeartbeat = (clock: Clock, everyMs: number, missed: () => void): Heartbeat & { readonly end: () => void } => {
  let cancel: CancelTimer = () => undefined;
  let isOver = false;
  const beat = (): void => {
    cancel();
    if (!isOver) cancel = clock.after(everyMs, over);
  };
  const over = (): void => {
    isOver = true;
    missed();
  };
  beat();
  return {
    beat,
    suspend: () => cancel(),
    end: () => {
      isOver = true;
      cancel();
    },
  };
};
