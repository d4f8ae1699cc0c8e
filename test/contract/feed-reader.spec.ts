import { headers } from '@nats-io/transport-node';
import type { ExecutionRef } from '#libs/contracts';
import { FEED_START, type FeedPlace, FeedReader, FeedStream, isBehind, provision } from '#libs/jetstream';
import { feedEvent } from '#libs/projections';
import { eventually } from '#libs/testing';
import { appendChain, commitFor, sequenceOf } from './commits.js';
import { type Broker, MIB, startBroker } from './servers.js';

const EVENTS = 12;
const tenant = 'acme';
const ref = (n: number): ExecutionRef => ({ tenant, execution: `e${n}` });

let broker: Broker;
let feed: FeedStream;
let alarms: string[];
let reader: FeedReader;
const followed: { stop(): Promise<void> }[] = [];
beforeEach(async () => {
  broker = await startBroker();
  feed = new FeedStream(broker.nats);
  alarms = [];
  reader = new FeedReader(broker.nats, (message) => alarms.push(message));
  for (let n = 0; n < EVENTS / 3; n++) await appendChain(broker.log, ref(n), 3);
  await publish();
}, 30_000);
afterEach(async () => {
  await Promise.all(followed.splice(0).map((follower) => follower.stop()));
  await broker.close();
});

/** What the projector would: everything of the log that the feed does not have, one by one. */
const publish = async (): Promise<void> => {
  const head = await feed.head();
  let expected = head.sequence;
  for (let sequence = Number(head.position?.split('/')[0] ?? 0) + 1; ; sequence++) {
    const stored = await broker.log.at(sequence);
    if (!stored) return;
    const messages = stored.commit.events.map((event, index) => ({ ...feedEvent(stored, index, event), commit: stored.hash }));
    const published = await feed.publish(messages, expected);
    if (published === 'fenced') throw new Error('somebody else publishes');
    expected = published.lastSequence;
  }
};

const api = async (call: string, body?: object): Promise<void> => {
  const answer = (await broker.nats.connection.request(`$JS.API.${call}`, body && JSON.stringify(body))).json<{ error?: { description: string } }>();
  if (answer.error) throw new Error(answer.error.description);
};

/** No limit is as quick as an operator's: the oldest are gone but for so many. */
const discardAllBut = async (count: number): Promise<void> => {
  const { config } = (await broker.nats.connection.request('$JS.API.STREAM.INFO.FEED')).json<{ config: object }>();
  await api('STREAM.UPDATE.FEED', { ...config, max_msgs: count });
  await api('STREAM.UPDATE.FEED', { ...config, max_msgs: -1 });
};

const textOf = ({ sequence, index }: FeedPlace): string => `${sequence}/${index}`;
const positionOf = (body: Uint8Array): string | undefined => {
  try {
    return (JSON.parse(Buffer.from(body).toString()) as { position: string }).position;
  } catch {
    return undefined;
  }
};
const places = Array.from({ length: EVENTS }, (_, n): FeedPlace => ({ sequence: n + 1, index: 0 }));
const all = places.map(textOf);

/** Follows as the gateway does; takes each event once. */
const follow = (start: FeedPlace | undefined) => {
  const seen = { opened: [] as string[], positions: [] as string[], others: 0 };
  let place = start;
  const follower = reader.follow({
    place: () => place,
    backlog: 1_000,
    opened: (from) => {
      seen.opened.push(textOf(from));
      if (!place || isBehind(from, place)) place = from;
      return Promise.resolve();
    },
    take: (bodies) => {
      for (const body of bodies) {
        const position = positionOf(body);
        const [sequence = 0, index = 0] = (position ?? '0/-1').split('/').map(Number);
        if (position === undefined) seen.others += 1;
        else if (!place || isBehind({ sequence, index }, place)) {
          place = { sequence, index };
          seen.positions.push(position);
        }
      }
      return Promise.resolve();
    },
  });
  followed.push(follower);
  return seen;
};

const untilAll = (seen: { readonly positions: readonly string[] }, wanted: readonly string[]): Promise<unknown> =>
  eventually(() => seen.positions.length >= wanted.length, { what: `${wanted.length} events`, timeoutMs: 15_000 }).then(() => expect(seen.positions).toEqual(wanted));

/** What a page has behind each position; undefined where it says that it is too old. */
const pages = async (): Promise<readonly (readonly (string | undefined)[] | undefined)[]> =>
  await Promise.all([FEED_START, ...places].map(async (place) => (await reader.page(tenant, place, 1_000))?.bodies.map(positionOf)));

it('has all that comes behind a position, whichever it is', async () => {
  expect(await pages()).toEqual([all, ...places.map((_, n) => all.slice(n + 1))]);
  await untilAll(follow(undefined), all);
  await untilAll(follow(places[4]), all.slice(5));
});

