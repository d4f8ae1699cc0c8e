import { jest } from '@jest/globals';
import type { ExecutionRef } from '#libs/contracts';
import { FEED_START, type FeedFollowing, type FeedPlace, isBehind } from '#libs/jetstream';
import { MemoryLog, type StoredCommit, append, load } from '#libs/ledger';
import { feedEvent } from '#libs/projections';
import { type Command, decide } from '#libs/execution';
import { request, start, succeed, task } from '#libs/testing';
import { FeedHub, type HubOptions } from './feed-hub.js';
import { Frame, cursorOf } from './frame.js';
import type { Ending, Sink } from './sink.js';
import type { Wanted } from './subscription.js';

const requested = request([task('a')]);

class FakeSink implements Sink {
  readonly got: Frame[] = [];
  ended: { readonly why: Ending; readonly at: string } | undefined;
  isFull = false;
  taken = 0;
  /** Full after so many. */
  room_ = Infinity;
  private gone: () => void = () => undefined;
  private drained: () => void = () => undefined;

  get positions(): readonly string[] {
    return this.got.map(({ place }) => cursorOf(place));
  }

  event(frame: Frame): void {
    this.got.push(frame);
    if (this.got.length >= this.room_) this.isFull = true;
  }

  drain(room: number): void {
    this.room_ = this.got.length + room;
    this.taken += 1;
    this.isFull = false;
    this.drained();
  }

  room(): Promise<void> {
    return new Promise((resolve) => (this.drained = resolve));
  }

  beats: string[] = [];
  snapshot(): void {}
  beat(place: FeedPlace): void {
    this.beats.push(cursorOf(place));
  }
  onGone(callback: () => void): void {
    this.gone = callback;
  }
  end(why: Ending, place: FeedPlace): void {
    this.ended = { why, at: cursorOf(place) };
    this.leave();
  }
  leave(): void {
    this.gone();
    this.drained();
  }
}

/** The feed of a log in memory, delivered when the test says so. */
class FakeFeed {
  bodies: Buffer[] = [];
  /** Events that are no longer there. */
  gone = 0;
  following: FeedFollowing | undefined;
  /** Stopping takes so long. */
  ending: Promise<void> = Promise.resolve();
  pages = 0;

  follow(following: FeedFollowing): { stop: () => Promise<void> } {
    this.following = following;
    return {
      stop: async () => {
        this.following = undefined;
        await this.ending;
      },
    };
  }

  publish(stored: StoredCommit): void {
    this.bodies.push(...stored.commit.events.map((event, index) => Buffer.from(feedEvent(stored, index, event).body)));
  }

  page(tenant: string, after: FeedPlace, limit: number): Promise<{ bodies: readonly Uint8Array[]; upTo: FeedPlace } | undefined> {
    this.pages += 1;
    const frames = this.bodies.map((body) => Frame.of(body));
    const first = frames[this.gone];
    if (this.gone > 0 && (!first || isBehind(first.place, after))) return Promise.resolve(undefined);
    const behind = frames.filter(({ place }) => isBehind(place, after));
    const page = behind.filter(({ ref }) => ref.tenant === tenant).slice(0, limit);
    const upTo = page.length === limit ? page[page.length - 1]?.place : frames[frames.length - 1]?.place;
    return Promise.resolve({ bodies: page.map((frame) => this.bodies[frames.indexOf(frame)] as Buffer), upTo: upTo ?? FEED_START });
  }
}

const options: HubOptions = { recentEvents: 16, recentBytes: 1e9, beatMs: 1e9, stallMs: 5_000, streams: 100, streamsOf: () => 10 };

