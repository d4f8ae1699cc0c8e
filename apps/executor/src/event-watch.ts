import { isDeepStrictEqual } from 'node:util';
import { type EventData, type ExecutionRef, type JsonObject, eventId, feedSubject } from '#libs/contracts';
import type { Follower, LogStore, StoredCommit } from '#libs/ledger';
import type { CancelTimer, Clock } from './clock.js';

/** An attempt, and the event that ends it. */
export type EventWait = { readonly taskId: string; readonly attempt: number } & NonNullable<EventData['TaskStarted']['event']>;

type Found = (wait: EventWait, event: JsonObject) => void;
type Labels = Readonly<Record<string, string>>;

/** `isCovered`: whoever follows the log now delivers all that it still has to see. */
type Waiting = { readonly ref: ExecutionRef; readonly labels: Labels; readonly wait: EventWait; readonly pattern: readonly string[]; readonly found: Found; isCovered: boolean; isOver: boolean };

const RETRY_MS = 1_000;
/** Bytes of JSON of an event's data that a result carries. */
const MAX_DATA_BYTES = 16 * 1024;

const keyOf = ({ tenant, execution }: ExecutionRef): string => `${tenant}.${execution}`;

/** True where a subject's tokens fit a pattern's: * is any one, > the rest, of one at least. */
export const fits = (pattern: readonly string[], tokens: readonly string[]): boolean => {
  const rest = pattern.indexOf('>');
  if (rest >= 0 ? tokens.length <= rest : tokens.length !== pattern.length) return false;
  return pattern.every((part, index) => part === '>' || part === '*' || part === tokens[index]);
};

type Event = StoredCommit['commit']['events'][number];

const hasFields = ({ data }: Event, match: JsonObject = {}): boolean =>
  Object.entries(match).every(([name, value]) => Object.hasOwn(data, name) && isDeepStrictEqual((data as JsonObject)[name], value));

/** An execution's own events end none of its waits. */
const mayConcern = ({ ref, wait, isOver }: Waiting, stored: StoredCommit): boolean =>
  !isOver && stored.sequence > wait.after && stored.ref.tenant === ref.tenant && stored.ref.execution !== ref.execution;

const resultOf = ({ ref, sequence, commit }: StoredCommit, index: number, event: Event, subject: string): JsonObject => ({
  id: eventId(ref.execution, commit.version, index),
  subject,
  type: event.type,
  time: event.at,
  execution: ref.execution,
  position: `${sequence}/${index}`,
  ...(Buffer.byteLength(JSON.stringify(event.data)) <= MAX_DATA_BYTES ? { data: event.data as JsonObject } : { dataOmitted: true }),
});

/**
 * Finds the events that attempts of this executor wait for. What the public feed carries is what the log holds: one follower reads
 * it for all of them, from the first place that one of them has not seen, and only while there are any.
 */
export class EventWatch {
  private readonly waiting = new Map<string, Map<string, Waiting>>();
  /** All of them, until there are others. */
  private listed: readonly Waiting[] | undefined;
  private follower: Follower | undefined;
  /** What the follower has handed over, or is handing over. */
  private reached = 0;
  private generation = 0;
  private adjusting: Promise<void> | undefined;
  private again = false;
  private stopped = false;
  private cancelRetry: CancelTimer = () => undefined;

  constructor(
    private readonly log: LogStore,
    private readonly clock: Clock,
    private readonly warn: (error: unknown) => void,
  ) {}

  /** All that an execution waits for now, instead of what it waited for before. `found` is called once for each of them at most. */
  watch(ref: ExecutionRef, labels: Labels, waits: readonly EventWait[], found: Found): void {
    const key = keyOf(ref);
    const known = this.waiting.get(key);
    if (waits.length === 0 && !known) return;
    const isCovered = ({ after }: EventWait): boolean => this.follower !== undefined && this.reached <= after;
    const entries = waits.map((wait): [string, Waiting] => {
      const name = `${wait.taskId}/${wait.attempt}`;
      return [name, known?.get(name) ?? { ref, labels, wait, pattern: wait.subject.split('.'), found, isCovered: isCovered(wait), isOver: false }];
    });
    if (entries.length > 0) this.waiting.set(key, new Map(entries));
    else this.waiting.delete(key);
    this.listed = undefined;
    this.adjust();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.cancelRetry();
    await this.adjusting;
    await this.unfollow();
  }

