import { setImmediate } from 'node:timers/promises';
import type { Follower, LogStore, StoredCommit } from '#libs/ledger';
import { Progress } from './progress.js';
import type { ReadModelFile } from './read-model-file.js';
import type { Snapshot } from './snapshot.js';

/** From this many commits on, others get their turn before the next batch. */
const LARGE_BATCH = 100;

/** What a read model does with commits: in order, within its file's transaction. */
export type Applies = { apply(batch: readonly StoredCommit[]): void };

/** What a replica tells while it follows. */
export type Hears = {
  /** Everything is applied that the log held when following began. */
  readonly caughtUp: () => void;
  /** The log is not the one it had read. Following has ended. */
  readonly lost: (why: string) => void;
  readonly unreadable: (sequence: number, subject: string, why: string) => void;
  /** The rows could not be changed; the same commits will be delivered again. */
  readonly failed?: (error: unknown) => void;
};

type Pin = {
  readonly sequence: number;
  readonly resolve: (snapshot: Snapshot) => void;
  readonly reject: (error: unknown) => void;
};

/** One copy of a read model's rows, and the follower that brings the log into it. */
export class Replica {
  readonly progress = new Progress();
  private following: Promise<Follower> | undefined;
  private incarnation = '';
  private pin: Pin | undefined;

  constructor(
    readonly file: ReadModelFile,
    private readonly log: LogStore,
    private readonly model: Applies,
  ) {}

  /** The log sequence up to which the rows are right. */
  get asOfSeq(): number {
    return Math.max(this.progress.sequence, this.sequence);
  }

  /** Of the last commit in the rows; 0 before the first. */
  get sequence(): number {
    return this.file.position()?.sequence ?? 0;
  }

  /** From the rows' own position on. Throws LogError. */
  async follow(hears: Hears): Promise<void> {
    this.following = this.open(hears);
    await this.following;
  }

  /** The rows stay as they are from here on. */
  async stop(): Promise<void> {
    const follower = await this.following?.catch(() => undefined);
    await follower?.stop();
    this.following = undefined;
    this.fail(new Error('following has ended'));
  }

  /** The rows as they are right after the last commit up to `sequence`. Rejects when they can't come there, or are beyond it. */
  snapshotAt(sequence: number): Promise<Snapshot> {
    return new Promise((resolve, reject) => {
      this.pin = { sequence, resolve, reject };
      if (this.sequence >= sequence) this.takeSnapshot(this.pin);
    });
  }

  private async open({ caughtUp, lost, unreadable, failed }: Hears): Promise<Follower> {
    this.incarnation = (await this.log.head()).incarnation;
    return await this.log.follow(this.file.position(), {
      commits: async (batch) => {
        try {
          this.take(batch);
        } catch (error) {
          this.fail(error);
          failed?.(error);
          throw error;
        }
        if (batch.length >= LARGE_BATCH) await setImmediate();
      },
      reached: (sequence) => this.progress.advance(sequence),
      caughtUp,
      lost,
      unreadable,
    });
  }

  private take(batch: readonly StoredCommit[]): void {
    const { pin } = this;
    const last = batch[batch.length - 1];
    if (!pin || !last || last.sequence < pin.sequence) return this.write(batch);
    this.write(batch.filter(({ sequence }) => sequence <= pin.sequence));
    this.takeSnapshot(pin);
    this.write(batch.filter(({ sequence }) => sequence > pin.sequence));
  }

  private write(batch: readonly StoredCommit[]): void {
    const last = batch[batch.length - 1];
    if (!last) return;
    const position = { incarnation: this.incarnation, sequence: last.sequence, hash: last.hash };
    this.file.commit(position, (after) => this.model.apply(batch.filter(({ sequence }) => sequence > after)));
  }

  private takeSnapshot({ sequence, resolve, reject }: Pin): void {
    this.pin = undefined;
    try {
      const snapshot = this.file.snapshot();
      // Below it where what stood there has been purged since.
      if (snapshot.sequence <= sequence) return resolve(snapshot);
      snapshot.close();
      reject(new Error(`the rows are those of ${snapshot.sequence}, not of ${sequence}; does another projector use the same folder?`));
    } catch (error) {
      reject(error);
    }
  }

  private fail(error: unknown): void {
    this.pin?.reject(error);
    this.pin = undefined;
  }
}
