import { createHash } from 'node:crypto';
import type { ExecutionRef } from '#libs/contracts';
import { type FeedPlace, type FeedReader, Slots, isBehind } from '#libs/jetstream';
import { type LogStore, type StoredCommit } from '#libs/ledger';
import { feedEvent } from '#libs/projections';
import type { Settings } from '#libs/platform';
import { gatewayStopping } from '../problem.js';
import type { StreamFilter } from './filter.js';
import { Frame, cursorOf } from './frame.js';
import { ExecutionLabels } from './labels.js';
import type { Sink } from './sink.js';
import { Seats } from './seats.js';
import { type Page, type Past, Subscription, type Wanted } from './subscription.js';
import { together } from './together.js';
import { Window } from './window.js';

export type HubOptions = {
  /** The last events that are kept for who comes back. */
  readonly recentEvents: number;
  readonly recentBytes: number;
  readonly beatMs: number;
  /** A reader that takes nothing for this time is sent away, milliseconds. */
  readonly stallMs: number;
  /** Streams at once: of all, and of a tenant. */
  readonly streams: number;
  readonly streamsOf: (tenant: string) => number;
};

/** What a tenant may have of them where nothing else is said. */
const STREAMS_OF_TENANT = 2_000;

export const hubOptions = ({ streams, tenants }: Pick<Settings, 'streams' | 'tenants'>): HubOptions => ({
  recentEvents: 10_000,
  recentBytes: 16 * 1024 * 1024,
  beatMs: 15_000,
  stallMs: 10_000,
  streams,
  streamsOf: (tenant) => tenants.of(tenant).limits.streams ?? STREAMS_OF_TENANT,
});

const CHECK_MS = 1_000;
/** Whoever comes back within this time after the last stream has closed finds the last events still here. */
const REST_AFTER_MS = 60_000;
const COMMITS = 200;
const EVENTS = 500;
/** Messages that nobody can read, of which it is remembered that they were told of. */
const UNREADABLE = 1_000;
/** Reads at once for those who catch up. */
const READS = 16;

type Log = Pick<LogStore, 'history' | 'at' | 'head'>;
type Feed = Pick<FeedReader, 'follow' | 'page'>;
type Following = ReturnType<Feed['follow']>;

/** One subscription to the public feed, handed on to every client of this gateway, while it has any. */
export class FeedHub {
  private readonly window: Window;
  private readonly labels: ExecutionLabels;
  private readonly slots = new Slots(READS);
  private readonly pages = new Map<string, Promise<Page | undefined>>();
  /** By tenant, or by tenant and execution: who may want an event. */
  private readonly audiences = new Map<string, Set<Subscription>>();
  private readonly seats: Seats;
  private readonly past: Past = {
    recent: (place) => this.window.after(place),
    page: (filter, place) => together(this.pages, `${keyOf(filter.tenant, filter.execution)} ${cursorOf(place)}`, () => this.slots.take(() => this.page(filter, place))),
    learn: (frames) => this.labels.learn(frames),
  };
  /** Digests of what was told of. */
  private readonly unreadable = new Set<string>();
  private all = new Set<Subscription>();
  private following: Following | undefined;
  private timer: NodeJS.Timeout | undefined;
  private beatAt = 0;
  private wantedAt = 0;
  private isStopped = false;

  constructor(
    private readonly log: Log,
    private readonly feed: Feed,
    labelsOf: (ref: ExecutionRef) => Promise<Readonly<Record<string, string>> | undefined>,
    private readonly options: HubOptions,
    private readonly alarm: (message: string) => void,
  ) {
    this.window = new Window(options.recentEvents, options.recentBytes);
    this.labels = new ExecutionLabels(labelsOf);
    this.seats = new Seats(options.streams, options.streamsOf);
  }

  start(): void {
    this.timer = setInterval(() => this.check(Date.now()), CHECK_MS).unref();
  }

  /** Everybody is sent away with the position to come back with. */
  async stop(): Promise<void> {
    this.isStopped = true;
    clearInterval(this.timer);
    for (const subscription of this.all) subscription.end('SERVER_STOPPING');
    await this.following?.stop();
  }

  /** Undefined where it does not know yet. */
  get end(): FeedPlace | undefined {
    return this.window.start && this.window.end;
  }

  /** Whether a stream may begin behind the place without anything else being asked. */
  covers(place: FeedPlace): boolean {
    return this.window.after(place) !== undefined;
  }

  /**
   * A place for one more stream, taken before anything is read for it: of many that come at once no more are let in than may be. Returns
   * what gives it back. Throws Problem TENANT_LIMIT, STREAMS_FULL, GATEWAY_STOPPING.
   */
  enter(tenant: string): () => void {
    if (this.isStopped) throw gatewayStopping();
    const leave = this.seats.take(tenant);
    this.follow();
    return leave;
  }

  /** Everything that fits, behind the place: what is there already, then what comes. Never throws: somebody is connected already. */
  subscribe(wanted: Wanted, sink: Sink, place: FeedPlace): Subscription {
    const { tenant, execution } = wanted.filter;
    const subscription = new Subscription(wanted, sink, this.past, place);
    const audience = keyOf(tenant, execution);
    this.all.add(subscription);
    this.audiences.set(audience, (this.audiences.get(audience) ?? new Set()).add(subscription));
    sink.onGone(() => {
      subscription.abandon();
      this.all.delete(subscription);
      const left = this.audiences.get(audience);
      left?.delete(subscription);
      if (left?.size === 0) this.audiences.delete(audience);
    });
    if (this.isStopped) subscription.end('SERVER_STOPPING');
    else {
      this.follow();
      void subscription.catchUp();
    }
    return subscription;
  }

