import type { ProcessRef } from './process-ref.js';

/** What the watchdog ends when `up` can't. */
export type Watched = {
  readonly apps: readonly ProcessRef[];
  /** Ended after all apps. */
  readonly broker: readonly ProcessRef[];
  readonly stopMs: number;
};

/** The environment variable that a watchdog finds its first list in, as JSON. */
export const WATCHED = 'RUNLEDGER_WATCHED';
