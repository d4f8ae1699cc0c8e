import { SHARDS, logSubject, shardOf } from '#libs/contracts';
import { type LogPurge, type LogStore, MAX_COMMIT_BYTES, hashOf } from '#libs/ledger';
import { eventually } from '#libs/testing';
import { appendChain, commitFor, sequenceOf, someone } from './commits.js';
import { recorder } from './recorder.js';

export type LogUnderTest = {
  readonly log: LogStore & LogPurge;
  /** The same log as another process sees it. */
  readonly other: LogStore;
  /** Stores any bytes on any subject below `log.`. */
  write(subject: string, body: Uint8Array): Promise<void>;
  close(): Promise<void>;
};

/** What every event log promises. Each test finds an empty log. */
export const logContract = (name: string, open: () => Promise<LogUnderTest>): void => {
  describe(`the event log: ${name}`, () => {
    let under: LogUnderTest;
    let log: LogUnderTest['log'];

    beforeEach(async () => {
      under = await open();
      log = under.log;
    });
    afterEach(() => under.close());

    it('stores a first commit and the next behind it', async () => {
      const ref = someone();
      const { sequence, hash } = await appendChain(log, ref, 2);
      const history = await log.history(ref);
      expect(history.map(({ commit }) => commit.version)).toEqual([1, 2]);
      expect(history[1]).toMatchObject({ ref, sequence, hash });
      expect(history[1]?.commit.previous).toBe(history[0]?.hash);
      expect(Math.abs(Date.parse(history[1]?.storedAt ?? '') - Date.now())).toBeLessThan(60_000);
    });

    it('refuses what expects another last commit', async () => {
      const ref = someone();
      const first = sequenceOf(await log.append(commitFor(ref, 0)));
      const second = sequenceOf(await log.append(commitFor(ref, first)));
      for (const expected of [0, first, second + 1]) {
        expect(await log.append(commitFor(ref, expected))).toEqual({ stored: false });
      }
      expect(await log.history(ref)).toHaveLength(2);
    });

    it('lets exactly one of two racers win each version', async () => {
      const ref = someone();
      let expected = 0;
      for (let version = 1; version <= 50; version++) {
        const racers = [commitFor(ref, expected, { version }), commitFor(ref, expected, { version })] as const;
        const results = await Promise.all([log.append(racers[0]), under.other.append(racers[1])]);
        const winner = results.findIndex(({ stored }) => stored);
        expect(results.filter(({ stored }) => stored)).toHaveLength(1);
        expected = sequenceOf(results[winner]!);
        expect((await log.at(expected))?.commit.id).toBe(racers[winner]?.id);
      }
      expect((await log.history(ref)).map(({ commit }) => commit.version)).toEqual(Array.from({ length: 50 }, (_, i) => i + 1));
    });

    it('serves appends to one execution that were asked for at once in their order', async () => {
      const ref = someone();
      const results = await Promise.all(Array.from({ length: 40 }, () => log.append(commitFor(ref, 0))));
      expect(results.map(({ stored }) => stored)).toEqual([true, ...Array.from({ length: 39 }, () => false)]);
    });

    it('stores many commits at once, each told its own sequence', async () => {
      const appends = Array.from({ length: 700 }, () => commitFor(someone(), 0));
      const sequences = (await Promise.all(appends.map((append) => log.append(append)))).map(sequenceOf);
      expect(new Set(sequences).size).toBe(700);
      for (const i of [0, 15, 16, 299, 300, 301, 699]) {
        expect((await log.at(sequences[i]!))?.commit.id).toBe(appends[i]?.id);
      }
      expect((await log.head()).sequence).toBe(700);
    });

    it('stores the others when some of many are stale, and tells those apart', async () => {
      const stale = Array.from({ length: 5 }, () => someone());
      for (const ref of stale) await under.other.append(commitFor(ref, 0));
      const refs = Array.from({ length: 200 }, (_, i) => stale[i / 40] ?? someone());
      const results = await Promise.all(refs.map((ref) => log.append(commitFor(ref, 0))));
      expect(results.map(({ stored }) => stored)).toEqual(refs.map((ref) => !stale.includes(ref)));
      expect((await log.head()).sequence).toBe(5 + 195);
      for (const ref of refs) expect(await log.history(ref)).toHaveLength(1);
    });

    it('reads a history of more than 1,000 commits, and any part of it', async () => {
      const ref = someone();
      await appendChain(log, someone(), 3);
      await appendChain(log, ref, 1_100);
      const history = await log.history(ref);
      expect(history.map(({ commit }) => commit.version)).toEqual(Array.from({ length: 1_100 }, (_, i) => i + 1));
      const [after, upTo] = [history[99]!.sequence, history[899]!.sequence];
      expect((await log.history(ref, { after })).map(({ commit }) => commit.version)[0]).toBe(101);
      expect((await log.history(ref, { upTo })).at(-1)?.commit.version).toBe(900);
      expect(await log.history(ref, { after, upTo })).toEqual(history.slice(100, 900));
      expect(await log.history(ref, { after: history[1_099]!.sequence })).toEqual([]);
      expect(await log.history(someone())).toEqual([]);
    }, 30_000);

    it('reads and delivers commits near the limit, as large in all as they may be', async () => {
      const [refs, ref] = [Array.from({ length: 40 }, () => someone()), someone()];
      await Promise.all(refs.map((each) => log.append(commitFor(each, 0, { padding: 250_000 }))));
      for (let expected = 0, version = 1; version <= 40; version++) {
        expected = sequenceOf(await log.append(commitFor(ref, expected, { version, padding: 250_000 })));
      }
      expect((await log.history(ref)).map(({ commit }) => commit.version)).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
      const reader = recorder();
      const follower = await log.follow(undefined, reader);
      await reader.whenCaughtUp;
      expect(reader.sequences()).toEqual(Array.from({ length: 80 }, (_, i) => i + 1));
      await follower.stop();
    });

    it('names its last position, also while it is empty', async () => {
      const empty = await log.head();
      expect(empty).toEqual({ incarnation: expect.stringMatching(/./), sequence: 0, hash: '' });
      const append = commitFor(someone(), 0);
      await log.append(append);
      expect(await under.other.head()).toEqual({ ...empty, sequence: 1, hash: hashOf(append.body) });
      expect(await log.at(2)).toBeUndefined();
    });

    it('refuses ids that are no tokens before anything is sent', async () => {
      for (const execution of ['', 'a.b', '*', '>', ' ', 'a\r\nb', 'x'.repeat(65), 'x'.repeat(5_000), 'ä', '$JS', '\0']) {
        await expect(log.append(commitFor({ tenant: 'acme', execution }, 0))).rejects.toThrow(RangeError);
        await expect(log.append(commitFor({ tenant: execution, execution: 'a' }, 0))).rejects.toThrow(RangeError);
        await expect(log.history({ tenant: 'acme', execution })).rejects.toThrow(RangeError);
      }
      expect((await log.head()).sequence).toBe(0);
    });

    it('refuses a commit over the limit', async () => {
      const append = { ...commitFor(someone(), 0), body: new Uint8Array(MAX_COMMIT_BYTES + 1) };
      await expect(log.append(append)).rejects.toMatchObject({ code: 'COMMIT_TOO_LARGE', retryable: false });
    });

    it('delivers everything in order, then what comes, and says once when the past is through', async () => {
      const refs = Array.from({ length: 20 }, () => someone());
      for (const ref of refs) await appendChain(log, ref, 2);
      const reader = recorder();
      const follower = await log.follow(undefined, reader);
      await reader.whenCaughtUp;
      expect(reader.sequences()).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
      await Promise.all(Array.from({ length: 700 }, () => log.append(commitFor(someone(), 0))));
      await eventually(() => follower.delivered === 740, { what: 'the rest to be delivered' });
      expect(reader.sequences()).toEqual(Array.from({ length: 740 }, (_, i) => i + 1));
      expect(reader.seen.slice(0, 2)).toEqual(await log.history(refs[0]!));
      await follower.stop();
    });

    it('goes on behind a position', async () => {
      await appendChain(log, someone(), 3);
      const from = await log.head();
      await appendChain(log, someone(), 2);
      const reader = recorder();
      const follower = await log.follow(from, reader);
      await reader.whenCaughtUp;
      expect(reader.sequences()).toEqual([4, 5]);
      await follower.stop();
    });

    it('is caught up at once when there is nothing to deliver', async () => {
      const empty = recorder();
      const first = await log.follow(undefined, empty);
      await empty.whenCaughtUp;
      await first.stop();
      const ref = someone();
      await appendChain(log, ref, 2);
      for (const [from, shards] of [
        [await log.head(), undefined],
        [undefined, [(shardOf(ref.execution) + 1) % SHARDS]],
        [undefined, []],
      ] as const) {
        const reader = recorder();
        const follower = await log.follow(from, reader, shards);
        await reader.whenCaughtUp;
        expect({ delivered: follower.delivered, seen: reader.seen }).toEqual({ delivered: 2, seen: [] });
        await follower.stop();
      }
    });

    it('delivers the wanted shards only', async () => {
      const refs = Array.from({ length: 60 }, () => someone());
      await Promise.all(refs.map((ref) => log.append(commitFor(ref, 0))));
      const wanted = [...new Set(refs.slice(0, 10).map(({ execution }) => shardOf(execution)))];
      const reader = recorder();
      const follower = await log.follow(undefined, reader, wanted);
      await reader.whenCaughtUp;
      const expected = refs.filter(({ execution }) => wanted.includes(shardOf(execution)));
      expect(new Set(reader.seen.map(({ ref }) => ref.execution))).toEqual(new Set(expected.map(({ execution }) => execution)));
      expect(reader.seen).toHaveLength(expected.length);
      expect(follower.delivered).toBe(60);
      await follower.stop();
    });

    it('hands over one batch at a time, and no more than the reader keeps up with', async () => {
      await Promise.all(Array.from({ length: 1_200 }, () => log.append(commitFor(someone(), 0))));
      let active = 0;
      let most = 0;
      const reader = recorder(async () => {
        active += 1;
        most = Math.max(most, active);
        await new Promise((resolve) => setImmediate(resolve));
        active -= 1;
      });
      const follower = await log.follow(undefined, reader);
      await reader.whenCaughtUp;
      expect(most).toBe(1);
      expect(reader.sequences()).toEqual(Array.from({ length: 1_200 }, (_, i) => i + 1));
      await follower.stop();
    });

    it('delivers nothing more after stop', async () => {
      const reader = recorder();
      const follower = await log.follow(undefined, reader);
      await follower.stop();
      await appendChain(log, someone(), 2);
      const later = recorder();
      const second = await log.follow(undefined, later);
      await later.whenCaughtUp;
      expect(reader.seen).toEqual([]);
      await second.stop();
    });

    it('passes over what is no commit, and says so', async () => {
      const ref = someone();
      const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
      const subject = logSubject(ref);
      const wrongShard = subject.replace(/^log\.\d+/, `log.${(shardOf(ref.execution) + 1) % SHARDS}`);
      await under.write(logSubject(someone()), bytes('{"id":'));
      await under.write(logSubject(someone()), bytes('[]'));
      await under.write(logSubject(someone()), new Uint8Array([0xff, 0xfe]));
      await under.write(wrongShard, commitFor(ref, 0).body);
      await under.write('log.1.odd', commitFor(ref, 0).body);
      await log.append(commitFor(ref, 0));
      const reader = recorder();
      const follower = await log.follow(undefined, reader);
      await reader.whenCaughtUp;
      expect(reader.sequences()).toEqual([6]);
      expect(reader.passedOver.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4, 5]);
      expect(reader.passedOver[3]?.subject).toBe(wrongShard);
      expect(await log.at(1)).toBeUndefined();
      await follower.stop();
    });

    it('says how far it has looked, also where the end is no commit', async () => {
      await appendChain(log, someone(), 2);
      const reader = recorder();
      const follower = await log.follow(undefined, reader);
      await eventually(() => reader.looked.at(-1) === 2, { what: 'the commits to be looked at' });
      await under.write(logSubject(someone()), new TextEncoder().encode('[]'));
      await eventually(() => reader.looked.at(-1) === 3, { what: 'the end to be looked at' });
      expect(reader.looked).toEqual(reader.looked.toSorted((a, b) => a - b));
      expect(reader.sequences()).toEqual([1, 2]);
      await follower.stop();
    });

    it('purges what stands before a sequence of one execution, and nothing else', async () => {
      const [gone, other] = [someone(), someone()];
      await appendChain(log, gone, 600);
      await appendChain(log, other, 2);
      const { sequence } = await appendChain(log, someone(), 1);
      const all = await log.history(gone);
      const last = all[all.length - 1]!;
      await log.purge(gone, last.sequence);
      await log.purge(gone, last.sequence);
      expect(await log.history(gone)).toEqual([last]);
      expect(await log.history(gone, { limit: 1 })).toEqual([last]);
      expect(await log.history(gone, { upTo: last.sequence - 1 })).toEqual([]);
      expect(await log.history(other)).toHaveLength(2);
      expect([await log.at(last.sequence - 1), await log.at(last.sequence)]).toEqual([undefined, last]);
      expect((await log.head()).sequence).toBe(sequence);
      const reader = recorder();
      const follower = await log.follow(undefined, reader);
      await reader.whenCaughtUp;
      expect(reader.sequences()).toEqual([600, 601, 602, 603]);
      await follower.stop();
    });

    it('keeps the place of an execution whose commits were purged: nothing is born there again', async () => {
      const ref = someone();
      const { sequence } = await appendChain(log, ref, 3);
      await log.purge(ref, sequence);
      expect(await log.append(commitFor(ref, 0))).toEqual({ stored: false });
      expect(await under.other.append(commitFor(ref, sequence - 1))).toEqual({ stored: false });
      expect(await log.append(commitFor(ref, sequence, { version: 4 }))).toMatchObject({ stored: true });
    });

    it('goes on behind a position that was purged since, and delivers no hole twice', async () => {
      const ref = someone();
      await appendChain(log, ref, 3);
      const from = await log.head();
      const { sequence, hash } = await appendChain(log, someone(), 1);
      const last = sequenceOf(await log.append(commitFor(ref, 3, { version: 4 })));
      await log.purge(ref, last);
      const reader = recorder();
      const follower = await log.follow(from, reader);
      await reader.whenCaughtUp;
      expect(reader.seen.map((stored) => [stored.sequence, stored.hash])).toEqual([[sequence, hash], [last, expect.any(String)]]);
      await log.append(commitFor(someone(), 0));
      await eventually(() => reader.sequences().at(-1) === last + 1, { what: 'what comes later' });
      await follower.stop();
    });

    it('tells a position of another log from its own', async () => {
      await appendChain(log, someone(), 3);
      const head = await log.head();
      for (const [from, why] of [
        [{ ...head, incarnation: 'another' }, /another/],
        [{ ...head, hash: hashOf('other bytes') }, /another commit stands at 3/],
        [{ ...head, sequence: 51 }, /ends at 3, before 51/],
      ] as const) {
        const reader = recorder();
        const follower = await log.follow(from, reader);
        expect(await reader.lostBecause).toMatch(why);
        expect(reader.seen).toEqual([]);
        await follower.stop();
      }
    });
  });
};