it('repeats nothing and leaves nothing out where the feed is purged and built anew while it is followed', async () => {
  const seen = follow(FEED_START);
  await untilAll(seen, all);
  await api('STREAM.PURGE.FEED');
  expect(await reader.reachesBack(places[3] as FeedPlace)).toBe(true);
  await appendChain(broker.log, ref(90), 2);
  await publish();
  await untilAll(seen, [...all, '13/0', '14/0']);
  expect((await reader.page(tenant, places[3] as FeedPlace, 1_000))?.bodies.map(positionOf)).toEqual([...all.slice(4), '13/0', '14/0']);
});

it('goes on in a new stream, whose sequences begin at 1 again, from the position that was reached', async () => {
  const seen = follow(FEED_START);
  await untilAll(seen, all);
  await api('STREAM.DELETE.FEED');
  await expect(reader.page(tenant, places[3] as FeedPlace, 1_000)).rejects.toThrow('stream FEED');
  await provision(broker.nats, { logMaxBytes: 256 * MIB });
  await appendChain(broker.log, ref(91), 1);
  await publish();
  await untilAll(seen, [...all, '13/0']);
  expect((await reader.page(tenant, places[10] as FeedPlace, 1_000))?.bodies.map(positionOf)).toEqual(['12/0', '13/0']);
});

it('says of every position behind which something was discarded that it is too old, and of no other', async () => {
  await discardAllBut(4);
  const [firstKept, ...kept] = all.slice(-4);
  // What stands right before the first that is left can't be told from what is gone.
  expect(await pages()).toEqual([...Array.from({ length: EVENTS - 3 }, () => undefined), kept, kept.slice(1), kept.slice(2), []]);
  for (const [n, place] of places.entries()) expect(await reader.reachesBack(place)).toBe(n >= EVENTS - 4);
  const late = follow(places[1]);
  await untilAll(late, kept);
  expect(late.opened).toEqual([firstKept]);
  // What was discarded and is built anew can be had again.
  await api('STREAM.PURGE.FEED');
  await publish();
  expect(await reader.reachesBack(places[1] as FeedPlace)).toBe(true);
});

it('hands over no more at once than so many bytes, and all of it page by page', async () => {
  const wide = ref(92);
  let sequence = 0;
  for (let version = 1; version <= 9; version++) sequence = sequenceOf(await broker.log.append(commitFor(wide, sequence, { version, padding: 90_000 })));
  await publish();
  const sizes: number[] = [];
  const positions: (string | undefined)[] = [];
  for (let after: FeedPlace = FEED_START; ; ) {
    const page = await reader.page(tenant, after, 1_000);
    if (!page || page.bodies.length === 0) break;
    sizes.push(page.bodies.reduce((sum, { length }) => sum + length, 0));
    positions.push(...page.bodies.map(positionOf));
    after = page.upTo;
  }
  expect(positions).toEqual([...all, ...Array.from({ length: 9 }, (_, n) => `${EVENTS + 1 + n}/0`)]);
  expect(Math.max(...sizes)).toBeLessThan(400_000);
  expect(sizes.length).toBeGreaterThan(2);
});

it('answers a thousand who come back at once', async () => {
  await discardAllBut(4);
  const answers = await Promise.all(Array.from({ length: 1_000 }, (_, n) => reader.reachesBack(places[n % EVENTS] as FeedPlace)));
  expect(answers).toEqual(answers.map((_, n) => n % EVENTS >= EVENTS - 4));
});

it('finds its place also among messages that are none of the feed', async () => {
  await api('STREAM.PURGE.FEED');
  for (const [n, place] of places.entries()) {
    for (let other = 0; other <= n % 3; other++) await broker.nats.connection.request(`events.${tenant}.e.foreign.message`, 'no event');
    const stored = await broker.log.at(place.sequence);
    if (!stored) throw new Error('no commit');
    const all = headers();
    all.set('Runledger-Position', textOf(place));
    for (const [index, event] of stored.commit.events.entries()) await broker.nats.connection.request(feedEvent(stored, index, event).subject, feedEvent(stored, index, event).body, { timeout: 5_000, headers: all });
  }
  await broker.nats.connection.request(`events.${tenant}.e.foreign.message`, '{"position":');
  const had = (await pages()).map((page) => page?.filter((position) => position !== undefined));
  expect(had).toEqual([all, ...places.map((_, n) => all.slice(n + 1))]);
  const seen = follow(FEED_START);
  await untilAll(seen, all);
  expect(seen.others).toBeGreaterThan(EVENTS);
});

it('raises an alarm, once, where who follows it fails, and hands over the same again', async () => {
  const taken: string[][] = [];
  followed.push(
    reader.follow({
      place: () => FEED_START,
      backlog: 1_000,
      opened: () => Promise.resolve(),
      take: (bodies) => {
        taken.push(bodies.map((body) => String(positionOf(body))));
        return taken.length < 4 ? Promise.reject(new TypeError('a bug')) : Promise.resolve();
      },
    }),
  );
  await eventually(() => taken.length >= 4, { what: 'the fourth try' });
  expect(new Set(taken.slice(0, 4).map(([first]) => first))).toEqual(new Set(['1/0']));
  expect(alarms).toEqual([expect.stringContaining('TypeError: a bug')]);
});
