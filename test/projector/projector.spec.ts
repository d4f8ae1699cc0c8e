import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FeedStream, type JetStreamLog, type Nats } from '#libs/jetstream';
import { type LogStore, MemoryLog } from '#libs/ledger';
import { createLogger } from '#libs/platform';
import { type HeadsAnswer, type HeadsQuery, feedEvent } from '#libs/projections';
import { eventually } from '#libs/testing';
import { ReadModelFile } from '../../apps/projector/src/read-model-file.js';
import { FeedPublisher } from '../../apps/projector/src/feed-publisher.js';
import { Projection } from '../../apps/projector/src/projection.js';
import { StatsModel, statsSchema } from '../../apps/projector/src/stats-model.js';
import { StatusModel } from '../../apps/projector/src/status-model.js';
import { statusSchema } from '../../apps/projector/src/status-schema.js';
import { type Broker, startBroker } from '../contract/servers.js';
import { Story, end, request, start, task, tenant } from './story.js';

const logger = createLogger('projector', 'silent');

let broker: Broker;
let nats: Nats;
let log: JetStreamLog;
let folder: string;

beforeEach(async () => {
  broker = await startBroker();
  ({ nats, log } = broker);
  folder = mkdtempSync(join(tmpdir(), 'runledger-projector-'));
});
afterEach(async () => {
  await broker.close();
  rmSync(folder, { recursive: true, force: true });
});

const open = (name: string, schema: string): { file: ReadModelFile; resets: string[] } => {
  const resets: string[] = [];
  return { file: new ReadModelFile(join(folder, `${name}.db`), schema, (why) => resets.push(why)), resets };
};

type Models = { status: StatusModel; stats: StatsModel; files: ReadModelFile[]; projections: Projection[]; alarms: string[]; stop(): Promise<void> };

const project = async (name = 'read'): Promise<Models> => {
  const alarms: string[] = [];
  const [statusFile, statsFile] = [open(`${name}-status`, statusSchema).file, open(`${name}-stats`, statsSchema).file];
  const status = new StatusModel(statusFile, (_, message) => alarms.push(message));
  const stats = new StatsModel(statsFile);
  const projections = [
    new Projection('status', log, statusFile, () => status, logger),
    new Projection('stats', log, statsFile, () => stats, logger),
  ];
  await Promise.all(projections.map((projection) => projection.start()));
  const stop = async (): Promise<void> => void (await Promise.all(projections.map((projection) => projection.stop())));
  return { status, stats, files: [statusFile, statsFile], projections, alarms, stop };
};

const tables = ['executions', 'labels', 'tasks', 'steps', 'counts', 'durations', 'minutes', 'counted', 'sizes', 'storage'];
const dump = ({ files }: Models): unknown =>
  files.map((file) =>
    tables
      .filter((table) => file.prepare('SELECT 1 FROM sqlite_master WHERE name = ?').get(table) !== undefined)
      .map((table) => [table, file.prepare(`SELECT * FROM ${table}`).all()]),
  );

const retried = { retry: { maxAttempts: 2, delayMs: 0 } };

const tellStories = async (): Promise<{ done: Story; failed: Story; paused: Story }> => {
  const done = new Story(log);
  await done.tell(request('done', [task('a', retried), task('b', { dependsOn: ['a'] })], { team: 'red' }));
  await done.tell(start('a'));
  await done.tell({ type: 'RecordStep', taskId: 'a', attempt: 1, step: { kind: 'started', name: 'compile', metadata: { k: 'v' } } });
  await done.tell(end('a', 1, false));
  await done.tell(start('a'));
  await done.tell(end('a', 2, true));
  await done.tell(start('b'));
  await done.tell(end('b', 1, true), 1_000);
  const failed = await new Story(log).tell(request('failed', [task('a'), task('b', { dependsOn: ['a'] })], { team: 'blue' }));
  await failed.tell(start('a'));
  await failed.tell(end('a', 1, false));
  const paused = await new Story(log).tell(request('paused', [task('a')]));
  await paused.tell({ type: 'PauseExecution' });
  return { done, failed, paused };
};

