import { setTimeout as delay } from 'node:timers/promises';
import type { Follower, LogStore, StoredCommit } from '#libs/ledger';
import type { Logger } from '#libs/platform';
import type { AtLeast, ProjectionInfo } from '#libs/projections';
import type { ReadModelFile } from './database.js';
import { Progress } from './progress.js';
import { QueryRefused } from './query-refused.js';

const RETRY_MS = 500;
/** A query that waits to be answered waits this long at most, milliseconds. */
const WAIT_MAX_MS = 2_000;

/** Follows the log from a read model's own position into its file. */
export class Projection {
  private follower: Follower | undefined;
  private incarnation = '';
  private readonly progress = new Progress();
  private readonly stopping = new AbortController();
  private readonly stopped = new Promise<void>((resolve) => this.stopping.signal.addEventListener('abort', () => resolve()));
  private rebuilding: Promise<void> = Promise.resolve();

  constructor(
    readonly name: string,
    private readonly log: LogStore,
    private readonly file: ReadModelFile,
    /** Applies commits in order, within the file's transaction. */
    private readonly apply: (batch: readonly StoredCommit[]) => void,
    private readonly logger: Logger,
  ) {}

  /** The log sequence up to which the rows are right. */
  get asOfSeq(): number {
    return Math.max(this.progress.sequence, this.file.position()?.sequence ?? 0);
  }

  info(): ProjectionInfo {
    return { name: this.name, asOfSeq: this.asOfSeq, position: this.file.position() ?? null, rebuild: null, losses: [] };
  }

  /** Resolves once the rows are right up to what a query asks for. Throws QueryRefused PROJECTION_BEHIND. */
  async atLeast({ minSeq = 0, waitMs = WAIT_MAX_MS }: AtLeast): Promise<void> {
    if (this.asOfSeq >= minSeq) return;
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), Math.min(waitMs, WAIT_MAX_MS));
    await this.progress.reach(minSeq, late.signal);
    clearTimeout(timer);
    if (this.asOfSeq >= minSeq) return;
    const message = `projection ${this.name} knows the log up to ${this.asOfSeq}, asked for was ${minSeq}; it is catching up, ask again in a moment`;
    throw new QueryRefused('PROJECTION_BEHIND', message);
  }

  /** Resolves once everything is applied that the log held at the call, or stop() was called. Throws LogError. */
  async start(): Promise<void> {
    this.incarnation = (await this.log.head()).incarnation;
    let caughtUp: () => void = () => undefined;
    const whole = new Promise<void>((resolve) => (caughtUp = resolve));
    const follower = await this.log.follow(this.file.position(), {
      commits: (batch) => this.take(batch),
      unreadable: (sequence, subject, why) => this.logger.error({ sequence, subject, projection: this.name }, `not a commit, passed over: ${why}`),
      reached: (sequence) => this.progress.advance(sequence),
      caughtUp,
      lost: (why) => {
        this.logger.error({ projection: this.name }, `ALARM: the log was restored or lost data (${why}); rebuilding from the start`);
        this.rebuilding = this.rebuild().then(caughtUp);
      },
    });
    if (this.stopping.signal.aborted) return await follower.stop();
    this.follower = follower;
    await Promise.race([whole, this.stopped]);
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.rebuilding;
    await this.follower?.stop();
    this.progress.close();
    this.file.close();
  }

  /** Goes on until it is done, however long the log can't be read, or stop(). */
  private async rebuild(): Promise<void> {
    await this.follower?.stop();
    this.follower = undefined;
    this.file.reset();
    this.progress.reset();
    while (!this.stopping.signal.aborted) {
      try {
        return await this.start();
      } catch (error) {
        this.logger.warn({ projection: this.name }, `the rebuild can't begin, trying again: ${String(error)}`);
        await delay(RETRY_MS, undefined, { signal: this.stopping.signal }).catch(() => undefined);
      }
    }
  }

  private take(batch: readonly StoredCommit[]): void {
    const last = batch[batch.length - 1];
    if (!last) return;
    const position = { incarnation: this.incarnation, sequence: last.sequence, hash: last.hash };
    this.file.commit(position, (after) => this.apply(batch.filter(({ sequence }) => sequence > after)));
  }
}
