import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '#libs/testing';
import { cli } from './cli.js';
import { type Platform, startPlatform } from './platform.js';
import { untilStatus } from './until-status.js';

const executions = '/api/v1/executions';

type Task = { readonly id: string; readonly parent: string | null; readonly item: unknown; readonly status: string; readonly attempt: number; readonly result: Record<string, unknown> | null };
type Example = { readonly plan: { readonly tasks: readonly object[] }; readonly input?: object };

let platform: Platform;
beforeAll(async () => {
  platform = await startPlatform();
}, 90_000);
afterAll(() => platform.stop());

const request = async (body: object): Promise<string> => {
  const answer = await platform.post(executions, body);
  expect([answer.status, answer.body['problems']]).toEqual([202, undefined]);
  return String(answer.body['id']);
};

const tasksOf = async (id: string): Promise<readonly Task[]> => (await platform.get(`${executions}/${id}/tasks`)).body['tasks'] as Task[];

it('does a task for each item of what another one found, three at a time, and picks up what died with its executor', async () => {
  const files = Array.from({ length: 9 }, (_, n) => `file-${n}`);
  const script = 'echo "$RUNLEDGER_IDEMPOTENCY_KEY $ITEM" >> effects; [ -e go ] || sleep 300';
  const id = await request({
    plan: {
      name: 'files',
      tasks: [
        { id: 'find', runner: 'noop', input: { result: { files } } },
        { id: 'copy', runner: 'command', dependsOn: ['find'], forEach: { items: '{{ tasks.find.result.files }}', concurrency: 3 }, input: { shell: 'sh', script, env: { ITEM: '{{ item }}' } } },
        { id: 'sum', runner: 'noop', dependsOn: ['copy'], input: { result: { count: '{{ tasks.copy.result.count }}', codes: '{{ tasks.copy.result.results.map(r, r.exitCode) }}' } } },
      ],
    },
  });
  const folder = join(platform.home, 'work', 'default', id);
  const effects = (): readonly string[] => (existsSync(join(folder, 'effects')) ? readFileSync(join(folder, 'effects'), 'utf8').trim().split('\n').toSorted() : []);
  const effect = (n: number): string => `${id}/copy--${n} file-${n}`;
  await eventually(() => effects().length === 3, { timeoutMs: 20_000, what: 'three items under way' });
  expect(effects()).toEqual([0, 1, 2].map(effect));
  expect((await cli(platform, ['why', id]).ended).out).toMatch(/9 of 9 items have not ended, 6 of them wait for their turn/);

  await platform.killAndAwaitReturn('apps/executor/');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'go'), '');
  await untilStatus(platform, id, 'completed', 60_000);

  // What died in the middle was done again, under the same key; everything else once.
  expect(effects()).toEqual([0, 0, 1, 1, 2, 2, 3, 4, 5, 6, 7, 8].map(effect));
  const tasks = await tasksOf(id);
  expect(tasks.map((task) => [task.id, task.parent, task.item, task.attempt])).toEqual([
    ['find', null, null, 1],
    ['copy', null, null, 1],
    ...files.map((file, n) => [`copy--${n}`, 'copy', file, n < 3 ? 2 : 1]),
    ['sum', null, null, 1],
  ]);
  expect(tasks.at(-1)?.result).toEqual({ count: 9, codes: Array(9).fill(0) });
  const { body } = await platform.get(`${executions}/${id}`);
  expect(body['tasks']).toEqual({ total: 12, ended: 12, failed: 0 });
}, 120_000);

it('does as many items as there may be, as large as they may be', async () => {
  const items = Array.from({ length: 1_000 }, (_, n) => `${n} ${'x'.repeat(120)}`);
  const plan = { name: 'many', tasks: [{ id: 'each', runner: 'noop', forEach: { items: '{{ input.items }}' }, input: { result: { at: '{{ index }}' } } }] };
  const id = await request({ plan, input: { items } });
  await untilStatus(platform, id, 'completed', 60_000);
  const [each, ...parts] = await tasksOf(id);
  expect(each?.result).toMatchObject({ count: 1_000 });
  expect(parts.map(({ result }) => result?.['at'])).toEqual(items.map((_, n) => n));
  expect((await cli(platform, ['verify', id]).ended).code).toBe(0);
}, 90_000);

it('runs the example, and says of each item what became of it', async () => {
  const example = JSON.parse(readFileSync('examples/fan-out.json', 'utf8')) as Example;
  const id = await request(example);
  await untilStatus(platform, id, 'completed', 30_000);
  const output = await cli(platform, ['output', id]).ended;
  expect(output.out).toMatch(/3 folders are counted, and 1 was doubled 7 times/);
  expect((await cli(platform, ['show', id]).ended).out).toMatch(/count--1 +completed +1 .*for libs/);
}, 60_000);