describe('the read models', () => {
  it('say what the log says', async () => {
    const { done, failed, paused } = await tellStories();
    const models = await project();
    expect(models.status.detail(done.ref)).toMatchObject({
      status: 'completed',
      tasks: { total: 2, ended: 2, failed: 0 },
      result: { b: { done: 'b' } },
      input: { n: 1 },
      version: 8,
      sequence: done.sequence,
    });
    expect(models.status.tasks(done.ref)).toMatchObject([
      { id: 'a', status: 'completed', attempt: 2, error: null, steps: [{ name: 'compile', status: 'failed', metadata: { k: 'v' } }] },
      { id: 'b', status: 'completed', attempt: 1, dependsOn: ['a'] },
    ]);
    expect(models.status.detail(failed.ref)).toMatchObject({ status: 'failed', reason: { code: 'TASK_FAILED' }, tasks: { ended: 2, failed: 1 } });
    expect(models.status.tasks(failed.ref)?.[1]).toMatchObject({ status: 'skipped', why: "dependency 'a' failed" });
    expect(models.status.detail(paused.ref)?.status).toBe('paused');
    expect(models.status.detail({ tenant: 'other', execution: done.ref.execution })).toBeUndefined();
    const stats = models.stats.read(tenant);
    expect(stats.executions).toMatchObject({ total: 3, byStatus: { completed: 1, failed: 1, paused: 1, pending: 0, running: 0 } });
    expect(stats.tasks.byStatus).toMatchObject({ completed: 2, failed: 1, skipped: 1, pending: 1, running: 0 });
    expect(stats.byRunner['command']?.durations.count).toBe(3);
    expect(stats.byLabel['team=red']?.byStatus.completed).toBe(1);
    expect(stats.throughput).toEqual([{ minute: '2026-01-01T00:00:00.000Z', requested: 3, completed: 1, failed: 1, cancelled: 0 }]);
    const histories = await Promise.all([done, failed, paused].map(({ ref }) => log.history(ref)));
    const bytes = histories.flat().reduce((sum, stored) => sum + stored.bytes, 0);
    expect(stats.storage.bytes).toBe(bytes);
    expect(models.stats.usage(tenant)).toEqual({ activeExecutions: 1, queuedTasks: 1, storageBytes: bytes });
    expect(models.stats.usage('nobody')).toEqual({ activeExecutions: 0, queuedTasks: 0, storageBytes: 0 });
    const p99 = stats.tasks.durations.p99 ?? 0;
    expect(p99 > 900 && p99 < 1_100).toBe(true);
    await models.stop();
  });

  it('are the same whether built at once, across restarts, or anew from the start', async () => {
    const first = await project();
    await tellStories();
    const head = (await log.head()).sequence;
    await eventually(() => first.projections.every(({ asOfSeq }) => asOfSeq >= head), { what: 'the projections to follow' });
    const live = dump(first);
    await first.stop();
    const continued = await project();
    expect(dump(continued)).toEqual(live);
    await continued.stop();
    const anew = await project('anew');
    expect(dump(anew)).toEqual(live);
    await anew.stop();
  });

  it('list newest first, page by page, by status, label, name and time', async () => {
    const from = Date.parse('2026-02-01T00:00:00Z');
    for (let i = 0; i < 5; i++) {
      const story = new Story(log, { tenant, execution: `run-${i}` }, from + i * 60_000);
      await story.tell(request(`job_${i % 2}`, [task('a')], { parity: String(i % 2) }), 0);
      if (i === 4) await story.tell({ type: 'CancelExecution', mode: 'immediate' });
    }
    const models = await project();
    const ids = (query: object): string[] => models.status.list({ tenant, limit: 10, ...query }).executions.map(({ id }) => id);
    expect(ids({})).toEqual(['run-4', 'run-3', 'run-2', 'run-1', 'run-0']);
    const page = models.status.list({ tenant, limit: 2 });
    expect(page.executions.map(({ id }) => id)).toEqual(['run-4', 'run-3']);
    expect(ids({ cursor: page.next })).toEqual(['run-2', 'run-1', 'run-0']);
    expect(models.status.list({ tenant, limit: 10 }).next).toBeNull();
    expect(ids({ status: ['cancelled'] })).toEqual(['run-4']);
    expect(ids({ status: ['pending', 'cancelled'], labels: { parity: '0' } })).toEqual(['run-4', 'run-2', 'run-0']);
    expect(ids({ name: 'job_1' })).toEqual(['run-3', 'run-1']);
    expect(ids({ name: 'job*' })).toHaveLength(5);
    expect(ids({ name: 'job%*' })).toEqual([]);
    expect(ids({ from: new Date(from + 60_000).toISOString(), until: new Date(from + 180_000).toISOString() })).toEqual(['run-2', 'run-1']);
    expect(() => models.status.list({ tenant, limit: 1, cursor: 'nonsense' })).toThrow(expect.objectContaining({ code: 'CURSOR_INVALID' }));
    await models.stop();
  });

  it('pass over an execution whose versions have a gap, loudly, and go on with the others', async () => {
    const story = await new Story(log).tell(request('gap', [task('a')]));
    const events = [{ type: 'ExecutionPaused', at: '2026-01-01T00:00:00.000Z', cause: 'x', actor: 'x', correlationId: 'x', data: {} }];
    const body = Buffer.from(JSON.stringify({ id: 'x', version: 7, previous: 'x', events }));
    await log.append({ ref: story.ref, id: 'x', body, expected: story.sequence });
    const other = await new Story(log).tell(request('other', [task('a')]));
    const models = await project();
    expect(models.status.detail(story.ref)?.status).toBe('pending');
    expect(models.status.detail(other.ref)?.status).toBe('pending');
    expect(models.alarms).toHaveLength(1);
    await models.stop();
  });

  it('say the head of every execution, page by page', async () => {
    const stories: Story[] = [];
    for (const [of, execution] of [['a', 'z'], ['b', 'a'], ['a', 'y'], ['b', 'b'], ['a', 'x']] as const) {
      const story = await new Story(log, { tenant: of, execution }).tell(request(execution, [task('a')]));
      stories.push(await story.tell(start('a')));
    }
    const models = await project();
    const pages: HeadsAnswer['heads'][] = [];
    for (let after: HeadsQuery['after'], more = true; more; after = pages.at(-1)?.at(-1)) {
      const page = models.status.heads({ limit: 2, ...(after && { after }) });
      pages.push(page.heads);
      more = page.more;
    }
    expect(pages.map((page) => page.length)).toEqual([2, 2, 1]);
    expect(pages.flat().map((head) => `${head.tenant}/${head.execution}`)).toEqual(['a/x', 'a/y', 'a/z', 'b/a', 'b/b']);
    for (const { ref, sequence } of stories) {
      const stored = await log.at(sequence);
      const head = pages.flat().find(({ tenant: of, execution }) => of === ref.tenant && execution === ref.execution);
      expect(head).toEqual({ ...ref, version: 2, sequence, hash: stored?.hash });
    }
    await models.stop();
  });

  it('are rebuilt where the file is broken, or of another version', async () => {
    const { done } = await tellStories();
    writeFileSync(join(folder, 'read-status.db'), 'this is no database, whatever its name says');
    const models = await project();
    expect(models.status.detail(done.ref)?.status).toBe('completed');
    await models.stop();
    const { file, resets } = open('read-status', `${statusSchema} CREATE TABLE more (x)`);
    expect(resets).toEqual(['it was made by another version']);
    file.close();
  });

  it('take all of a batch or nothing of it', async () => {
    await tellStories();
    const { file } = open('status', statusSchema);
    const status = new StatusModel(file, () => undefined);
    const position = { incarnation: 'x', sequence: 1, hash: 'x' };
    const stored = await log.at(1);
    const half = (): void => {
      if (stored) status.apply([stored]);
      throw new Error('power cut');
    };
    expect(() => file.commit(position, half)).toThrow('power cut');
    expect(file.position()).toBeUndefined();
    expect(file.prepare('SELECT execution FROM executions').all()).toEqual([]);
    file.close();
  });
});

