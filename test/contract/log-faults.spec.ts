import { readFileSync } from 'node:fs';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jest } from '@jest/globals';
import { logSubject } from '#libs/contracts';
import { JetStreamLog, connectNats } from '#libs/jetstream';
import { type Append, type AppendResult, LogError, hashOf } from '#libs/ledger';
import { eventually, natsServers } from '#libs/testing';
import { appendChain, commitFor, sequenceOf, someone } from './commits.js';
import { recorder } from './recorder.js';
import { type Broker, MIB, startBroker } from './servers.js';
import { startProxy } from './swallowing-proxy.js';

describe.each(natsServers())('the event log under faults, on $name', ({ name: version }) => {
  let broker: Broker;
  const start = async (...args: Parameters<typeof startBroker>): Promise<Broker> => {
    broker = await startBroker(...args);
    return broker;
  };
  afterEach(() => broker.close());

  const idsOf = async (append: Append): Promise<string[]> =>
    (await broker.log.history(append.ref)).map(({ commit }) => commit.id);

  it.each([
    ['one commit', 1],
    ['a batch', 40],
  ])('finds %s that was stored although the answer was lost, behind which others have appended', async (_, count) => {
    await start({ version });
    const proxy = await startProxy(broker.server.port);
    const nats = await connectNats({ url: proxy.url, name: 'behind the proxy' });
    const log = new JetStreamLog(nats);
    const appends = Array.from({ length: count }, () => commitFor(someone(), 0));
    proxy.swallow();
    const results = Promise.all(appends.map((append) => log.append(append)));

    for (const append of appends) {
      const first = await eventually(async () => (await broker.log.history(append.ref))[0], { what: 'the commit' });
      await broker.log.append(commitFor(append.ref, first.sequence));
      await broker.log.append(commitFor(append.ref, (await broker.log.history(append.ref))[1]!.sequence));
    }
    proxy.cut();

    for (const [i, result] of (await results).entries()) {
      const history = await broker.log.history(appends[i]!.ref);
      expect(history).toHaveLength(3);
      expect(result).toEqual({ stored: true, sequence: history[0]!.sequence });
      expect(history[0]!.commit.id).toBe(appends[i]!.id);
    }
    await nats.close();
    await proxy.close();
  });

  it('does not take a commit of others for its own after a lost answer', async () => {
    await start({ version });
    const proxy = await startProxy(broker.server.port);
    const nats = await connectNats({ url: proxy.url, name: 'behind the proxy' });
    const [taken, free] = [commitFor(someone(), 0), commitFor(someone(), 0)];
    await broker.log.append(commitFor(taken.ref, 0));
    proxy.swallow();
    const log = new JetStreamLog(nats);
    const results = Promise.all([log.append(taken), log.append(free)]);
    await eventually(async () => (await idsOf(free)).length === 1, { what: 'the other commit' });
    proxy.cut();

    expect((await results).map(({ stored }) => stored)).toEqual([false, true]);
    expect(await idsOf(taken)).not.toContain(taken.id);
    await nats.close();
    await proxy.close();
  });

  it('says that the outcome is unknown while nobody can be asked, and that nothing was stored when nothing was sent', async () => {
    await start({ version });
    process.kill(broker.server.pid, 'SIGSTOP');
    const impatient = new JetStreamLog(broker.nats, undefined, { resolveMs: 500 });
    const sent = impatient.append(commitFor(someone(), 0));
    const outcome = expect(sent).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN', retryable: true });
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    await broker.server.kill();
    await eventually(() => !broker.nats.connected, { what: 'the loss of the connection' });
    await expect(broker.log.append(commitFor(someone(), 0))).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' });
    await expect(broker.log.history(someone())).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' });
    await outcome;
  });

  it.each([
    ['one commit', 1],
    ['a batch', 40],
  ])('stores %s once when a halted server comes to it long after the answer was due', async (_, count) => {
    await start({ version });
    const impatient = new JetStreamLog(broker.nats, undefined, { answerMs: 200 });
    const appends = Array.from({ length: count }, () => commitFor(someone(), 0));
    process.kill(broker.server.pid, 'SIGSTOP');
    // A busy machine takes its time to halt every thread.
    await eventually(() => /\) T /.test(readFileSync(`/proc/${broker.server.pid}/stat`, 'utf8')), { what: 'the server to halt' });
    const results = Promise.all(appends.map((append) => impatient.append(append)));
    const settled = jest.fn();
    void results.then(settled, settled);
    await new Promise((resolve) => setTimeout(resolve, 600));
    process.kill(broker.server.pid, 'SIGCONT');
    expect(settled).not.toHaveBeenCalled();

    for (const [i, result] of (await results).entries()) {
      expect(await idsOf(appends[i]!)).toEqual([appends[i]!.id]);
      expect((await broker.log.at(sequenceOf(result)))?.commit.id).toBe(appends[i]!.id);
    }
    expect((await broker.log.head()).sequence).toBe(count);
  });

  it('keeps every acknowledged commit once, and resolves the others, when the server is killed amid batches', async () => {
    await start({ version });
    const outcomes = new Map<Append, AppendResult | LogError>();
    let stop = false;
    const writer = async (): Promise<void> => {
      while (!stop) {
        const append = commitFor(someone(), 0);
        await broker.log.append(append).then(
          (result) => outcomes.set(append, result),
          (error: LogError) => outcomes.set(append, error),
        );
        if (!broker.nats.connected) await eventually(() => stop || broker.nats.connected, { what: 'the connection' });
      }
    };
    const writers = Array.from({ length: 100 }, writer);
    for (let kills = 1; kills <= 3; kills++) {
      await eventually(() => outcomes.size > kills * 600, { timeoutMs: 20_000, what: 'some commits' });
      await broker.server.restart();
    }
    stop = true;
    await Promise.all(writers);
    await eventually(() => broker.nats.connected, { what: 'the connection' });

    const seen = recorder();
    const follower = await broker.log.follow(undefined, seen);
    await seen.whenCaughtUp;
    await follower.stop();
    const stored = new Map(seen.seen.map(({ commit, sequence }) => [commit.id, sequence]));
    expect(stored.size).toBe(seen.seen.length);
    let unknown = 0;
    for (const [{ id }, outcome] of outcomes) {
      if (outcome instanceof Error) {
        if (outcome.code === 'OUTCOME_UNKNOWN') unknown += 1;
        else expect({ code: outcome.code, stored: stored.get(id) }).toEqual({ code: 'LOG_UNAVAILABLE', stored: undefined });
      } else {
        expect(outcome).toEqual({ stored: true, sequence: stored.get(id) });
      }
    }
    // The server is back within seconds: every doubt can be settled by then.
    expect(unknown).toBe(0);
    expect(stored.size).toBeGreaterThan(1_800);
  }, 60_000);

  it('follows across server restarts without a gap or a repeat', async () => {
    await start({ version });
    const seen = recorder();
    const follower = await broker.log.follow(undefined, seen);
    for (let round = 1; round <= 3; round++) {
      await Promise.all(Array.from({ length: 300 }, () => broker.log.append(commitFor(someone(), 0))));
      await broker.server.restart();
      await eventually(() => broker.nats.connected, { what: 'the connection' });
    }
    await appendChain(broker.log, someone(), 1);
    await eventually(() => follower.delivered === 901, { what: 'everything' });
    expect(seen.sequences()).toEqual(Array.from({ length: 901 }, (_, i) => i + 1));
    await follower.stop();
  }, 30_000);

  it('tells its followers when the log has been restored to an earlier state', async () => {
    const storeDir = await mkdtemp(join(tmpdir(), 'runledger-restored-'));
    const backup = `${storeDir}-backup`;
    try {
      await start({ version, storeDir });
      const ref = someone();
      const earlier = await appendChain(broker.log, ref, 10);
      await broker.server.kill();
      await cp(storeDir, backup, { recursive: true });
      await broker.server.restart();
      await eventually(() => broker.nats.connected, { what: 'the connection' });
      const checkpoint = await broker.log.head();
      await appendChain(broker.log, someone(), 5);
      const beyond = await broker.log.head();
      const live = recorder();
      const follower = await broker.log.follow(undefined, live);
      await live.whenCaughtUp;

      await broker.server.kill();
      await rm(storeDir, { recursive: true });
      await cp(backup, storeDir, { recursive: true });
      await broker.server.restart();
      await eventually(() => broker.nats.connected, { what: 'the connection' });

      expect(await live.lostBecause).toContain('ends at 10, before 15');
      // Grown beyond the checkpoint again, but with other commits.
      await appendChain(broker.log, someone(), 8);
      const late = recorder();
      const second = await broker.log.follow(beyond, late);
      expect(await late.lostBecause).toContain('another commit stands at 15');
      const fine = recorder();
      const third = await broker.log.follow(checkpoint, fine);
      await fine.whenCaughtUp;
      expect(fine.sequences()).toEqual([11, 12, 13, 14, 15, 16, 17, 18]);
      expect((await broker.log.history(ref)).at(-1)).toMatchObject({ hash: earlier.hash });
      await Promise.all([follower, second, third].map((each) => each.stop()));
    } finally {
      await rm(storeDir, { recursive: true, force: true });
      await rm(backup, { recursive: true, force: true });
    }
  }, 30_000);

  it('refuses when it is full, stays readable, and goes on after it was given room', async () => {
    await start({ version }, { logMaxBytes: 4 * MIB });
    const big = (): Append => commitFor(someone(), 0, { padding: 100_000 });
    const kept: Append[] = [];
    const full = await eventually(
      async () => {
        const append = big();
        const error = await broker.log.append(append).then(() => void kept.push(append), (thrown: LogError) => thrown);
        return error;
      },
      { what: 'the log to be full' },
    );
    expect(full).toMatchObject({ code: 'LOG_FULL', retryable: true });
    const together = await Promise.allSettled(Array.from({ length: 60 }, () => broker.log.append(big())));
    expect(together.map((result) => (result.status === 'rejected' ? (result.reason as LogError).code : 'stored'))).toEqual(
      Array.from({ length: 60 }, () => 'LOG_FULL'),
    );
    for (const append of kept) expect(await idsOf(append)).toEqual([append.id]);

    const { nats } = broker;
    const info = await nats.replies.request('$JS.API.STREAM.INFO.LOG', '', 5_000);
    if (typeof info === 'string') throw new Error(info);
    const { config } = info.json<{ config: Record<string, unknown> }>();
    await nats.replies.request('$JS.API.STREAM.UPDATE.LOG', JSON.stringify({ ...config, max_bytes: 64 * MIB }), 5_000);
    expect(sequenceOf(await broker.log.append(big()))).toBe(kept.length + 1);
    expect((await Promise.all(Array.from({ length: 60 }, () => broker.log.append(big())))).every(({ stored }) => stored)).toBe(true);
  }, 30_000);

  it('raises an alarm when the broker calls a commit a duplicate', async () => {
    await start({ version });
    const seen: string[] = [];
    const nats = { ...broker.nats, connected: true, replies: { request: () => Promise.resolve({ data: new Uint8Array(1), json: () => ({ seq: 1, duplicate: true }) }) } };
    const log = new JetStreamLog(nats as never, (message) => seen.push(message));
    await log.append(commitFor(someone(), 0));
    expect(seen).toEqual([expect.stringContaining('duplicate')]);
  });

  it('hands a batch over again to a reader that failed, with an alarm unless it was for want of the broker', async () => {
    await start({ version });
    await appendChain(broker.log, someone(), 3);
    const faults = [new LogError('LOG_UNAVAILABLE', 'the broker was away'), new Error('a bug')];
    const reader = recorder(() => {
      const fault = faults.shift();
      if (fault) throw fault;
    });
    const follower = await broker.log.follow(undefined, reader);
    await eventually(() => reader.seen.length === 3, { what: 'the commits' });
    await follower.stop();
    expect(broker.alarms).toEqual([expect.stringContaining('a bug')]);
  });

  it('stores the bytes it was given, under the subject that names them', async () => {
    await start({ version });
    const append = commitFor(someone(), 0);
    const { hash } = (await broker.log.at(sequenceOf(await broker.log.append(append))))!;
    expect(hash).toBe(hashOf(append.body));
    const reply = await broker.nats.replies.request(
      '$JS.API.STREAM.MSG.GET.LOG',
      JSON.stringify({ last_by_subj: logSubject(append.ref) }),
      5_000,
    );
    if (typeof reply === 'string') throw new Error(reply);
    const { message } = reply.json<{ message: { data: string; hdrs: string } }>();
    expect(Buffer.from(message.data, 'base64')).toEqual(Buffer.from(append.body));
    expect(Buffer.from(message.hdrs, 'base64').toString()).not.toContain('Nats-Msg-Id');
  });
});
