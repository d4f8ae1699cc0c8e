import { type ExecutionRef, isTombstone } from '#libs/contracts';
import type { LogPurge, LogStore } from '#libs/ledger';
import { Backlog } from './backlog.js';
import type { Clock } from './clock.js';

/** Where something lies that goes with its execution. */
export type Belongings = {
  /** Removes it; again changes nothing. `deletedAt`: log sequence of the deletion. False: its time has not come, ask again. What it throws is reported, and it is asked again. */
  purge(ref: ExecutionRef, deletedAt: number): Promise<boolean>;
};

type Options = {
  readonly log: Pick<LogStore, 'history'> & LogPurge;
  /** In this order. */
  readonly belongings: readonly Belongings[];
  readonly clock: Clock;
  readonly warn: (error: unknown) => void;
};

export type CleanUp = {
  /**
   * Removes what deleted executions leave behind, again and again until nothing is left. Their commits go last: while the log holds any
   * before the tombstone there is something to do, whoever has died over it.
   */
  readonly left: Backlog;
  /** The same although the log holds the tombstone alone: for what ran here meanwhile and had something to write yet, as after this process was frozen. */
  readonly late: Backlog;
};

export const cleanUp = ({ log, belongings, clock, warn }: Options): CleanUp => {
  const isClean = async (ref: ExecutionRef): Promise<boolean> => {
    const [first] = await log.history(ref, { limit: 1 });
    return first !== undefined && isTombstone(first.commit);
  };
  const remove = async (ref: ExecutionRef, deletedAt: number): Promise<boolean> => {
    for (const each of belongings) if (!(await each.purge(ref, deletedAt))) return false;
    await log.purge(ref, deletedAt);
    return true;
  };
  const backlog = (work: typeof remove): Backlog => new Backlog({ work, atOnce: 8, retryMs: 1_000, clock, warn });
  return { left: backlog(async (ref, deletedAt) => (await isClean(ref)) || (await remove(ref, deletedAt))), late: backlog(remove) };
};
