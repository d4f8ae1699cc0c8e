import { queries } from '#libs/projections';
import { eventually } from '#libs/testing';
import { Story, end, request, start, task, tenant } from '../projector/story.js';
import { Cluster } from './apps.js';

let cluster: Cluster;
beforeEach(async () => (cluster = await Cluster.start()), 30_000);
afterEach(() => cluster.stop());

/** Statements that make a projector kill itself in its first batch that applies anything: among its rows, or when they and the position are just there. */
const dyingIn = (place: 'the batch' | 'the moment after it'): string => `
  const { ReadModelFile } = await import(process.cwd() + '/dist/apps/projector/src/read-model-file.js');
  const commit = ReadModelFile.prototype.commit;
  const kill = () => { process.kill(process.pid, 'SIGKILL'); for (;;); };
  ReadModelFile.prototype.commit = function (position, change) {
    let applied = false;
    commit.call(this, position, (after) => {
      change(after);
      applied = true;
      if (${JSON.stringify(place)} === 'the batch') kill();
    });
    if (applied) kill();
  };`;

const ask = async (pattern: string, data: object): Promise<unknown> => {
  const answer = await cluster.nats.connection.request(pattern, JSON.stringify({ id: '1', pattern, data }), { timeout: 5_000 });
  return answer.json<{ response: unknown }>().response;
};

const known = async (stories: readonly Story[]): Promise<unknown> => {
  const { sequence: minSeq } = await cluster.log.head();
  const atHead = { minSeq, waitMs: 2_000 };
  const all = async (): Promise<unknown> => ({
    stats: await ask(queries.stats, { tenant, ...atHead }),
    list: await ask(queries.list, { tenant, limit: 100, ...atHead }),
    tasks: await Promise.all(stories.map(({ ref }) => ask(queries.tasks, { ...ref, ...atHead }))),
  });
  return await eventually(all, { what: 'answers', timeoutMs: 10_000 });
};

it.each(['the batch', 'the moment after it'] as const)('fault 17: a projector that is killed in %s counts nothing twice and leaves nothing out', async (place) => {
  const tell = async (): Promise<Story> => {
    const story = await new Story(cluster.log).tell(request('one', [task('a'), task('b', { dependsOn: ['a'] })], { team: 'red' }));
    await story.tell(start('a'));
    return await story.tell(end('a', 1, true));
  };
  // Once in what comes while it follows, once in what was there before it came.
  const doomed = await cluster.app('projector', { sabotage: dyingIn(place) });
  const stories = await Promise.all(Array.from({ length: 20 }, tell));
  expect(await doomed.ended).toBe('SIGKILL');
  await expect(cluster.app('projector', { sabotage: dyingIn(place) })).rejects.toThrow('SIGKILL');

  const survivor = await cluster.app('projector');
  const live = await known(stories);
  await survivor.kill();
  await cluster.app('projector', { home: 'anew' });
  expect(live).toEqual(await known(stories));
  expect(live).toMatchObject({ stats: { executions: { total: 20 }, tasks: { byStatus: { completed: 20 } } } });
}, 120_000);
