import type { FollowHandler, StoredCommit } from '#libs/ledger';

/** A handler that keeps all it is told. */
export type Recorder = FollowHandler & {
  readonly seen: StoredCommit[];
  readonly sequences: () => number[];
  readonly passedOver: { readonly sequence: number; readonly subject: string; readonly why: string }[];
  /** Every sequence up to which it was told that all has been looked at. */
  readonly looked: number[];
  readonly lostBecause: Promise<string>;
  readonly whenCaughtUp: Promise<void>;
};

export const recorder = (each?: (batch: readonly StoredCommit[]) => void | Promise<void>): Recorder => {
  const seen: StoredCommit[] = [];
  const looked: number[] = [];
  const passedOver: Recorder['passedOver'] = [];
  let lost: (why: string) => void = () => undefined;
  let caughtUp: () => void = () => undefined;
  const lostBecause = new Promise<string>((resolve) => (lost = resolve));
  const whenCaughtUp = new Promise<void>((resolve) => (caughtUp = resolve));
  return {
    seen,
    sequences: () => seen.map(({ sequence }) => sequence),
    passedOver,
    looked,
    lostBecause,
    whenCaughtUp,
    commits: async (batch) => {
      await each?.(batch);
      seen.push(...batch);
    },
    unreadable: (sequence, subject, why) => void passedOver.push({ sequence, subject, why }),
    reached: (sequence) => void looked.push(sequence),
    lost: (why) => lost(why),
    caughtUp: () => caughtUp(),
  };
};