const stage = (more: Partial<HubOptions> = {}) => {
  const log = new MemoryLog();
  const feed = new FakeFeed();
  const alarms: string[] = [];
  const labelsOf = async (ref: ExecutionRef) => {
    const [first] = await log.history(ref, { limit: 1 });
    const [event] = first?.commit.events ?? [];
    return event?.type === 'ExecutionRequested' ? event.data.labels : undefined;
  };
  const hub = new FeedHub(log, feed, labelsOf, { ...options, ...more }, (message) => alarms.push(message));
  hub.start();
  hub.enter('somebody');
  let delivered = 0;
  const commit = async (ref: ExecutionRef, command: Command): Promise<void> => {
    const current = await load(log, ref);
    const context = { now: 0, cause: 'c', actor: 'a', correlationId: 'k' };
    await append(log, current, decide(command, current.state, context));
    const stored = await log.at(log.lastSequence);
    if (stored) feed.publish(stored);
  };
  return {
    log,
    feed,
    hub,
    alarms,
    commit,
    requestFor: (ref: ExecutionRef, labels: Record<string, string> = {}) =>
      commit(ref, { ...requested, labels } as Command),
    /** From the start, or from what was opened with. */
    opened: (from: FeedPlace = FEED_START) => feed.following?.opened(from),
    /** Everything published since. */
    deliver: async (most = Infinity): Promise<void> => {
      const bodies = feed.bodies.slice(delivered, delivered + most);
      delivered += bodies.length;
      await feed.following?.take(bodies);
    },
    open: (wanted: Partial<Wanted> & Pick<Wanted, 'filter'>, place = FEED_START, sink = new FakeSink()): FakeSink => {
      hub.subscribe({ isValid: () => true, ...wanted }, sink, place);
      return sink;
    },
    all: () => feed.bodies.map((body) => cursorOf(Frame.of(body).place)),
  };
};

const one: ExecutionRef = { tenant: 't', execution: 'e1' };
const two: ExecutionRef = { tenant: 't', execution: 'e2' };
const tenant = { filter: { tenant: 't' } };
const settled = async (): Promise<void> => {
  for (let n = 0; n < 20; n++) await new Promise(setImmediate);
};

beforeEach(() => void jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] }));
afterEach(() => void jest.useRealTimers());

it('hands every event to all who want it, as the same bytes', async () => {
  const { requestFor, commit, opened, deliver, open, all } = stage();
  await opened();
  const [a, b, foreign] = [open(tenant), open({ filter: { tenant: 't', execution: 'e1' } }), open({ filter: { tenant: 'other' } })];
  await settled();
  await requestFor(one);
  await commit(one, start('a'));
  await commit(one, succeed('a'));
  await deliver();
  expect(a.positions).toEqual(all());
  expect(b.got.map((frame, i) => frame.asEventStream === a.got[i]?.asEventStream && frame.asMessage === a.got[i]?.asMessage)).toEqual(all().map(() => true));
  expect(foreign.got).toEqual([]);
});

it('does not let a reader that is full hold up the others: it goes on when it has room, from where the events are', async () => {
  const { requestFor, opened, deliver, open, all, feed } = stage();
  await opened();
  const [brisk, slow] = [open(tenant), new FakeSink()];
  slow.room_ = 3;
  open(tenant, FEED_START, slow);
  await settled();
  for (let n = 0; n < 40; n++) await requestFor({ tenant: 't', execution: `e${n}` });
  await deliver();
  expect(brisk.positions).toEqual(all());
  expect(slow.got).toHaveLength(3);
  expect(feed.pages).toBe(0);
  // The window holds 16 at most: what is older is read again.
  slow.drain(10);
  await settled();
  expect(feed.pages).toBeGreaterThan(0);
  expect(slow.positions).toEqual(all().slice(0, 13));
  slow.drain(Infinity);
  await settled();
  expect(slow.positions).toEqual(all());
  await requestFor(two);
  await deliver();
  expect(slow.positions).toEqual(all());
});