describe('the feed', () => {
  const feedOf = async (from = 1): Promise<{ id: string; position: string; subject: string }[]> => {
    const { sequence } = await new FeedStream(nats).head();
    return await Promise.all(
      Array.from({ length: sequence - from + 1 }, async (_, i) => {
        const answer = await nats.connection.request('$JS.API.DIRECT.GET.FEED', JSON.stringify({ seq: from + i }));
        return { ...answer.json<{ id: string; position: string }>(), subject: answer.headers?.get('Nats-Subject') ?? '' };
      }),
    );
  };
  const publisher = (): FeedPublisher => new FeedPublisher(log, new FeedStream(nats), logger);
  const published = (count: number): Promise<unknown> =>
    eventually(async () => (await new FeedStream(nats).head()).sequence >= count, { timeoutMs: 10_000, what: `${count} events on the feed` });

  const allEvents = async (from: LogStore = log): Promise<string[]> => {
    const head = (await from.head()).sequence;
    const commits = await Promise.all(Array.from({ length: head }, (_, i) => from.at(i + 1)));
    return commits.flatMap((stored) => stored?.commit.events.map((_, index) => `${stored.ref.execution}/${stored.commit.version}/${index}`) ?? []);
  };

  it('carries each event once, in log order, across publishers that stop anywhere, also within a commit', async () => {
    await tellStories();
    const expected = await allEvents();
    // A publisher that died in the middle of the first commit with several events.
    const stored = await Promise.all(Array.from({ length: 3 }, (_, i) => log.at(i + 1)));
    const some = stored
      .flatMap((commit) => commit?.commit.events.map((event, index) => ({ ...feedEvent(commit, index, event), commit: commit.hash })) ?? [])
      .slice(0, 2);
    await new FeedStream(nats).publish(some, 0);
    const first = publisher();
    await first.start();
    await published(expected.length);
    await first.stop();
    const { ref } = await new Story(log).tell(request('more', [task('a')]));
    const second = publisher();
    await second.start();
    await published(expected.length + 1);
    await second.stop();
    const feed = await feedOf();
    expect(feed.map(({ id }) => id)).toEqual([...expected, `${ref.execution}/1/0`]);
    expect(feed.at(-1)?.subject).toBe(`events.${tenant}.${ref.execution}.execution.requested`);
  });

  it('has one publisher at a time: a second one steps down, and nothing is carried twice', async () => {
    const [one, two] = [publisher(), publisher()];
    await Promise.all([one.start(), two.start()]);
    await tellStories();
    const expected = await allEvents();
    await published(expected.length);
    await Promise.all([one.stop(), two.stop()]);
    expect((await feedOf()).map(({ id }) => id)).toEqual(expected);
  });

  describe('made from another log', () => {
    const written = async (executions: number): Promise<MemoryLog> => {
      const written = new MemoryLog();
      for (let i = 0; i < executions; i++) await new Story(written).tell(request(`run ${i}`, [task('a')]));
      return written;
    };
    const alarming = (from: LogStore): { alarms: string[]; publisher: FeedPublisher } => {
      const alarms: string[] = [];
      const logger = createLogger('projector', 'silent');
      logger.error = (message: unknown) => void alarms.push(String(message));
      return { alarms, publisher: new FeedPublisher(from, new FeedStream(nats), logger, { fenced: 50, fault: 50, otherLog: 50 }) };
    };
    const purge = (): Promise<unknown> => nats.connection.request('$JS.API.STREAM.PURGE.FEED', '');

    it.each([
      ['one that ends before it', 2, 'it ends at 2, before 3'],
      ['one as long with other commits', 3, 'another commit stands at 3'],
      ['a longer one with other commits', 5, 'another commit stands at 3'],
    ])('is left as it is, loudly, by %s, and built anew once it is purged', async (_, executions, why) => {
      const [before, after] = [await written(3), await written(executions)];
      const first = alarming(before);
      await first.publisher.start();
      await published(3);
      await first.publisher.stop();
      const second = alarming(after);
      await second.publisher.start();
      await eventually(() => second.alarms.length > 1, { what: 'the alarm, again and again' });
      expect(second.alarms[0]).toContain(why);
      expect((await feedOf()).map(({ id }) => id)).toEqual(await allEvents(before));
      await purge();
      await published(3 + executions);
      await second.publisher.stop();
      expect((await feedOf(4)).map(({ id }) => id)).toEqual(await allEvents(after));
      expect(first.alarms).toEqual([]);
    });

    it('is noticed by a publisher at work, when the log is restored under it', async () => {
      const restored = await written(3);
      const { alarms, publisher } = alarming(restored);
      await publisher.start();
      await published(3);
      restored.restore(1);
      await new Story(restored).tell(request('after', [task('a')]));
      await eventually(() => alarms.length > 0, { what: 'the alarm' });
      expect(alarms[0]).toContain('it ends at 2, before 3');
      expect((await new FeedStream(nats).head()).sequence).toBe(3);
      await publisher.stop();
    });
  });
});