  private get open(): readonly Waiting[] {
    return (this.listed ??= [...this.waiting.values()].flatMap((waits) => [...waits.values()]).filter(({ isOver }) => !isOver));
  }

  /** Follows the log from where it is needed, or not at all. */
  private adjust(): void {
    this.again = true;
    this.adjusting ??= this.settle().finally(() => {
      this.adjusting = undefined;
      if (this.again && !this.stopped) this.adjust();
    });
  }

  private async settle(): Promise<void> {
    while (this.again && !this.stopped) {
      this.again = false;
      const { open } = this;
      if (open.length === 0) await this.unfollow();
      else if (!this.follower || open.some(({ isCovered }) => !isCovered)) await this.follow(open);
    }
  }

  private async follow(open: readonly Waiting[]): Promise<void> {
    const { reached } = this;
    const after = open.reduce((first, { wait, isCovered }) => Math.min(first, isCovered ? Math.max(reached, wait.after) : wait.after), Infinity);
    await this.unfollow();
    this.reached = after;
    const generation = this.generation;
    try {
      const { incarnation } = await this.log.head();
      const follower = await this.log.follow(after > 0 ? { incarnation, sequence: after, hash: '' } : undefined, {
        commits: (batch) => this.take(batch, generation),
        lost: (why) => this.tryAgain(new Error(why)),
      });
      // Lost while it began: it is tried again.
      if (generation !== this.generation) return await follower.stop();
      this.follower = follower;
      for (const waiting of open) waiting.isCovered = true;
    } catch (error) {
      this.tryAgain(error);
    }
  }

  private tryAgain(error: unknown): void {
    this.warn(error);
    // Not awaited: this may run within a delivery, which stopping waits for.
    void this.unfollow();
    for (const waiting of this.open) waiting.isCovered = false;
    this.cancelRetry();
    if (!this.stopped) this.cancelRetry = this.clock.after(RETRY_MS, () => this.adjust());
  }

  private async unfollow(): Promise<void> {
    const { follower } = this;
    this.follower = undefined;
    this.generation += 1;
    await follower?.stop();
  }

  private async take(batch: readonly StoredCommit[], generation: number): Promise<void> {
    try {
      for (const stored of batch) {
        if (generation !== this.generation) return;
        this.reached = stored.sequence;
        for (const waiting of this.open) if (mayConcern(waiting, stored)) await this.compare(waiting, stored);
      }
    } catch (error) {
      this.tryAgain(error);
    }
  }

  private async compare(waiting: Waiting, stored: StoredCommit): Promise<void> {
    const { wait, pattern } = waiting;
    for (const [index, event] of stored.commit.events.entries()) {
      const subject = feedSubject(stored.ref, event.type);
      if (!fits(pattern, subject.split('.').slice(2)) || !hasFields(event, wait.match)) continue;
      if (!(await this.isVisible(waiting, stored.ref))) return;
      if (waiting.isOver) return;
      waiting.isOver = true;
      this.listed = undefined;
      waiting.found(wait, resultOf(stored, index, event, subject));
      return;
    }
  }

  /** What belongs to a workspace sees no other one. */
  private async isVisible({ labels }: Waiting, of: ExecutionRef): Promise<boolean> {
    const { workspace } = labels;
    if (workspace === undefined) return true;
    const [first] = await this.log.history(of, { limit: 1 });
    const requested = first?.commit.events.find((event) => event.type === 'ExecutionRequested');
    return requested?.data.labels['workspace'] === workspace;
  }
}
