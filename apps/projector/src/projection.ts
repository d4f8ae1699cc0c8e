import type { FollowHandler, Follower, LogStore, StoredCommit } from '#libs/ledger';
import type { Logger } from '#libs/platform';
import type { ReadModelFile } from './database.js';

/** Follows the log from a read model's own position into its file. */
export class Projection {
  private follower: Follower | undefined;
  private incarnation = '';
  private stopped = false;
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
    return Math.max(this.follower?.delivered ?? 0, this.file.position()?.sequence ?? 0);
  }

  /** Resolves once everything is applied that the log held at the call. */
  async start(): Promise<void> {
    this.incarnation = (await this.log.head()).incarnation;
    await new Promise<void>((resolve, reject) => {
      const handler: FollowHandler = {
        commits: (batch) => this.take(batch),
        unreadable: (sequence, subject, why) => this.logger.error({ sequence, subject, projection: this.name }, `not a commit, passed over: ${why}`),
        caughtUp: resolve,
        lost: (why) => {
          this.logger.error({ projection: this.name }, `ALARM: the log was restored or lost data (${why}); rebuilding from the start`);
          this.rebuilding = this.rebuild().then(resolve, reject);
        },
      };
      this.log.follow(this.file.position(), handler).then((follower) => {
        this.follower = follower;
        if (this.stopped) void follower.stop();
      }, reject);
    });
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await this.follower?.stop();
    await this.rebuilding.catch(() => undefined);
    this.file.close();
  }

  private async rebuild(): Promise<void> {
    await this.follower?.stop();
    this.follower = undefined;
    this.file.reset();
    await this.start();
  }

  private take(batch: readonly StoredCommit[]): void {
    const last = batch[batch.length - 1];
    if (!last) return;
    const position = { incarnation: this.incarnation, sequence: last.sequence, hash: last.hash };
    this.file.commit(position, () => this.apply(batch));
  }
}