it('sends away who takes nothing, with the position of the last event that was sent', async () => {
  const { requestFor, opened, deliver, open, all } = stage();
  await opened();
  const [brisk, slow] = [open(tenant), new FakeSink()];
  slow.room_ = 2;
  open(tenant, FEED_START, slow);
  await settled();
  for (const ref of [one, two]) await requestFor(ref);
  for (let n = 3; n < 10; n++) await requestFor({ tenant: 't', execution: `e${n}` });
  await deliver();
  await jest.advanceTimersByTimeAsync(4_000);
  expect(slow.ended).toBeUndefined();
  // It takes something: its time begins anew.
  slow.taken += 1;
  await jest.advanceTimersByTimeAsync(5_000);
  expect(slow.ended).toBeUndefined();
  await jest.advanceTimersByTimeAsync(2_000);
  expect(slow.ended).toEqual({ why: 'SLOW_READER', at: all()[1] });
  expect(brisk.ended).toBeUndefined();
  const back = open(tenant, { sequence: 2, index: 0 });
  await settled();
  expect([...slow.positions, ...back.positions]).toEqual(all());
});

it('asks the log for one execution, whose events the feed does not have yet, and repeats none when it has', async () => {
  const { requestFor, commit, opened, deliver, open, all } = stage({ recentEvents: 2 });
  await requestFor(one);
  await commit(one, start('a'));
  for (let n = 2; n < 9; n++) await requestFor({ tenant: 't', execution: `e${n}` });
  await opened({ sequence: 5, index: 0 });
  const sink = open({ filter: { tenant: 't', execution: 'e1' } });
  await settled();
  expect(sink.got.map(({ ref }) => ref.execution)).toEqual(sink.got.map(() => 'e1'));
  const early = sink.positions;
  expect(early.length).toBeGreaterThan(1);
  await commit(one, succeed('a'));
  await deliver();
  await settled();
  expect(sink.positions).toEqual(all().filter((position) => Number(position.split('/')[0]) < 3 || Number(position.split('/')[0]) > 9));
});

it('says so where the feed no longer holds what came next, instead of passing it over', async () => {
  const { requestFor, opened, open, feed, deliver } = stage();
  for (let n = 0; n < 9; n++) await requestFor({ tenant: 't', execution: `e${n}` });
  feed.gone = 5;
  await opened({ sequence: 6, index: 0 });
  const [late, early] = [open(tenant, { sequence: 7, index: 0 }), open(tenant, { sequence: 2, index: 0 })];
  await settled();
  await deliver();
  expect(early.ended).toEqual({ why: 'CURSOR_EXPIRED', at: '2/0' });
  expect(late.positions).toEqual(['8/0', '9/0']);
});

it('repeats nothing when the feed is built anew, and ends all streams when the log is another', async () => {
  const { requestFor, opened, deliver, open, feed, log, alarms, all } = stage();
  await opened();
  const sink = open(tenant);
  await settled();
  for (const ref of [one, two]) await requestFor(ref);
  await deliver();
  await feed.following?.take(feed.bodies);
  expect(sink.positions).toEqual(all());
  log.restore(1);
  feed.bodies = feed.bodies.slice(0, 1);
  await expect(feed.following?.take(feed.bodies)).rejects.toThrow('another log');
  expect(sink.ended).toEqual({ why: 'LOG_REPLACED', at: '2/0' });
  expect(alarms).toHaveLength(1);
  // From here on it is as new.
  expect(feed.following?.place()).toBeUndefined();
  await opened();
  const anew = open(tenant);
  await feed.following?.take(feed.bodies);
  await settled();
  expect(anew.positions).toEqual(['1/0']);
});

it('tells of a message that is no event, once, and hands on what stands around it', async () => {
  const { requestFor, opened, open, feed, alarms, all } = stage({ recentEvents: 1 });
  await opened();
  const sink = open(tenant);
  await settled();
  for (const ref of [one, two]) await requestFor(ref);
  const [first, second] = feed.bodies;
  const garbage = ['not JSON', 'null', '{"position":"1/0"}', '{"tenant":"t","execution":"e1","type":"x","position":"1/x","data":{}}'].map((text) => Buffer.from(text));
  for (let n = 0; n < 2; n++) await feed.following?.take([first, ...garbage, second] as Buffer[]);
  expect(sink.positions).toEqual(all());
  expect(alarms).toHaveLength(garbage.length);
  // Also to who comes back to where the last events do not reach.
  feed.page = () => Promise.resolve({ bodies: [first, ...garbage, second] as Buffer[], upTo: { sequence: 2, index: 0 } });
  const late = open(tenant, FEED_START);
  await settled();
  expect(late.positions).toEqual(all());
  expect(alarms).toHaveLength(garbage.length);
});

