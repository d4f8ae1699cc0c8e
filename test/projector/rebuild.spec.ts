import { randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { type JetStreamLog, type Nats, provision } from '#libs/jetstream';
import { createLogger } from '#libs/platform';
import type { Rebuild, RebuildPhase } from '#libs/projections';
import { eventually } from '#libs/testing';
import { Projection } from '../../apps/projector/src/projection.js';
import { ReadModelFile } from '../../apps/projector/src/read-model-file.js';
import { StatsModel, statsSchema } from '../../apps/projector/src/stats-model.js';
import { StatusModel } from '../../apps/projector/src/status-model.js';
import { statusSchema } from '../../apps/projector/src/status-schema.js';
import { type Broker, MIB, startBroker } from '../contract/servers.js';
import { Story, end, request, start, task, tenant } from './story.js';

let broker: Broker;
let nats: Nats;
let log: JetStreamLog;
let folder: string;

beforeEach(async () => {
  broker = await startBroker();
  ({ nats, log } = broker);
  folder = mkdtempSync(join(tmpdir(), 'runledger-rebuild-'));
});
afterEach(async () => {
  await broker.close();
  rmSync(folder, { recursive: true, force: true });
});

type Models = {
  readonly status: StatusModel;
  readonly stats: StatsModel;
  readonly projections: { readonly status: Projection; readonly stats: Projection };
  readonly files: { readonly status: ReadModelFile; readonly stats: ReadModelFile };
  readonly alarms: string[];
  readonly stop: () => Promise<void>;
};

const project = async (name = 'live'): Promise<Models> => {
  const alarms: string[] = [];
  const logger = createLogger('projector', 'silent');
  logger.error = (_: unknown, message?: unknown) => void alarms.push(String(message));
  const open = (model: string, schema: string): ReadModelFile => new ReadModelFile(join(folder, name, `${model}.db`), schema, () => undefined);
  const files = { status: open('status', statusSchema), stats: open('stats', statsSchema) };
  const statusOf = (file: ReadModelFile): StatusModel => new StatusModel(file, (_, message) => alarms.push(message));
  const statsOf = (file: ReadModelFile): StatsModel => new StatsModel(file);
  const projections = {
    status: new Projection('status', log, files.status, statusOf, logger),
    stats: new Projection('stats', log, files.stats, statsOf, logger),
  };
  const all = Object.values(projections);
  await Promise.all(all.map((projection) => projection.start()));
  const stop = async (): Promise<void> => void (await Promise.all(all.map((projection) => projection.stop())));
  return { status: statusOf(files.status), stats: statsOf(files.stats), projections, files, alarms, stop };
};

const tellOne = async (labels: Record<string, string> = {}): Promise<Story> => {
  const story = new Story(log);
  await story.tell(request('one', [task('a'), task('b', { dependsOn: ['a'] })], labels));
  await story.tell(start('a'));
  await story.tell(end('a', 1, true));
  return story;
};
const tell = async (count: number): Promise<readonly Story[]> =>
  await Promise.all(Array.from({ length: count }, (_, i) => tellOne({ team: String(i % 3) })));

/** Everything that the read models can be asked, at the end of the log. */
const answers = async ({ status, stats, projections }: Models, stories: readonly Story[]): Promise<unknown> => {
  const { sequence } = await log.head();
  await Promise.all(Object.values(projections).map((projection) => projection.atLeast({ minSeq: sequence })));
  return {
    list: status.list({ tenant, limit: 1_000 }),
    details: stories.map(({ ref }) => status.detail(ref)),
    tasks: stories.map(({ ref }) => status.tasks(ref)),
    heads: status.heads({ limit: 5_000 }),
    stats: stats.read(tenant),
  };
};

const ended = async (projection: Projection): Promise<Rebuild> =>
  await eventually(() => {
    const { rebuild } = projection.info();
    return rebuild?.endedAt !== null && rebuild;
  }, { what: 'the end of the rebuild', timeoutMs: 20_000 });

const filesOf = (name = 'live'): string[] => readdirSync(join(folder, name)).filter((file) => !/-(wal|shm)$/.test(file));

describe('a rebuild', () => {
  it('under load ends with the same answers, and reads go on and never go back', async () => {
    const stories = await tell(400);
    const models = await project();
    const { status, stats } = models.projections;
    let isLoading = true;
    const load = (async () => {
      const more: Story[] = [];
      while (isLoading) more.push(...(await Promise.all(Array.from({ length: 10 }, () => tellOne()))));
      return more;
    })();
    const reads = new Map<RebuildPhase | undefined, number>();
    const begun = [await status.rebuild('first'), await stats.rebuild('second')];
    expect(begun.map(({ phase }) => phase)).toEqual(['replaying', 'replaying']);
    const appliedBy = { status: 'SELECT sum(version) AS n FROM executions', stats: 'SELECT sum(requested) AS n FROM minutes' };
    const applied = (): number[] =>
      (['status', 'stats'] as const).map((name) => (models.files[name].prepare(appliedBy[name]).get() as { n: number }).n);
    for (let known = [0, 0, 0]; status.info().rebuild?.endedAt === null || stats.info().rebuild?.endedAt === null; ) {
      const { rebuild } = status.info();
      const { executions } = models.status.list({ tenant, limit: 1 });
      expect(executions).toHaveLength(1);
      expect(models.status.detail(stories[0]!.ref)?.version).toBe(3);
      expect(models.stats.read(tenant).executions.total).toBeGreaterThanOrEqual(400);
      const now = [status.asOfSeq, ...applied()];
      expect(now.map((n, i) => n >= (known[i] ?? 0))).toEqual([true, true, true]);
      known = now;
      reads.set(rebuild?.phase, (reads.get(rebuild?.phase) ?? 0) + 1);
      await setImmediate();
    }
    isLoading = false;
    const all = [...stories, ...(await load)];
    expect(Math.min(reads.get('replaying') ?? 0, reads.get('comparing') ?? 0)).toBeGreaterThan(0);
    for (const [projection, id] of [[status, 'first'], [stats, 'second']] as const) {
      const rebuild = projection.info().rebuild;
      expect(rebuild).toMatchObject({ id, phase: 'done', differs: [], error: null });
      expect(rebuild?.digest?.live).toBe(rebuild?.digest?.rebuilt);
      expect(rebuild?.sequence).toBe(rebuild?.target);
    }
    const live = await answers(models, all);
    const anew = await project('anew');
    expect(live).toEqual(await answers(anew, all));
    expect(models.alarms).toEqual([]);
    expect(filesOf()).toHaveLength(4);
    await Promise.all([models.stop(), anew.stop()]);
  }, 60_000);

  it.each<[string, 'status' | 'stats', string, string]>([
    ['an altered row', 'status', "UPDATE executions SET status = 'failed' WHERE execution = (SELECT min(execution) FROM executions)", 'executions'],
    ['a missing row', 'status', 'DELETE FROM tasks WHERE id = (SELECT min(id) FROM tasks)', 'tasks'],
    ['an additional row', 'stats', "INSERT INTO counts VALUES ('default', 'label', 'team=9', 'running', 1)", 'counts'],
  ])('finds %s, names its table, and puts it right', async (_, name, plant, table) => {
    const stories = await tell(5);
    const models = await project();
    const right = await answers(models, stories);
    models.files[name].prepare(plant).run();
    expect(await answers(models, stories)).not.toEqual(right);
    await models.projections[name].rebuild('x');
    const { phase, differs, digest } = await ended(models.projections[name]);
    expect({ phase, differs }).toEqual({ phase: 'done', differs: [table] });
    expect(digest?.live).not.toBe(digest?.rebuilt);
    expect(models.alarms).toEqual([expect.stringMatching(new RegExp(`^ALARM: rows of ${table} `))]);
    expect(await answers(models, stories)).toEqual(right);
    await models.stop();
  });

  it('goes on following afterwards, and its result is known after a restart', async () => {
    const stories = await tell(2);
    const models = await project();
    await models.projections.status.rebuild('x');
    const rebuild = await ended(models.projections.status);
    const more = [...stories, await tellOne()];
    const right = await answers(models, more);
    await models.stop();
    const again = await project();
    expect(again.projections.status.info().rebuild).toEqual(rebuild);
    expect(again.projections.stats.info().rebuild).toBeNull();
    expect(await answers(again, more)).toEqual(right);
    await again.stop();
  });

  it('is not begun again by the same id, nor beside one that runs', async () => {
    await tell(50);
    const { projections, stop } = await project();
    const { startedAt } = await projections.status.rebuild('x');
    expect(await projections.status.rebuild('y')).toMatchObject({ id: 'x', startedAt });
    expect(await ended(projections.status)).toMatchObject({ id: 'x', startedAt, phase: 'done' });
    expect(await projections.status.rebuild('x')).toMatchObject({ startedAt, phase: 'done' });
    expect(await projections.status.rebuild('z')).toMatchObject({ id: 'z', phase: 'replaying' });
    expect(await ended(projections.status)).toMatchObject({ id: 'z', phase: 'done' });
    await stop();
  });

  it('of an empty log is done at once', async () => {
    const { projections, stop } = await project();
    await projections.stats.rebuild('x');
    expect(await ended(projections.stats)).toMatchObject({ phase: 'done', target: 0, differs: [] });
    await stop();
  });

  it('that was stopped half-way is done after the next start', async () => {
    const stories = await tell(50);
    const models = await project();
    const right = await answers(models, stories);
    const { startedAt } = await models.projections.status.rebuild('x');
    await models.stop();
    expect(filesOf()).toHaveLength(4);
    const again = await project();
    expect(await ended(again.projections.status)).toMatchObject({ id: 'x', startedAt, phase: 'done', differs: [] });
    expect(await answers(again, stories)).toEqual(right);
    await again.stop();
  });

  it('fails where its rows can not be written, and the live ones stay', async () => {
    const stories = await tell(3);
    const models = await project();
    const right = await answers(models, stories);
    const beside = models.files.status.beside.bind(models.files.status);
    models.files.status.beside = () => {
      const file = beside();
      file.prepare('DROP TABLE tasks').run();
      return file;
    };
    await models.projections.status.rebuild('x');
    expect(await ended(models.projections.status)).toMatchObject({ phase: 'failed', error: expect.stringContaining('tasks') as string, digest: null });
    expect(await answers(models, stories)).toEqual(right);
    expect(filesOf()).toHaveLength(4);
    await models.stop();
  });

  it('takes the place of rows that can not be read any more', async () => {
    const stories = await tell(3);
    const models = await project();
    const right = await answers(models, stories);
    models.files.status.prepare('DROP TABLE tasks').run();
    await models.projections.status.rebuild('x');
    expect(await ended(models.projections.status)).toMatchObject({ phase: 'done', differs: ['tasks'] });
    expect(await answers(models, stories)).toEqual(right);
    await models.stop();
  });

  it('takes the place of rows that can not be written any more', async () => {
    const stories = await tell(3);
    const models = await project();
    models.files.status.prepare('DROP TABLE tasks').run();
    const more = [...stories, await tellOne()];
    await models.projections.status.rebuild('x');
    const { phase, differs } = await ended(models.projections.status);
    expect({ phase, differs }).toEqual({ phase: 'done', differs: expect.arrayContaining(['tasks', 'executions']) as string[] });
    const anew = await project('anew');
    expect(await answers(models, more)).toEqual(await answers(anew, more));
    await Promise.all([models.stop(), anew.stop()]);
  });
});

it('read models that were deleted give the same answers once they have caught up', async () => {
  const stories = await tell(20);
  const models = await project();
  const right = await answers(models, stories);
  await models.stop();
  rmSync(join(folder, 'live'), { recursive: true });
  const again = await project();
  expect(await answers(again, stories)).toEqual(right);
  await again.stop();
});

describe('a loss of the log', () => {
  const replaceLog = async (): Promise<void> => {
    await nats.replies.request('$JS.API.STREAM.DELETE.LOG', '', 5_000);
    await provision(nats, { logMaxBytes: 256 * MIB });
  };

  it('is remembered across restarts until a rebuild is asked for', async () => {
    await tell(3);
    const first = await project();
    const lost = await log.head();
    await first.stop();
    await replaceLog();
    const story = await tellOne();
    const second = await project();
    const loss = { ...lost, foundAt: expect.any(String) as string, why: expect.stringContaining(lost.incarnation) as string };
    expect(second.projections.status.info().losses).toEqual([loss]);
    expect(second.projections.stats.info().losses).toEqual([loss]);
    expect(second.status.list({ tenant, limit: 10 }).executions.map(({ id }) => id)).toEqual([story.ref.execution]);
    await second.stop();
    const third = await project();
    expect(third.projections.status.info().losses).toEqual([loss]);
    await third.projections.status.rebuild(randomUUID());
    expect(await ended(third.projections.status)).toMatchObject({ phase: 'done', differs: [] });
    expect(third.projections.status.info().losses).toEqual([]);
    expect(third.projections.stats.info().losses).toEqual([loss]);
    await third.stop();
  });

  it('ends a rebuild, and the rows follow the log that is there', async () => {
    await tell(3);
    const models = await project();
    const { status } = models.projections;
    // It can't end by itself: the log is gone.
    await nats.replies.request('$JS.API.STREAM.DELETE.LOG', '', 5_000);
    await status.rebuild('x');
    await provision(nats, { logMaxBytes: 256 * MIB });
    const story = await tellOne();
    await eventually(() => models.status.detail(story.ref)?.version === 3 && status.info().losses.length === 1, { what: 'the new log', timeoutMs: 20_000 });
    expect(await ended(status)).toMatchObject({ id: 'x', phase: 'failed', error: expect.stringContaining('restored or lost data') as string });
    expect((await answers(models, [story])) as { list: object }).toMatchObject({ list: { executions: [{ id: story.ref.execution }] } });
    await models.stop();
  }, 30_000);
});
