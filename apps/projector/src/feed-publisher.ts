import type { FeedMessage, FeedStream } from '#libs/jetstream';
import type { Follower, LogStore, StoredCommit } from '#libs/ledger';
import type { Logger } from '#libs/platform';
import { feedEvent } from '#libs/projections';

const BATCH_MESSAGES = 300;
const BATCH_BYTES = 512 * 1024;
const STEP_DOWN_MS = 3_000;
const RETRY_MS = 500;

type Place = { readonly sequence: number; readonly index: number };

const parsePlace = (position: string | undefined): Place => {
  const [sequence = 0, index = -1] = (position ?? '0/-1').split('/').map(Number);
  return { sequence, index };
};

const isAfter = (a: Place, b: Place): boolean => a.sequence > b.sequence || (a.sequence === b.sequence && a.index > b.index);

/** Publishing has to begin anew from the feed's own end: another publisher is at work, or an outcome is not known. */
class BeginAgain extends Error {
  constructor(
    message: string,
    readonly afterMs: number,
  ) {
    super(message);
  }
}

/**
 * Turns every committed event into a CloudEvent, once and in log order. Where it goes on is what the feed's last message says; who
 * publishes is settled by the expected last sequence: so a crash neither skips nor repeats, and a second publisher steps down.
 */
export class FeedPublisher {
  private follower: Follower | undefined;
  private stopped = false;
  private timer: NodeJS.Timeout | undefined;
  private lastSequence = 0;
  private place: Place = { sequence: 0, index: -1 };

  constructor(
    private readonly log: LogStore,
    private readonly feed: FeedStream,
    private readonly logger: Logger,
  ) {}

  /** The log sequence of the last event published. */
  get position(): number {
    return this.place.sequence;
  }

  async start(): Promise<void> {
    const [head, end] = await Promise.all([this.log.head(), this.feed.head()]);
    this.lastSequence = end.sequence;
    this.place = parsePlace(end.position);
    if (this.place.sequence > head.sequence) {
      this.logger.error(
        { feed: end.position, log: head.sequence },
        'ALARM: the feed is ahead of the log, which was restored or lost data; nothing is published: purge stream FEED to have it built anew',
      );
      return;
    }
    // The last commit published may have been published in part only: it is delivered once more.
    const before = this.place.sequence - 1;
    const from = before > 0 ? { incarnation: head.incarnation, sequence: before, hash: '' } : undefined;
    this.follower = await this.log.follow(from, {
      commits: (batch) => this.take(batch),
      lost: (why) => this.logger.error(`ALARM: the log was restored or lost data (${why}); the feed is not continued`),
    });
    if (this.stopped) await this.follower.stop();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.follower?.stop();
  }

  private async take(batch: readonly StoredCommit[]): Promise<void> {
    if (this.timer !== undefined) return;
    try {
      let messages: FeedMessage[] = [];
      let bytes = 0;
      for (const stored of batch) {
        for (const [index, event] of stored.commit.events.entries()) {
          if (!isAfter({ sequence: stored.sequence, index }, this.place)) continue;
          const message = feedEvent(stored, index, event);
          if (messages.length >= BATCH_MESSAGES || bytes + message.body.length > BATCH_BYTES) {
            await this.publish(messages);
            messages = [];
            bytes = 0;
          }
          messages.push(message);
          bytes += message.body.length;
        }
      }
      if (messages.length > 0) await this.publish(messages);
    } catch (error) {
      this.beginAgain(error instanceof BeginAgain ? error : new BeginAgain(String(error), RETRY_MS));
    }
  }

  private async publish(messages: readonly FeedMessage[]): Promise<void> {
    const outcome = await this.feed.publish(messages, this.lastSequence);
    if (outcome === 'fenced') throw new BeginAgain('another publisher is at work', STEP_DOWN_MS);
    this.lastSequence = outcome.lastSequence;
    this.place = parsePlace(messages[messages.length - 1]?.position);
  }

  private beginAgain({ message, afterMs }: BeginAgain): void {
    this.logger.warn(`feed: ${message}; going on from its end in ${afterMs} ms`);
    const { follower } = this;
    this.follower = undefined;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      if (this.stopped) return;
      this.start().catch((error: unknown) => this.beginAgain(new BeginAgain(String(error), RETRY_MS)));
    }, afterMs);
    // Not awaited: this runs within a delivery, which stopping waits for.
    void follower?.stop();
  }
}
