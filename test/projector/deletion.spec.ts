import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type LogStore, MemoryLog } from '#libs/ledger';
import { createLogger } from '#libs/platform';
import type { Rebuild } from '#libs/projections';
import { eventually } from '#libs/testing';
import { Projection } from '../../apps/projector/src/projection.js';
import { ReadModelFile } from '../../apps/projector/src/read-model-file.js';
import { digestOf } from '../../apps/projector/src/snapshot.js';
import { StatsModel, statsSchema } from '../../apps/projector/src/stats-model.js';
import { StatusModel } from '../../apps/projector/src/status-model.js';
import { statusSchema } from '../../apps/projector/src/status-schema.js';
import { Story, end, request, start, task, tenant } from './story.js';

const schemas = { status: statusSchema, stats: statsSchema } as const;
const names = ['status', 'stats'] as const;
type Name = (typeof names)[number];

let folder: string;
let log: MemoryLog;
const stops: (() => Promise<void>)[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'runledger-deletion-'));
  log = new MemoryLog();
});
afterEach(async () => {
  await Promise.all(stops.splice(0).map((stop) => stop()));
  rmSync(folder, { recursive: true, force: true });
});

type Model = { readonly projection: Projection; readonly file: ReadModelFile; readonly alarms: string[] };

const project = async (name: Name, place: string, of: LogStore = log): Promise<Model> => {
  const alarms: string[] = [];
  const logger = createLogger('projector', 'silent');
  logger.error = (_: unknown, message?: unknown) => void alarms.push(String(message));
  const file = new ReadModelFile(join(folder, place, `${name}.db`), schemas[name], () => undefined);
  const modelOf = (rows: ReadModelFile) => (name === 'status' ? new StatusModel(rows, (_, message) => alarms.push(message)) : new StatsModel(rows));
  const projection = new Projection(name, of, file, modelOf, logger);
  await projection.start();
  stops.push(() => projection.stop());
  return { projection, file, alarms };
};

const digest = async ({ projection, file }: Model): Promise<string> => {
  await projection.atLeast({ minSeq: log.lastSequence });
  const snapshot = file.snapshot();
  const digests = await snapshot.digests(new AbortController().signal);
  snapshot.close();
  return digestOf(digests);
};

const ended = (id: string, team: string, ok: boolean, tasks = ['a', 'b']): Promise<Story> => {
  const story = new Story(log, { tenant, execution: id }, Date.parse('2026-01-01T00:00:00Z') + 60_000 * id.length);
  return tasks.reduce(
    async (before, name) => (await (await before).tell(start(name))).tell(end(name, 1, ok), 40),
    story.tell(request('one', tasks.map((name) => task(name, { onFailure: 'continue' })), { team, [`of-${id}`]: 'x' })),
  );
};

const remove = (story: Story): Promise<Story> => story.tell({ type: 'DeleteExecution' });

