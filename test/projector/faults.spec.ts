import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { logSubject } from '#libs/contracts';
import { type FollowHandler, type LogStore, MemoryLog, hashOf } from '#libs/ledger';
import { createLogger } from '#libs/platform';
import { eventually } from '#libs/testing';
import { ReadModelFile } from '../../apps/projector/src/read-model-file.js';
import { Projection } from '../../apps/projector/src/projection.js';
import { StatsModel, statsSchema } from '../../apps/projector/src/stats-model.js';
import { StatusModel } from '../../apps/projector/src/status-model.js';
import { statusSchema } from '../../apps/projector/src/status-schema.js';
import { Story, end, request, start, task, tenant } from './story.js';

const logger = createLogger('projector', 'silent');

let log: MemoryLog;
let folder: string;

beforeEach(() => {
  log = new MemoryLog();
  folder = mkdtempSync(join(tmpdir(), 'runledger-projector-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const openStatus = () => {
  const alarms: string[] = [];
  const file = new ReadModelFile(join(folder, 'status.db'), statusSchema, () => undefined);
  const status = new StatusModel(file, (_, message) => alarms.push(message));
  const projection = (from: LogStore = log): Projection => new Projection('status', from, file, () => status, logger);
  return { file, status, alarms, projection };
};

/** Appends a commit that no decision made. */
const forge = async (story: Story, version: number, events: readonly object[], previous = 'x'): Promise<void> => {
  const body = Buffer.from(JSON.stringify({ id: randomUUID(), version, previous, events }));
  await log.append({ ref: story.ref, id: randomUUID(), body, expected: story.sequence });
};
const event = (type: string, data: object): object => ({ type, at: '2026-01-01T00:00:00.000Z', cause: 'x', actor: 'x', correlationId: 'x', data });

describe('a read model', () => {
  it('applies a commit once, also where two processes share its file', async () => {
    const story = await new Story(log).tell(request('shared', [task('a')]));
    const open = () => {
      const file = new ReadModelFile(join(folder, 'stats.db'), statsSchema, () => undefined);
      const stats = new StatsModel(file);
      return { file, stats, projection: new Projection('stats', log, file, () => stats, logger) };
    };
    const [one, two] = [open(), open()];
    await one.projection.start();
    await two.projection.start();
    await story.tell(start('a'));
    await story.tell(end('a', 1, true));
    await new Story(log).tell(request('another', [task('a')]));
    const head = (await log.head()).sequence;
    await eventually(() => one.projection.asOfSeq >= head && two.projection.asOfSeq >= head, { what: 'both to follow' });
    expect(two.stats.read(tenant)).toMatchObject({ executions: { total: 2 }, tasks: { byStatus: { completed: 1 }, durations: { count: 1 } } });
    await one.projection.stop();
    await two.projection.stop();
  });

  it('passes over a commit that does not follow with all of its rows, and goes on with the others', async () => {
    const [twice, gap, altered] = [await new Story(log).tell(request('twice', [task('a')])), new Story(log), new Story(log)];
    const requested = event('ExecutionRequested', { plan: { name: 'again', tasks: [task('b')] }, name: 'again', labels: {}, input: {}, dialect: 'x' });
    await forge(twice, 1, [requested], hashOf(logSubject(twice.ref)));
    await forge(gap, 3, [requested]);
    await altered.tell(request('altered', [task('a')]));
    const step = event('StepStarted', { stepId: 'a.1.1', taskId: 'a', name: 's', metadata: {} });
    await forge(altered, 2, [step, event('ExecutionPaused', {})]);
    const other = await new Story(log).tell(request('other', [task('a')]));
    const { status, alarms, projection } = openStatus();
    const projecting = projection();
    await projecting.start();
    expect(alarms).toHaveLength(3);
    expect(status.detail(other.ref)?.name).toBe('other');
    expect(status.detail(twice.ref)).toMatchObject({ name: 'twice', version: 1 });
    expect(status.tasks(twice.ref)?.map(({ id }) => id)).toEqual(['a']);
    expect(status.detail(gap.ref)).toBeUndefined();
    expect(status.tasks(gap.ref)).toBeUndefined();
    expect(status.detail(altered.ref)).toMatchObject({ status: 'pending', version: 1 });
    expect(status.tasks(altered.ref)?.[0]?.steps).toEqual([]);
    await projecting.stop();
  });

  it('finds names by a prefix of any characters', async () => {
    const { ref } = await new Story(log).tell(request('🚀 launch', [task('a')]));
    const { status, projection } = openStatus();
    const projecting = projection();
    await projecting.start();
    const found = (name: string): string[] => status.list({ tenant, limit: 10, name }).executions.map(({ id }) => id);
    expect(found('🚀*')).toEqual([ref.execution]);
    expect(found('🚀 launch')).toEqual([ref.execution]);
    expect(found('*')).toEqual([ref.execution]);
    expect(found('🛰*')).toEqual([]);
    await projecting.stop();
  });
});

describe('a rebuild after the log was restored', () => {
  /** A log that can be lost at will, and be away for the next calls. */
  const restorable = (): { store: LogStore; lose: (awayFor: number) => void; away: () => number } => {
    let handler: FollowHandler | undefined;
    let away = 0;
    const store: LogStore = {
      append: (append) => log.append(append),
      history: (...args) => log.history(...args),
      at: (sequence) => log.at(sequence),
      head: async () => {
        if (away > 0) throw new Error(`away for ${away--} more`);
        return await log.head();
      },
      follow: async (from, given) => {
        handler = given;
        return await log.follow(from, given);
      },
    };
    const lose = (awayFor: number): void => {
      away = awayFor;
      handler?.lost('it was restored');
    };
    return { store, lose, away: () => away };
  };

  it('waits for a log that can not be read', async () => {
    const story = await new Story(log).tell(request('one', [task('a')]));
    const { store, lose, away } = restorable();
    const { status, projection } = openStatus();
    const projecting = projection(store);
    await projecting.start();
    lose(2);
    await eventually(() => away() === 0 && projecting.asOfSeq === story.sequence, { what: 'the rebuild', timeoutMs: 5_000 });
    expect(status.detail(story.ref)?.name).toBe('one');
    await projecting.stop();
  });

  it('does not keep a projection from stopping', async () => {
    await new Story(log).tell(request('one', [task('a')]));
    const { store, lose, away } = restorable();
    const projecting = openStatus().projection(store);
    await projecting.start();
    lose(Infinity);
    await projecting.stop();
    expect(away()).toBe(Infinity);
  });
});
