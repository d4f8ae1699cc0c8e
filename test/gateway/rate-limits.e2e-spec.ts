import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger, readSettings } from '#libs/platform';
import { startGateway } from '../../apps/gateway/src/gateway.js';
import { Keys } from './keys.js';
import { type Answer, type Service, executions, startService } from './service.js';

const plan = { name: 'plan', tasks: [{ id: 'a', runner: 'noop' }] };

let folder: string;
let service: Service;
let keys: Keys;
let second: Awaited<ReturnType<typeof startGateway>>;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'runledger-rates-'));
  const file = join(folder, 'tenants.json');
  writeFileSync(file, JSON.stringify({ generous: { rates: { start: '50/h' } }, free: { rates: { start: null } } }));
  // Windows of an hour: none ends while a test counts.
  const environment = {
    RUNLEDGER_AUTH_ENABLED: 'true',
    RUNLEDGER_RATE_LIMITS: 'start=5/h,control=2/h,workspace.start=2/h,unauthenticated=100/h',
    RUNLEDGER_TENANTS: file,
  };
  service = await startService(environment);
  keys = await Keys.open(service);
  second = await startGateway(readSettings({ ...environment, NATS_URL: service.natsUrl, RUNLEDGER_PORT: '0' }), createLogger('test', 'silent'));
}, 30_000);
afterAll(async () => {
  keys.stop();
  await second.stop();
  await service.stop();
  rmSync(folder, { recursive: true });
});

const start = (headers: Record<string, string>, url = service.url): Promise<Response> =>
  fetch(url + executions, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify({ plan }) });
const statuses = async (count: number, headers: Record<string, string>): Promise<readonly number[]> => {
  const answers = await Promise.all(Array.from({ length: count }, (_, n) => start(headers, n % 2 === 0 ? service.url : second.url)));
  return answers.map(({ status }) => status).toSorted((a, b) => a - b);
};

describe('rates of requests', () => {
  it('hold for a tenant over all its keys and all gateways; what is past them is told when to come again', async () => {
    const [one, two] = [await keys.of('operator', { tenant: 'counted' }), await keys.of('operator', { tenant: 'counted' })];
    const first = await start(one);
    expect([first.headers.get('x-ratelimit-limit'), first.headers.get('x-ratelimit-remaining')]).toEqual(['5', '4']);
    expect(await statuses(20, two)).toEqual([...Array.from({ length: 4 }, () => 202), ...Array.from({ length: 16 }, () => 429)]);
    for (const url of [service.url, second.url]) {
      const refused = await start(one, url);
      expect(refused.status).toBe(429);
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
      expect(Number(refused.headers.get('retry-after'))).toBeLessThanOrEqual(3_600);
      expect(refused.headers.get('content-type')).toContain('application/problem+json');
      expect(await refused.json()).toMatchObject({ title: 'Too Many Requests', code: 'TOO_MANY_REQUESTS', detail: expect.stringContaining('5 start requests of tenant counted') as string });
    }
    // Of another kind, and of another tenant.
    expect((await service.get(executions, one)).status).toBe(200);
    expect((await service.post(`${executions}/nobody/pause`, {}, one)).status).toBe(404);
    expect((await start(await keys.of('operator', { tenant: 'uncounted' }))).status).toBe(202);
  });

  it('refuse before a body is read', async () => {
    const headers = await keys.of('operator', { tenant: 'large' });
    await statuses(5, headers);
    expect(await service.post(executions, { plan: 'x'.repeat(5_000_000) }, headers)).toMatchObject({ status: 429, body: { code: 'TOO_MANY_REQUESTS' } });
  });

  it('are a tenant’s own where it has an entry', async () => {
    expect(await statuses(10, await keys.of('operator', { tenant: 'generous' }))).toEqual(Array.from({ length: 10 }, () => 202));
    expect(await statuses(10, await keys.of('operator', { tenant: 'free' }))).toEqual(Array.from({ length: 10 }, () => 202));
  });

  it('hold for a workspace; what it is refused does not count against its tenant', async () => {
    const [red, blue] = [await keys.of('operator', { tenant: 'parts', workspaces: ['red'] }), await keys.of('operator', { tenant: 'parts', workspaces: ['blue'] })];
    expect(await statuses(8, red)).toEqual([202, 202, 429, 429, 429, 429, 429, 429]);
    expect(await (await start(red)).json()).toMatchObject({ detail: expect.stringContaining('2 start requests of workspace red') as string });
    expect(await statuses(2, blue)).toEqual([202, 202]);
    const all = await keys.of('operator', { tenant: 'parts' });
    expect(await statuses(2, all)).toEqual([202, 429]);
  });

  it('bound what comes without credentials that count, by address; those that count go on', async () => {
    const valid = await keys.of('viewer', { tenant: 'valid' });
    const answers: Answer[] = [];
    while (answers.at(-1)?.status !== 429 && answers.length < 101) {
      answers.push(await service.get(executions, answers.length % 2 === 0 ? {} : { authorization: 'Bearer rlk_nonsense' }));
    }
    const last = answers.at(-1);
    expect(answers.length).toBeGreaterThan(1);
    expect(new Set(answers.slice(0, -1).map(({ status }) => status))).toEqual(new Set([401]));
    expect(last).toMatchObject({ status: 429, body: { code: 'TOO_MANY_REQUESTS' } });
    expect(Number(last?.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await service.get(executions, { 'x-forwarded-for': '203.0.113.7' })).status).toBe(429);
    expect((await service.get(executions, valid)).status).toBe(200);
    expect((await service.get('/health')).status).toBe(200);
  });
});
