import { LogError, type LogStore } from './store.js';

/** Longer than the broker may take to come back or to elect a leader. */
const STUCK_AFTER_MS = 20_000;

/**
 * The same log, watched: `onStuck` is called when no append has succeeded for 20 s although the broker is connected, and again
 * every 20 s while that lasts. A stream that has met a full disk stays like that until its server restarts.
 * A log that says it is full is not stuck.
 */
export const watchWrites = (
  log: LogStore,
  isConnected: () => boolean,
  onStuck: () => void,
  clock: () => number = Date.now,
): LogStore => {
  let failingSince: number | undefined;

  const failed = (error: unknown): void => {
    const counts = error instanceof LogError && (error.code === 'LOG_UNAVAILABLE' || error.code === 'OUTCOME_UNKNOWN');
    if (!counts || !isConnected()) {
      failingSince = undefined;
      return;
    }
    failingSince ??= clock();
    if (clock() - failingSince < STUCK_AFTER_MS) return;
    failingSince = clock();
    onStuck();
  };

  return {
    append: async (append) => {
      try {
        const result = await log.append(append);
        failingSince = undefined;
        return result;
      } catch (error) {
        failed(error);
        throw error;
      }
    },
    history: (ref, range) => log.history(ref, range),
    follow: (from, handler, shards) => log.follow(from, handler, shards),
    head: () => log.head(),
    at: (sequence) => log.at(sequence),
  };
};