  private follow(): void {
    this.wantedAt = Date.now();
    this.following ??= this.feed.follow({
      place: () => (this.window.start ? this.window.end : undefined),
      backlog: this.options.recentEvents,
      opened: (from) => this.opened(from),
      take: (bodies) => this.take(bodies),
    });
  }

  private async rest(following: Following): Promise<void> {
    await following.stop();
    if (this.following !== following || this.isStopped) return;
    this.following = undefined;
    this.window.forget();
    // Somebody came meanwhile, and goes on from where it is once the feed is followed again.
    if (this.all.size > 0) this.follow();
  }

  private async opened(from: FeedPlace): Promise<void> {
    if (this.window.start) {
      await this.mustBeSameLog();
      if (!isBehind(from, this.window.end)) return;
    }
    this.window.begin(from);
    for (const subscription of this.all) subscription.interrupt();
  }

  private async take(bodies: readonly Uint8Array[]): Promise<void> {
    const frames = this.readable(bodies, cursorOf(this.window.end));
    if (frames.some(({ place }) => !isBehind(place, this.window.end))) await this.mustBeSameLog();
    for (const frame of frames) this.labels.note(frame);
    const labelled = new Set([...this.all].flatMap(({ wanted: { filter } }) => (filter.labels ? [filter.tenant] : [])));
    if (labelled.size > 0) await this.labels.learn(frames.filter(({ ref }) => labelled.has(ref.tenant)));
    for (const frame of frames) {
      const before = this.window.end;
      if (!this.window.add(frame)) continue;
      const { tenant, execution } = frame.ref;
      for (const key of [keyOf(tenant), keyOf(tenant, execution)]) {
        for (const subscription of this.audiences.get(key) ?? []) subscription.offer(frame, before);
      }
    }
  }

  /** Throws where the log is another one than that of the events it has: what was sent of it never was. */
  private async mustBeSameLog(): Promise<void> {
    const { newest } = this.window;
    if (!newest || (await this.isInLog(newest))) return;
    this.alarm('the log was restored or lost data: streams are ended, their clients begin anew');
    this.window.forget();
    for (const subscription of this.all) subscription.end('LOG_REPLACED');
    throw new Error('the feed is of another log');
  }

  private async isInLog(frame: Frame): Promise<boolean> {
    const { sequence, index } = frame.place;
    const stored = await this.log.at(sequence);
    // What was deleted is gone from a log that is the same.
    if (!stored) return (await this.log.head()).sequence >= sequence;
    const event = stored.commit.events[index];
    return event !== undefined && frame.isSame(feedEvent(stored, index, event).body);
  }

  private async page({ tenant, execution }: StreamFilter, place: FeedPlace): Promise<Page | undefined> {
    if (execution !== undefined) return await this.pageOfLog({ tenant, execution }, place);
    const page = await this.feed.page(tenant, place, EVENTS);
    return page && { frames: this.readable(page.bodies, cursorOf(place)), upTo: page.upTo };
  }

  /** The log knows all of an execution, also what the feed has not heard of yet. */
  private async pageOfLog(ref: ExecutionRef, place: FeedPlace): Promise<Page> {
    // What comes behind this is among the last events, and what comes before it was committed before the log is read.
    const { start = place } = this.window;
    const commits = await this.log.history(ref, { after: Math.max(0, place.sequence - 1), limit: COMMITS });
    const frames = commits.flatMap(framesOf).filter((frame) => isBehind(frame.place, place));
    const last = frames[frames.length - 1];
    return { frames, upTo: last ? last.place : start };
  }

  /** What is none of the feed's events is told, once, and holds nobody up: events of the log are written by the projector alone. */
  private readable(bodies: readonly Uint8Array[], after: string): readonly Frame[] {
    return bodies.flatMap((body) => {
      try {
        return [Frame.of(body)];
      } catch (error) {
        const digest = createHash('sha256').update(body).digest('hex');
        if (this.unreadable.has(digest)) return [];
        if (this.unreadable.size < UNREADABLE) this.unreadable.add(digest);
        this.alarm(`stream FEED holds what is not an event, behind position ${after}: ${String(error)}; it is passed over. See who may publish to events.> beside the projector; purge FEED, and it is built anew`);
        return [];
      }
    });
  }

  private check(now: number): void {
    const isBeat = now - this.beatAt >= this.options.beatMs;
    if (isBeat) this.beatAt = now;
    if (this.all.size > 0) this.wantedAt = now;
    if (this.following && now - this.wantedAt >= REST_AFTER_MS) void this.rest(this.following);
    for (const subscription of this.all) {
      subscription.check(now, this.options.stallMs);
      if (isBeat) subscription.beat(this.window.end);
    }
  }
}

const keyOf = (tenant: string, execution?: string): string => (execution === undefined ? tenant : `${tenant}/${execution}`);

const framesOf = (stored: StoredCommit): readonly Frame[] =>
  stored.commit.events.map((event, index) => Frame.of(Buffer.from(feedEvent(stored, index, event).body)));
