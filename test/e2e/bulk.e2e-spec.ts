import { eventually } from '#libs/testing';
import { cli, json } from './cli.js';
import { type Platform, startPlatform } from './platform.js';
import { untilStatus } from './until-status.js';

const executions = '/api/v1/executions';

let platform: Platform;
beforeAll(async () => {
  platform = await startPlatform();
}, 90_000);
afterAll(() => platform.stop());

type Event = { readonly type: string; readonly cause: string; readonly actor: string };

const run = (...args: readonly string[]): ReturnType<typeof cli> => cli(platform, args);
const requested = async (n: number, team: string, task: object): Promise<readonly string[]> => {
  const body = { plan: { name: 'many', tasks: [{ id: 'a', ...task }] }, labels: { team } };
  return await Promise.all(Array.from({ length: n }, async () => String((await platform.post(executions, body)).body['id'])));
};
const eventsOf = async (id: string): Promise<readonly Event[]> => (await platform.get(`${executions}/${id}/events?limit=1000`)).body['events'] as Event[];
const bulkTask = async (id: string): Promise<{ progress: { done: number } | null; attempt: number; result: unknown }> =>
  ((await platform.get(`${executions}/${id}/tasks`)).body['tasks'] as { progress: { done: number } | null; attempt: number; result: unknown }[])[0]!;
const sleep = { runner: 'wait', input: { durationMs: 3_600_000 } };

it('cancels 200 executions once each, although its executor is killed in the middle', async () => {
  const ids = await requested(200, 'red', sleep);
  const others = await requested(3, 'blue', sleep);
  for (const id of ids.slice(-3)) await untilStatus(platform, id, 'running');
  const dry = await run('bulk', 'cancel', '--label', 'team=red', '--dry-run').ended;
  expect(dry).toMatchObject({ code: 0, out: expect.stringContaining('200 executions') as string });
  const { out } = await run('bulk', 'cancel', '--label', 'team=red', '--rate', '40', '--reason', 'enough', '--detach').ended;
  const bulk = out.trim();
  await eventually(async () => ((await bulkTask(bulk)).progress?.done ?? 0) >= 40, { timeoutMs: 30_000, what: 'a part to be done' });
  await platform.killAndAwaitReturn('apps/executor/');
  expect((await run('why', bulk).ended).out).toMatch(/of 200 done|is gone|executor/);
  await untilStatus(platform, bulk, 'completed', 120_000);
  const { attempt, result, progress } = await bulkTask(bulk);
  expect(attempt).toBeGreaterThan(1);
  expect(result).toEqual({ done: 200, failed: 0, failures: [] });
  expect(progress).toEqual({ done: 200, failed: 0, total: 200 });
  for (const id of ids) {
    const asked = (await eventsOf(id)).filter(({ type }) => type === 'ExecutionCancelRequested' || type === 'ExecutionCommandSatisfied');
    expect(asked).toMatchObject([{ type: 'ExecutionCancelRequested', cause: `bulk ${bulk}#cancel`, actor: 'anonymous', data: { reason: 'enough' } }]);
  }
  for (const id of others) await untilStatus(platform, id, 'running');
  expect((await eventsOf(bulk)).filter(({ type }) => type === 'TaskProgressed').length).toBeLessThan(12);
  expect((await run('verify').ended).code).toBe(0);
}, 240_000);

it('is paused and resumed as every execution, and undone by another one', async () => {
  const ids = await requested(30, 'slow', sleep);
  for (const id of ids) await untilStatus(platform, id, 'running');
  const bulk = (await run('bulk', 'pause', '--label', 'team=slow', '--rate', '5', '--detach').ended).out.trim();
  const paused = async (): Promise<number> =>
    ((await platform.get(`${executions}?label=team=slow&status=paused&limit=100`)).body['executions'] as unknown[]).length;
  await eventually(async () => (await paused()) > 2, { timeoutMs: 30_000, what: 'some to be paused' });
  expect((await run('pause', bulk).ended).code).toBe(0);
  expect((await run('resume', bulk).ended).code).toBe(0);
  await untilStatus(platform, bulk, 'completed');
  expect(await paused()).toBe(30);
  const resumed = await run('bulk', 'resume', '--label', 'team=slow', '--rate', '200').ended;
  expect(resumed.code).toBe(0);
  expect(resumed.err).toMatch(/bulk +30 of 30/);
  await eventually(async () => (await paused()) === 0, { what: 'none to be paused' });
}, 120_000);

it('retries what failed, each in one new execution, and what is carried on no more', async () => {
  const ids = await requested(5, 'broken', { runner: 'command', input: { argv: ['false'] } });
  for (const id of ids) await untilStatus(platform, id, 'failed');
  const { value } = await json(run('bulk', 'retry', '--label', 'team=broken', '--dry-run', '--json'));
  expect(value).toMatchObject({ matched: 5, byStatus: { failed: 5 } });
  expect((await run('bulk', 'retry', '--label', 'team=broken', '--rate', '100').ended).code).toBe(0);
  for (const id of ids) {
    const listed = (await platform.get(`${executions}?origin=${id}`)).body['executions'] as { id: string; origin: { kind: string } }[];
    expect(listed).toMatchObject([{ origin: { kind: 'retry' } }]);
    await untilStatus(platform, listed[0]!.id, 'failed');
  }
  const again = await json(run('bulk', 'retry', '--label', 'team=broken', '--dry-run', '--json'));
  expect(again.value).toMatchObject({ matched: 5 });
  expect((await run('bulk', 'cancel').ended).code).toBe(4);
}, 120_000);