it('knows labels of executions that were requested before it was started', async () => {
  const { requestFor, commit, opened, open, feed } = stage();
  await requestFor(one, { team: 'red' });
  await requestFor(two, { team: 'blue' });
  const before = feed.bodies.length;
  await opened({ sequence: 2, index: 0 });
  const sink = open({ filter: { tenant: 't', labels: { team: 'red' } } }, { sequence: 2, index: 0 });
  await settled();
  for (const ref of [two, one]) await commit(ref, start('a'));
  await feed.following?.take(feed.bodies.slice(before));
  expect(sink.got.length).toBeGreaterThan(0);
  expect(new Set(sink.got.map(({ ref }) => ref.execution))).toEqual(new Set(['e1']));
});

it('moves the position of who is live on with the feed, also where nothing fits', async () => {
  const { requestFor, opened, deliver, open } = stage({ beatMs: 1_000 });
  await opened();
  const sink = open({ filter: { tenant: 'nobody' } });
  await settled();
  for (const ref of [one, two]) await requestFor(ref);
  await deliver();
  await jest.advanceTimersByTimeAsync(2_000);
  expect(sink.beats.slice(-1)).toEqual(['2/0']);
});

it('ends who may not be here any more, and everybody when it stops', async () => {
  const { hub, opened, open } = stage();
  await opened();
  let isValid = true;
  const [leaves, stays] = [open({ ...tenant, isValid: () => isValid }), open(tenant)];
  await settled();
  isValid = false;
  await jest.advanceTimersByTimeAsync(1_000);
  expect([leaves.ended?.why, stays.ended]).toEqual(['CREDENTIALS_EXPIRED', undefined]);
  await hub.stop();
  expect(stays.ended).toEqual({ why: 'SERVER_STOPPING', at: '0/-1' });
  expect(() => hub.enter('t')).toThrow('this gateway stops');
  // Somebody who was let in before.
  expect(open(tenant).ended?.why).toBe('SERVER_STOPPING');
});

it('reads the feed from the first stream until a minute after the last one, and misses nothing in between', async () => {
  const { feed, opened, open, requestFor, commit, deliver, all } = stage();
  await opened();
  await requestFor(one);
  await deliver();
  const first = open(tenant);
  await settled();
  expect(first.positions).toEqual(all());
  first.leave();
  await jest.advanceTimersByTimeAsync(50_000);
  expect(feed.following).toBeDefined();
  await jest.advanceTimersByTimeAsync(12_000);
  expect(feed.following).toBeUndefined();
  await commit(one, start('a'));
  const second = open(tenant, FEED_START);
  expect(feed.following?.place()).toBeUndefined();
  await settled();
  await opened({ sequence: 2, index: 1 });
  await requestFor(two);
  await feed.following?.take(feed.bodies.slice(-1));
  await settled();
  expect(second.positions).toEqual(all());
});

it('goes on for who came while it was about to rest', async () => {
  const { feed, opened, open, requestFor, deliver, all } = stage();
  await opened();
  let stopped = (): void => undefined;
  const stop = new Promise<void>((resolve) => (stopped = resolve));
  const { following } = feed;
  feed.ending = stop;
  await jest.advanceTimersByTimeAsync(62_000);
  const sink = open(tenant);
  await settled();
  stopped();
  await settled();
  expect(feed.following).not.toBe(following);
  await opened();
  await requestFor(one);
  await deliver();
  await settled();
  expect(sink.positions).toEqual(all());
});
