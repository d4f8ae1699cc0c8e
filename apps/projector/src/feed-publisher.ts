import type { FeedMessage, FeedStream } from '#libs/jetstream';
import type { Follower, LogStore, StoredCommit } from '#libs/ledger';
import type { Logger } from '#libs/platform';
import { feedEvent } from '#libs/projections';

const BATCH_MESSAGES = 300;
const BATCH_BYTES = 512 * 1024;
/** Milliseconds until publishing begins anew. */
const defaultPauses = { fenced: 3_000, fault: 500, otherLog: 15_000 };
type Pauses = typeof defaultPauses;

type Place = { readonly sequence: number; readonly index: number };

const parsePlace = (position: string | undefined): Place => {
  const [sequence = 0, index = -1] = (position ?? '0/-1').split('/').map(Number);
  return { sequence, index };
};

const isAfter = (a: Place, b: Place): boolean => a.sequence > b.sequence || (a.sequence === b.sequence && a.index > b.index);

/** Another publisher is at work. */
class Fenced extends Error {}

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
    private readonly pauses: Pauses = defaultPauses,
  ) {}

  /** Throws LogError when log or feed can't be read now; later faults are retried until stop(). */
  async start(): Promise<void> {
    const end = await this.feed.head();
    this.lastSequence = end.sequence;
    this.place = parsePlace(end.position);
    // Read after the feed's end, which another publisher may move on.
    const head = await this.log.head();
    const why = await this.difference(head.sequence, end.commit);
    if (why !== undefined) return this.otherLog(why);
    // The last commit published may have been published in part only: it is delivered once more.
    const before = this.place.sequence - 1;
    const from = before > 0 ? { incarnation: head.incarnation, sequence: before, hash: '' } : undefined;
    const follower = await this.log.follow(from, { commits: (batch) => this.take(batch), lost: (why) => this.beginAgain(why, this.pauses.fault) });
    if (this.stopped || this.timer !== undefined) await follower.stop();
    else this.follower = follower;
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.follower?.stop();
  }

  /** What shows that the feed's end was made from another log. */
  private async difference(last: number, hash: string | undefined): Promise<string | undefined> {
    const { sequence } = this.place;
    if (sequence > last) return `it ends at ${last}, before ${sequence} that was published from it`;
    const there = hash === undefined ? undefined : await this.log.at(sequence);
    return there && there.hash !== hash ? `another commit stands at ${sequence} than was published from there` : undefined;
  }

  private otherLog(why: string): void {
    this.logger.error(`ALARM: the log was restored or lost data (${why}); nothing is published until stream FEED is purged: then it is built anew`);
    this.beginAgain('it was made from another log', this.pauses.otherLog);
  }

  private async take(batch: readonly StoredCommit[]): Promise<void> {
    if (this.timer !== undefined) return;
    try {
      let messages: FeedMessage[] = [];
      let bytes = 0;
      for (const stored of batch) {
        for (const [index, event] of stored.commit.events.entries()) {
          if (!isAfter({ sequence: stored.sequence, index }, this.place)) continue;
          const message = { ...feedEvent(stored, index, event), commit: stored.hash };
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
      if (error instanceof Fenced) this.beginAgain('another publisher is at work', this.pauses.fenced);
      else this.beginAgain(String(error), this.pauses.fault);
    }
  }

  private async publish(messages: readonly FeedMessage[]): Promise<void> {
    const outcome = await this.feed.publish(messages, this.lastSequence);
    if (outcome === 'fenced') throw new Fenced();
    this.lastSequence = outcome.lastSequence;
    this.place = parsePlace(messages[messages.length - 1]?.position);
  }

  private beginAgain(why: string, afterMs: number): void {
    if (this.stopped) return;
    this.logger.warn(`feed: ${why}; looking at its end again in ${afterMs} ms`);
    const { follower } = this;
    this.follower = undefined;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.start().catch((error: unknown) => this.beginAgain(String(error), this.pauses.fault));
    }, afterMs);
    // Not awaited: this runs within a delivery, which stopping waits for.
    void follower?.stop();
  }
}
