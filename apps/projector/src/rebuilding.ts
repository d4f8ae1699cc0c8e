import type { LogStore } from '#libs/ledger';
import type { Logger } from '#libs/platform';
import type { Rebuild } from '#libs/projections';
import type { Hears, Replica } from './replica.js';
import { type Digests, type Snapshot, differing, digestOf } from './snapshot.js';

/** The live rows while a rebuild is under way. */
type Live = {
  readonly replica: Replica;
  /** Ends following: the rows stay as they are until resume(). */
  pause(): Promise<void>;
  resume(): Promise<void>;
};

type Options = {
  readonly projection: string;
  readonly live: Live;
  /** Empty rows beside the live ones. */
  readonly fresh: Replica;
  /** Follows the log into a replica, however long it can't be read, or until the signal. */
  readonly follow: (replica: Replica, hears: Omit<Hears, 'unreadable'>, signal: AbortSignal) => Promise<void>;
  readonly log: Pick<LogStore, 'head'>;
  readonly logger: Logger;
};

/** Rows that differ at so many places of the log are wrong. */
const COMPARISONS = 3;

const noDigests: Digests = new Map();

/**
 * One rebuild: the log is replayed from its start into rows beside the live ones; both are compared as they are at one log sequence;
 * then the rebuilt ones take the place of the live ones, which are read and brought up to date until that moment.
 */
export class Rebuilding {
  private readonly ending = new AbortController();
  private readonly ended: Promise<never>;
  private state: Rebuild;
  private snapshots: Snapshot[] = [];

  constructor(
    private readonly options: Options,
    begun: Pick<Rebuild, 'id' | 'startedAt'>,
  ) {
    this.state = { ...begun, phase: 'replaying', endedAt: null, sequence: 0, target: 0, digest: null, differs: [], error: null };
    const { signal } = this.ending;
    this.ended = new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
    this.ended.catch(() => undefined);
  }

  get rebuild(): Rebuild {
    if (this.state.phase !== 'replaying') return this.state;
    const { live, fresh } = this.options;
    return { ...this.state, sequence: fresh.asOfSeq, target: Math.max(live.replica.asOfSeq, fresh.asOfSeq) };
  }

  /** Ends it; run() rejects with this error, and the live rows stay. */
  abort(error: Error): void {
    this.ending.abort(error);
  }

  /** Resolves once the rebuilt rows are live. Rejects, and the live rows stay; nothing is left of the others. */
  async run(): Promise<void> {
    const { live, fresh } = this.options;
    try {
      await this.replay();
      await this.compare();
      await this.swap();
    } catch (error) {
      this.set({ phase: 'failed', endedAt: new Date().toISOString(), error: error instanceof Error ? error.message : String(error) });
      this.abort(error as Error);
      await fresh.stop();
      fresh.file.discard();
      throw error;
    } finally {
      for (const snapshot of this.snapshots) snapshot.close();
      this.snapshots = [];
      await live.resume();
    }
  }

  private async replay(): Promise<void> {
    const { fresh, follow } = this.options;
    const lost = (why: string): void => this.abort(new Error(`the log was restored or lost data: ${why}`));
    const caughtUp = new Promise<void>((resolve, reject) => {
      const failed = (error: unknown): void => this.abort(error as Error);
      follow(fresh, { caughtUp: resolve, lost, failed }, this.ending.signal).catch(reject);
    });
    await this.unlessEnded(caughtUp);
  }

  /**
   * What was deleted is purged for those who have not read it, and known to those who have until they come to the deletion: rows that differ
   * are compared again further on.
   */
  private async compare(): Promise<void> {
    const { fresh, log } = this.options;
    for (let left = COMPARISONS - 1; (await this.differ(left === 0)) && left > 0; left--) {
      const { sequence } = await this.unlessEnded(log.head());
      await this.unlessEnded(fresh.progress.reach(sequence, this.ending.signal));
    }
  }

  /** True where the rows can be compared, and are not the same. `isLast`: that will not be looked at again. */
  private async differ(isLast: boolean): Promise<boolean> {
    const { projection, live, fresh, logger } = this.options;
    // Nothing happens between these lines: neither side can pass the sequence before it is told to look at it.
    const target = Math.max(live.replica.sequence, fresh.sequence);
    this.set({ phase: 'comparing', sequence: target, target });
    const [before, after] = [this.snapshot(live.replica, target), this.snapshot(fresh, target)];
    before.catch(() => undefined);
    const rebuilt = await this.digests(await this.unlessEnded(after));
    let found = noDigests;
    let isFinal = isLast;
    try {
      found = await this.digests(await this.unlessEnded(before));
    } catch (error) {
      this.ending.signal.throwIfAborted();
      isFinal = true;
      logger.error({ projection, sequence: target }, `ALARM: the live rows can't be compared: ${String(error)}`);
    }
    const differs = differing(found, rebuilt);
    this.set({ digest: { live: digestOf(found), rebuilt: digestOf(rebuilt) }, differs });
    if (differs.length === 0) return false;
    if (!isFinal) return true;
    logger.error({ projection, sequence: target, tables: differs }, `ALARM: rows of ${differs.join(', ')} were not what the log says; the rebuilt ones take their place`);
    return false;
  }

  private async snapshot(replica: Replica, sequence: number): Promise<Snapshot> {
    const snapshot = await replica.snapshotAt(sequence);
    if (this.ending.signal.aborted) snapshot.close();
    else this.snapshots.push(snapshot);
    return snapshot;
  }

  private async digests(snapshot: Snapshot): Promise<Digests> {
    const digests = await snapshot.digests(this.ending.signal);
    // Held on to, it would let the log of the file's writes grow.
    this.snapshots = this.snapshots.filter((other) => other !== snapshot);
    snapshot.close();
    return digests;
  }

  private async swap(): Promise<void> {
    const { live, fresh } = this.options;
    this.set({ phase: 'swapping' });
    await live.pause();
    // Whoever has read the live rows never reads older ones.
    await this.unlessEnded(fresh.progress.reach(live.replica.sequence, this.ending.signal));
    await fresh.stop();
    this.ending.signal.throwIfAborted();
    const done: Rebuild = { ...this.state, phase: 'done', endedAt: new Date().toISOString() };
    fresh.file.note({ rebuild: done, losses: [] });
    live.replica.file.replaceBy(fresh.file);
    this.set(done);
  }

  private set(change: Partial<Rebuild>): void {
    this.state = { ...this.rebuild, ...change };
  }

  private unlessEnded<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.ended]);
  }
}
