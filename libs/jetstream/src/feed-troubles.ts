import { LogError } from '#libs/ledger';

/** A broker that elects a leader, or is started again, takes no longer. */
const PATIENCE_MS = 10_000;

/** Tells of what keeps a follower of the feed from going on: once each time, until it has gone on. */
export class FeedTroubles {
  private since: number | undefined;
  private told = new Set<string>();

  constructor(
    private readonly alarm: (message: string) => void,
    private readonly now: () => number = Date.now,
  ) {}

  /** What a reader throws is told at once, unless it is that it can't read the log: it gets the same again. */
  async within(handling: Promise<void>): Promise<void> {
    try {
      await handling;
    } catch (error) {
      if (!(error instanceof LogError && error.retryable)) this.tell(`a reader of stream FEED failed and gets the same again: ${String(error)}`);
      throw error;
    }
  }

  /** Told where it lasts. */
  heard(error: unknown): void {
    this.since ??= this.now();
    if (this.told.size > 0 || this.now() - this.since < PATIENCE_MS) return;
    this.tell(`stream FEED can't be followed (${error instanceof Error ? error.message : String(error)}); who follows it stands still, and goes on by itself`);
  }

  over(): void {
    this.since = undefined;
    this.told.clear();
  }

  private tell(message: string): void {
    if (!this.told.has(message)) this.alarm(message);
    this.told.add(message);
  }
}