describe.each(names)('the %s projection', (name) => {
  it('is the same whether deletions were read behind what they delete, or are all that is left', async () => {
    const live = await project(name, 'live');
    const stories = await Promise.all([ended('one', 'red', true), ended('two', 'red', false), ended('three', 'blue', true), ended('four', 'green', false)]);
    await digest(live);
    for (const story of [stories[0], stories[3]]) await remove(story!);
    const before = await digest(live);
    expect(await digest(await project(name, 'whole'))).toBe(before);
    for (const story of [stories[0], stories[3]]) await log.purge(story!.ref, story!.sequence);
    expect(await digest(live)).toBe(before);
    expect(await digest(await project(name, 'purged'))).toBe(before);
    expect(live.alarms).toEqual([]);
  });

  it('comes to the same wherever a purge meets who is still reading, and whoever dies there', async () => {
    const stories = await Promise.all([ended('one', 'red', true), ended('two', 'blue', false), ended('three', 'red', true)]);
    for (const story of stories.slice(0, 2)) await remove(story);
    const expected = await digest(await project(name, 'whole'));
    const { length } = await log.history(stories[0]!.ref);
    const all = log.lastSequence;
    // The log as it was when the reader died, then as the purge has left it.
    for (let read = 0; read <= all; read++) {
      const place = `after-${read}`;
      const file = new ReadModelFile(join(folder, place, `${name}.db`), schemas[name], () => undefined);
      const model = name === 'status' ? new StatusModel(file, () => undefined) : new StatsModel(file);
      const first = Array.from({ length: read }, (_, i) => log.stored(i + 1)).flatMap((stored) => (stored && !('unreadable' in stored) ? [stored] : []));
      if (read > 0) file.commit(log.position(read), () => model.apply(first));
      const rest = Array.from({ length: all - read }, (_, i) => log.stored(read + i + 1)).flatMap((stored) => {
        if (!stored || 'unreadable' in stored) return [];
        const isGone = stories.slice(0, 2).some(({ ref, sequence }) => ref.execution === stored.ref.execution && stored.sequence < sequence);
        return isGone ? [] : [stored];
      });
      if (rest.length > 0) file.commit(log.position(all), () => model.apply(rest));
      const snapshot = file.snapshot();
      expect([read, digestOf(await snapshot.digests(new AbortController().signal))]).toEqual([read, expected]);
      snapshot.close();
      file.close();
    }
    expect(length).toBeGreaterThan(3);
  });

  it('keeps no row of what was deleted but its head', async () => {
    const live = await project(name, 'live');
    const story = await ended('one', 'red', true);
    await remove(story);
    await digest(live);
    const count = (table: string): unknown => (live.file.prepare(`SELECT count(*) AS n FROM ${table}`).get() as { n: number }).n;
    const tables = (live.file.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all() as { name: string }[]).map((row) => row.name);
    const left = Object.fromEntries(tables.map((table) => [table, count(table)] as const).filter(([, n]) => n !== 0));
    expect(left).toEqual(name === 'status' ? { meta: 1, deleted: 1 } : { meta: 1, sizes: 1, storage: 1 });
  });

  it('raises no alarm where a rebuild has missed what was purged while it read', async () => {
    const stories: Story[] = [];
    let missed = 0;
    let isBehind = false;
    // Both come to the deletions only once they have been compared as they were before.
    const isCompared = (): boolean => live.projection.info().rebuild?.phase !== 'replaying';
    // As a rebuild meets it that has begun before the deletions, and reads behind the purge.
    const behind: LogStore['follow'] = (from, handler, shards) =>
      log.follow(
        from,
        {
          ...handler,
          commits: async (batch) => {
            const begun = isBehind;
            isBehind = true;
            if (begun) await eventually(isCompared, { what: 'the comparison' });
            for (const story of begun ? [] : stories) {
              await remove(story);
              await log.purge(story.ref, story.sequence);
            }
            const left = batch.filter(({ sequence }) => log.stored(sequence));
            missed += batch.length - left.length;
            if (left.length > 0) await handler.commits(left);
          },
        },
        shards,
      );
    const late: LogStore['follow'] = (from, handler, shards) =>
      log.follow(from, { ...handler, commits: async (batch) => {
        if (isBehind) await eventually(isCompared, { what: 'the comparison' });
        await handler.commits(batch);
      } }, shards);
    const live: Model = await project(name, 'live', {
      append: (append) => log.append(append),
      history: (ref, range) => log.history(ref, range),
      head: () => log.head(),
      at: (at) => log.at(at),
      follow: (...of) => (stories.length > 0 ? behind : late)(...of),
    });
    stories.push(...(await Promise.all(Array.from({ length: 30 }, (_, i) => ended(`e${i}`, 'red', i % 2 === 0)))));
    await digest(live);
    const rebuild = await live.projection.rebuild('one');
    const { digest: digests, differs, phase } = await eventually(
      (): Rebuild | false => {
        const { rebuild: now } = live.projection.info();
        return now?.id === rebuild.id && now.endedAt !== null && now;
      },
      { what: 'the end of the rebuild' },
    );
    expect({ phase, differs, alarms: live.alarms }).toEqual({ phase: 'done', differs: [], alarms: [] });
    expect(missed).toBeGreaterThan(100);
    expect(digests?.live).toBe(digests?.rebuilt);
  });
});

it('subtracts from the stats what the deleted executions had added, and gives back what they stored', async () => {
  const live = await project('stats', 'live');
  const model = new StatsModel(live.file);
  const [kept, gone] = [await ended('kept', 'red', true), await ended('gone', 'red', false)];
  await digest(live);
  const before = model.read(tenant);
  expect(before).toMatchObject({ executions: { total: 2 }, byLabel: { 'team=red': { byStatus: { completed: 2 } } }, tasks: { byStatus: { completed: 2, failed: 2 } } });
  await remove(gone);
  await digest(live);
  const after = model.read(tenant);
  expect(after).toMatchObject({ executions: { total: 1, durations: { count: 1 } }, tasks: { byStatus: { completed: 2, failed: 0 }, durations: { count: 2 } } });
  expect(after.byLabel['of-gone=x']).toBeUndefined();
  const bytes = (await log.history(kept.ref)).concat((await log.history(gone.ref)).slice(-1)).reduce((sum, stored) => sum + stored.bytes, 0);
  expect(after.storage.bytes).toBe(bytes);
  expect(after.storage.bytes).toBeLessThan(before.storage.bytes);
});
