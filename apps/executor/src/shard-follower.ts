import type { FollowHandler, Follower, LogStore, Position, StoredCommit } from '#libs/ledger';
import type { Logger } from '#libs/platform';

type Options = {
  readonly log: Pick<LogStore, 'follow' | 'head'>;
  readonly logger: Pick<Logger, 'error'>;
  readonly commits: (batch: readonly StoredCommit[]) => Promise<void>;
  /** All that is stored has been delivered. */
  readonly caughtUp: () => void;
  /** The log is another than the one that was followed. */
  readonly lost: (why: string) => void;
};

/** Follows the log of some shards, of one set of them at a time, and knows how far it has been delivered. */
export class ShardFollower {
  private follower: Follower | undefined;
  private incarnation: string | undefined;
  private end: () => void = () => undefined;
  private isCaughtUp = false;
  private reachedAt: Position | undefined;

  constructor(private readonly options: Options) {}

  get isFollowing(): boolean {
    return this.follower !== undefined;
  }

  /** True from when all that was stored has been delivered until other shards are followed. */
  get caughtUp(): boolean {
    return this.isCaughtUp;
  }

  /** The last commit that was taken. */
  get position(): Position | undefined {
    return this.reachedAt;
  }

  /** Log sequence up to which the shards followed now have been delivered; 0 while none are. */
  get delivered(): number {
    return this.follower?.delivered ?? 0;
  }

  /** Resolves once all that is stored has been delivered, or when following has ended before. */
  async follow(from: Position | undefined, shards: readonly number[]): Promise<void> {
    const { log, logger, commits, caughtUp, lost } = this.options;
    let end = (): void => undefined;
    const ended = new Promise<void>((resolve) => (end = resolve));
    this.end = end;
    let isLost = false;
    const handler: FollowHandler = {
      commits,
      unreadable: (sequence, subject, why) => logger.error({ sequence, subject }, `not a commit, passed over: ${why}`),
      lost: (why) => {
        isLost = true;
        this.forget();
        lost(why);
        end();
      },
      caughtUp: () => {
        this.isCaughtUp = true;
        caughtUp();
        end();
      },
    };
    const follower = await log.follow(from, handler, shards);
    if (isLost) return;
    this.follower = follower;
    await ended;
  }

  /** To be called with the last of every batch, once all of it has been taken. */
  async reached({ sequence, hash }: StoredCommit): Promise<void> {
    this.incarnation ??= (await this.options.log.head()).incarnation;
    this.reachedAt = { incarnation: this.incarnation, sequence, hash };
  }

  /** Nobody waits any more for what is stored to be delivered. */
  giveUp(): void {
    this.end();
  }

  async stop(): Promise<void> {
    await this.follower?.stop();
  }

  /** Until the next `follow`. */
  async pause(): Promise<void> {
    await this.stop();
    this.follower = undefined;
    this.isCaughtUp = false;
  }

  private forget(): void {
    this.follower = undefined;
    this.reachedAt = undefined;
    this.incarnation = undefined;
    this.isCaughtUp = false;
  }
}
