import { eventually } from '#libs/testing';
import { cli } from './cli.js';
import { type Platform, startPlatform } from './platform.js';
import { untilStatus } from './until-status.js';

const executions = '/api/v1/executions';

type Task = { readonly id: string; readonly status: string; readonly attempt: number; readonly result: Record<string, unknown> | null; readonly waitsFor: unknown };

let platform: Platform;
beforeAll(async () => {
  platform = await startPlatform();
}, 90_000);
afterAll(() => platform.stop());

const request = async (tasks: readonly object[]): Promise<string> => {
  const { status, body } = await platform.post(executions, { plan: { name: 'waiting', tasks } });
  expect(status).toBe(202);
  return String(body['id']);
};

const tasksOf = async (id: string): Promise<ReadonlyMap<string, Task>> => {
  const { body } = await platform.get(`${executions}/${id}/tasks`);
  return new Map((body['tasks'] as Task[]).map((task) => [task.id, task]));
};

const untilWaiting = (id: string, task: string): Promise<unknown> =>
  eventually(async () => ((await tasksOf(id)).get(task)?.waitsFor ?? null) !== null, { timeoutMs: 30_000, what: `${task} waiting` });

const run = (...args: readonly string[]): ReturnType<typeof cli> => cli(platform, args);

const untilReady = (): Promise<unknown> =>
  eventually(async () => (await fetch(`${platform.url}/readyz`).catch(() => undefined))?.status === 200, { timeoutMs: 60_000, what: 'the platform to be ready again' });

/** SIGKILLs every process of the platform but the one that brings them back, one after the other. */
const killEverything = async (): Promise<void> => {
  for (const app of ['apps/executor/', 'apps/projector/', 'apps/gateway/', 'nats-server']) await platform.killAndAwaitReturn(app);
  await untilReady();
};

describe('signals', () => {
  it('are waited for while every process is killed, and what came early is taken after that', async () => {
    const id = await request([
      { id: 'go', runner: 'signal', input: { name: 'go' } },
      { id: 'next', runner: 'command', input: { argv: ['echo', 'next'] }, dependsOn: ['go'] },
      { id: 'early', runner: 'signal', input: { name: 'early' }, dependsOn: ['next'] },
    ]);
    await untilWaiting(id, 'go');
    expect(await run('signal', id, 'early', '--payload', '{"n":1}').ended).toMatchObject({ code: 0, out: expect.stringContaining('signal early') as string });
    await killEverything();
    expect((await run('why', id).ended).out).toContain('runledger signal … go');
    expect((await run('show', id).ended).out).toContain('waits for signal go');
    expect(await run('signal', id, 'go', '--payload', 'nothing').ended).toMatchObject({ code: 2 });
    expect(await run('signal', id, 'go').ended).toMatchObject({ code: 0 });
    await untilStatus(platform, id, 'completed');
    const tasks = await tasksOf(id);
    expect([...tasks.values()].map(({ attempt }) => attempt)).toEqual([1, 1, 1]);
    expect(tasks.get('early')?.result).toMatchObject({ payload: { n: 1 } });
    expect(await run('signal', id, 'go').ended).toMatchObject({ code: 4, err: expect.stringContaining('EXECUTION_TERMINAL') as string });
    expect((await run('events', id).ended).out).toMatch(/signal early from anonymous[\s\S]*waits for signal early/);
    expect((await run('verify', id).ended).code).toBe(0);
  }, 120_000);
});

describe('approvals', () => {
  it('are asked for while every process is killed; an answer, a delegation and an expiry find their tasks after that', async () => {
    const ask = (id: string, input: object, more: object = {}): object => ({ id, runner: 'approval', input: { title: `${id}?`, ...input }, ...more });
    const id = await request([
      ask('release', {}),
      ask('sign', { approvers: ['role:admin'], delegable: true }),
      ask('silent', { expiresInMs: 3_000, onExpiry: 'approve' }),
      ask('refused', {}, { onFailure: 'continue' }),
      { id: 'publish', runner: 'command', input: { argv: ['echo', 'published'] }, dependsOn: ['release', 'silent', 'refused'] },
    ]);
    for (const task of ['release', 'sign', 'refused']) await untilWaiting(id, task);
    expect((await run('delegate', id, 'sign', 'user:grace').ended).out).toContain('left to user:grace');
    await killEverything();
    const listed = (await run('approvals').ended).out;
    for (const task of ['release', 'sign', 'refused']) expect(listed).toMatch(new RegExp(`${id} +${task} `));
    expect((await run('show', id).ended).out).toContain('waits for approval release?');
    expect((await run('why', id).ended).out).toContain('runledger approve … release');
    expect(await run('approve', id, 'sign').ended).toMatchObject({ code: 4, err: expect.stringContaining('user:grace') as string });
    expect((await run('approve', id, 'release', '--reason', 'tried').ended).out).toContain('release is approved by you');
    expect((await run('approve', id, 'release').ended).out).toContain('already');
    expect((await run('reject', id, 'refused').ended).code).toBe(0);
    await eventually(async () => (await tasksOf(id)).get('publish')?.status === 'completed', { timeoutMs: 30_000, what: 'publish completed' });
    expect((await tasksOf(id)).get('silent')).toMatchObject({ status: 'completed', attempt: 1, result: { decision: 'approved', expired: true } });
    expect((await run('events', id).ended).out).toMatch(/asks for approval: release\? \(1 by whoever may\)[\s\S]*approved by anonymous: tried/);
    await run('cancel', id).ended;
    await untilStatus(platform, id, 'cancelled');
    expect((await run('approvals').ended).err).toContain('nothing waits');
    expect((await run('verify', id).ended).code).toBe(0);
    expect((await run('rebuild', 'status').ended).code).toBe(0);
  }, 120_000);
});

describe('events of other executions', () => {
  it('are waited for while every process is killed, and found where they came meanwhile', async () => {
    const other = await request([{ id: 'go', runner: 'signal', input: { name: 'go' } }]);
    const id = await request([
      { id: 'end', runner: 'event', input: { subject: `${other}.execution.completed` } },
      { id: 'any', runner: 'event', input: { subject: '*.signal.received', match: { name: 'late' } }, dependsOn: ['end'] },
    ]);
    await untilWaiting(id, 'end');
    await untilWaiting(other, 'go');
    await killEverything();
    expect((await run('why', id).ended).out).toContain(`an event ${other}.execution.completed`);
    await platform.killAndAwaitReturn('apps/executor/');
    expect((await run('signal', other, 'go').ended).code).toBe(0);
    await untilWaiting(id, 'any');
    await platform.killAndAwaitReturn('nats-server');
    await untilReady();
    const third = await request([{ id: 'x', runner: 'signal', input: { name: 'never' } }]);
    expect((await run('signal', third, 'late', '--payload', '{"n":1}').ended).code).toBe(0);
    await untilStatus(platform, id, 'completed');
    const tasks = await tasksOf(id);
    expect(tasks.get('end')).toMatchObject({ attempt: 1, result: { execution: other, type: 'ExecutionCompleted' } });
    expect(tasks.get('any')).toMatchObject({ attempt: 1, result: { execution: third, data: { name: 'late', payload: { n: 1 } } } });
    expect((await run('verify').ended).code).toBe(0);
  }, 120_000);
});
