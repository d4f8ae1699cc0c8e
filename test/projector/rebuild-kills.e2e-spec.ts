import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { lstatSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Settings, createLogger, readSettings } from '#libs/platform';
import { type ProjectionInfo, type Rebuild, queries } from '#libs/projections';
import { eventually } from '#libs/testing';
import { startProjector } from '../../apps/projector/src/projector.js';
import { type Broker, startBroker } from '../contract/servers.js';
import { Story, end, request, start, task, tenant } from './story.js';

const logger = createLogger('projector', 'silent');

/** The built projector, which kills itself where it is told to. */
const victim = `
  const [at] = process.argv.slice(1);
  const load = (path) => import(process.cwd() + '/dist/' + path + '.js');
  const { createLogger, readSettings } = await load('libs/platform/src/index');
  const { startProjector } = await load('apps/projector/src/projector');
  const { ReadModelFile } = await load('apps/projector/src/read-model-file');
  const { Place } = await load('apps/projector/src/place');
  const { Snapshot } = await load('apps/projector/src/snapshot');
  const kill = () => { process.kill(process.pid, 'SIGKILL'); for (;;); };
  const settings = readSettings(process.env);
  await startProjector(settings, createLogger('projector', 'silent'));
  const around = (owner, name, before, after = () => {}) => {
    const original = owner[name];
    owner[name] = function (...args) {
      before(args);
      const value = original.apply(this, args);
      after();
      return value;
    };
  };
  if (at === 'replaying') {
    around(ReadModelFile.prototype, 'commit', (args) => {
      const [, change] = args;
      args[1] = (after) => { change(after); kill(); };
    });
  } else if (at === 'comparing') around(Snapshot.prototype, 'digests', kill);
  else if (at === 'swapping') around(Place.prototype, 'pointTo', kill);
  else if (at === 'swapped') around(Place.prototype, 'pointTo', () => {}, kill);
  console.log('ready');
`;

let broker: Broker;
let home: string;
let settings: Settings;
let stories: readonly Story[];

beforeAll(async () => {
  broker = await startBroker();
  const { log } = broker;
  stories = await Promise.all(
    Array.from({ length: 20 }, async () => {
      const story = await new Story(log).tell(request('one', [task('a'), task('b', { dependsOn: ['a'] })], { team: 'red' }));
      await story.tell(start('a'));
      return await story.tell(end('a', 1, true));
    }),
  );
  home = mkdtempSync(join(tmpdir(), 'runledger-kills-'));
  settings = readSettings({ NATS_URL: broker.server.url, RUNLEDGER_HOME: home });
}, 30_000);
afterAll(async () => {
  await broker.close();
  rmSync(home, { recursive: true, force: true });
});

/** As the gateway asks. */
const ask = async <T>(pattern: string, data: object): Promise<T> => {
  const answer = await broker.nats.connection.request(pattern, JSON.stringify({ id: '1', pattern, data }), { timeout: 5_000 });
  return answer.json<{ response: T }>().response;
};

const answers = async (): Promise<unknown> => {
  const { sequence } = await broker.log.head();
  const known = { minSeq: sequence, waitMs: 2_000 };
  return {
    list: await ask(queries.list, { tenant, limit: 100, ...known }),
    tasks: await Promise.all(stories.map(({ ref }) => ask(queries.tasks, { ...ref, ...known }))),
    heads: await ask(queries.heads, { limit: 100, ...known }),
    stats: await ask(queries.stats, { tenant, ...known }),
  };
};

const infoOf = async (name: string): Promise<ProjectionInfo | undefined> => {
  const { projections } = await ask<{ projections: ProjectionInfo[] }>(queries.projections, {});
  return projections.find((projection) => projection.name === name);
};
const ended = async (name: string): Promise<Rebuild> =>
  await eventually(async () => {
    const rebuild = (await infoOf(name))?.rebuild;
    return rebuild?.endedAt !== null && rebuild;
  }, { what: 'the end of the rebuild', timeoutMs: 10_000 });

/** Starts the victim, asks it for a rebuild, and resolves once it has killed itself. */
const killed = async (at: string, projection: string, id: string): Promise<void> => {
  const child = spawn(process.execPath, ['--input-type=module', '-e', victim, at], {
    env: { ...process.env, NATS_URL: broker.server.url, RUNLEDGER_HOME: home },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  const exit = once(child, 'exit');
  expect(await ask(queries.rebuild, { projection, id })).toMatchObject({ id, phase: 'replaying' });
  expect(await exit).toEqual([null, 'SIGKILL']);
};

describe.each(['status', 'stats'])('a rebuild of %s', (name) => {
  it.each(['replaying', 'comparing', 'swapping', 'swapped'])('that is killed while %s leaves whole rows, and is done by the next start', async (at) => {
    const before = await startProjector(settings, logger);
    const right = await answers();
    await before();
    await killed(at, name, at);
    const folder = join(home, 'projections');
    const files = (): string[] => readdirSync(folder).filter((file) => file.startsWith(`${name}.db.`) && !/-(wal|shm)$/.test(file));
    expect(lstatSync(join(folder, `${name}.db`)).isSymbolicLink()).toBe(true);
    expect(files()).toHaveLength(2);
    const after = await startProjector(settings, logger);
    expect(await answers()).toEqual(right);
    expect(await ended(name)).toMatchObject({ id: at, phase: 'done', differs: [], error: null });
    expect(await answers()).toEqual(right);
    expect(files()).toHaveLength(1);
    await after();
  }, 30_000);
});
