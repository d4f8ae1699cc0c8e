import { readFileSync } from 'node:fs';
import { eventually } from '#libs/testing';
import { cli } from './cli.js';
import { type Platform, startPlatform } from './platform.js';
import { untilStatus } from './until-status.js';

const executions = '/api/v1/executions';

type Execution = { readonly id: string; readonly name: string; readonly status: string; readonly parent: { readonly execution: string; readonly task: string; readonly attempt: number } | null };
type Task = { readonly id: string; readonly status: string; readonly attempt: number; readonly subExecution: string | null; readonly result: Record<string, unknown> | null; readonly waitsFor: unknown };

let platform: Platform;
beforeAll(async () => {
  platform = await startPlatform();
}, 90_000);
afterAll(() => platform.stop());

const request = async (plan: unknown): Promise<string> => {
  const { status, body } = await platform.post(executions, { plan });
  expect([status, body]).toEqual([202, expect.anything()]);
  return String(body['id']);
};

const inner = (...tasks: readonly object[]): object => ({ plan: { name: 'inner', tasks } });
const outer = (...tasks: readonly object[]): object => ({ name: 'outer', tasks: [{ id: 'sub', runner: 'execution', input: inner(...tasks) }] });

const tasksOf = async (id: string): Promise<ReadonlyMap<string, Task>> => {
  const { body } = await platform.get(`${executions}/${id}/tasks`);
  return new Map((body['tasks'] as Task[]).map((task) => [task.id, task]));
};

const childrenOf = async (id: string): Promise<readonly Execution[]> => (await platform.get(`${executions}?parent=${id}`)).body['executions'] as Execution[];

const untilChild = (id: string, status: string): Promise<Execution> =>
  eventually(async () => (await childrenOf(id)).find((child) => child.status === status), { timeoutMs: 30_000, what: `a child of ${id} that is ${status}` });

it('a plan within a plan is an execution of its own, and each names the other', async () => {
  const { plan } = JSON.parse(readFileSync('examples/sub-executions.json', 'utf8')) as { plan: unknown };
  const id = await request(plan);
  await untilStatus(platform, id, 'completed');
  const [child, ...others] = await eventually(async () => { const found = await childrenOf(id); return found.length > 0 && found; }, { what: 'the child in the list' });
  expect(others).toEqual([]);
  expect(child).toMatchObject({ name: 'build 1.3', status: 'completed', parent: { execution: id, task: 'build', attempt: 1 } });
  const build = await eventually(async () => { const task = (await tasksOf(id)).get('build'); return task?.status === 'completed' && task; }, { what: 'the task to be shown completed' });
  expect(build).toMatchObject({ subExecution: child!.id, result: { execution: child!.id, status: 'completed', result: { package: { file: 'release-1.3.tar' } } } });
  expect((await platform.get(`${executions}/${id}`)).body['parent']).toBeNull();
  expect((await cli(platform, ['show', child!.id]).ended).out).toContain(`${id}, task build, attempt 1`);
  expect((await cli(platform, ['show', id]).ended).out).toContain(`was execution ${child!.id}`);
  expect((await cli(platform, ['list', '--parent', id]).ended).out).toContain('build 1.3');
}, 90_000);

it('why names the child that is waited for, and a cancel of the parent ends it', async () => {
  const id = await request(outer({ id: 'sleep', runner: 'command', input: { argv: ['sleep', '600'] } }));
  const child = await untilChild(id, 'running');
  const { body } = await platform.get(`${executions}/${id}/why`);
  expect(body['waitsFor']).toMatchObject([{ kind: 'execution', task: 'sub', endedBy: [{ kind: 'execution', name: child.id }, { kind: 'client' }] }]);
  expect((await cli(platform, ['why', id]).ended).out).toContain(`execution ${child.id}`);
  expect((await platform.post(`${executions}/${id}/cancel`, {})).status).toBe(200);
  await untilStatus(platform, id, 'cancelled');
  await untilChild(id, 'cancelled');
}, 90_000);

it('parent and child are found again by executors that come after SIGKILL of all', async () => {
  const id = await request(outer({ id: 'go', runner: 'signal', input: { name: 'go' } }));
  const child = await untilChild(id, 'running');
  for (const app of ['apps/executor/', 'nats-server']) await platform.killAndAwaitReturn(app);
  await eventually(async () => (await platform.post(`${executions}/${child.id}/signals/go`, {})).status === 200, { timeoutMs: 60_000, what: 'the signal to be taken' });
  await untilStatus(platform, id, 'completed');
  expect(await childrenOf(id)).toHaveLength(1);
  expect((await cli(platform, ['verify']).ended).code).toBe(0);
}, 120_000);

it('what is wrong in the inner plan is told with its path, and no list takes a parent that can be none', async () => {
  const refused = await platform.post(executions, { plan: outer({ id: 'x', runner: 'noop', dependsOn: ['sub'] }) });
  expect(refused).toMatchObject({ status: 400, body: { code: 'PLAN_INVALID', problems: [{ path: '/plan/tasks/0/input/plan/tasks/0/dependsOn/0' }] } });
  expect((await platform.get(`${executions}?parent=a.b`)).status).toBe(400);
});
