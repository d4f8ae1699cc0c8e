import { Keys, bearer } from './keys.js';
import { type Answer, type Json, type Service, executions, startService } from './service.js';

const plan = { name: 'plan', tasks: [{ id: 'a', runner: 'noop' }] };
const named = (workspace: string): Record<string, string> => ({ 'x-workspace-id': workspace });

let service: Service;
let keys: Keys;
let everywhere: Record<string, string>;
let red: Record<string, string>;
let blue: Record<string, string>;
let both: Record<string, string>;
beforeAll(async () => {
  service = await startService({ RUNLEDGER_AUTH_ENABLED: 'true', RUNLEDGER_TENANT: 'acme' });
  keys = await Keys.open(service);
  everywhere = await keys.of('admin');
  red = await keys.of('admin', { workspaces: ['red'] });
  blue = await keys.of('operator', { workspaces: ['blue'] });
  both = await keys.of('operator', { workspaces: ['red', 'blue'] });
}, 30_000);
afterAll(async () => {
  keys.stop();
  await service.stop();
});

const request = async (headers: Record<string, string>, body: object = {}): Promise<{ readonly id: string; readonly sequence: number }> => {
  const answer = await service.post(executions, { plan, ...body }, headers);
  expect(answer.status).toBe(202);
  return answer.body as { id: string; sequence: number };
};
const labelsOf = async (id: string): Promise<unknown> => (await service.get(`${executions}/${id}`, everywhere)).body['labels'];
const listed = async (headers: Record<string, string>, minSeq: number, query = ''): Promise<readonly string[]> => {
  const { body } = await service.get(`${executions}?minSeq=${minSeq}${query}`, headers);
  return (body['executions'] as Json[]).map(({ id }) => String(id));
};
const refused = (status: number, code: string): Partial<Answer> => ({ status, body: expect.objectContaining({ code }) as Json });

describe('workspaces', () => {
  it('are a label of what is requested in them: the named one, or the only one of the credentials', async () => {
    expect(await labelsOf((await request(red, { labels: { team: 'x' } })).id)).toEqual({ team: 'x', workspace: 'red' });
    expect(await labelsOf((await request({ ...both, ...named('blue') })).id)).toEqual({ workspace: 'blue' });
    expect(await labelsOf((await request({ ...everywhere, ...named('green') })).id)).toEqual({ workspace: 'green' });
    expect(await labelsOf((await request(red, { labels: { workspace: 'red' } })).id)).toEqual({ workspace: 'red' });
    expect(await labelsOf((await request(everywhere)).id)).toEqual({});
  });

  it('are not left by a header or by a label', async () => {
    const post = (headers: Record<string, string>, body: object = {}): Promise<Answer> => service.post(executions, { plan, ...body }, headers);
    expect(await post({ ...red, ...named('blue') })).toMatchObject(refused(403, 'WORKSPACE_FORBIDDEN'));
    expect(await post(red, { labels: { workspace: 'blue' } })).toMatchObject(refused(403, 'WORKSPACE_FORBIDDEN'));
    expect(await post({ ...everywhere, ...named('red') }, { labels: { workspace: 'blue' } })).toMatchObject(refused(403, 'WORKSPACE_FORBIDDEN'));
    expect(await post(both)).toMatchObject(refused(400, 'WORKSPACE_MISSING'));
    expect(await post({ ...everywhere, ...named('a.b') })).toMatchObject(refused(400, 'WORKSPACE_INVALID'));
    expect(await service.get(executions, both)).toMatchObject(refused(400, 'WORKSPACE_MISSING'));
    expect(await service.get(executions, { ...red, ...named('blue') })).toMatchObject(refused(403, 'WORKSPACE_FORBIDDEN'));
  });

  it('show, list and command what is theirs; of others they are told that it is not', async () => {
    const [mine, other, none] = [await request(red), await request(blue), await request(everywhere)];
    for (const path of ['', '/tasks', '/events', '/why', '/output', `?asOf=${other.sequence}`]) {
      expect([path, (await service.get(`${executions}/${mine.id}${path.startsWith('?') ? '' : path}`, red)).status]).toEqual([path, 200]);
      expect(await service.get(`${executions}/${other.id}${path}`, red)).toMatchObject(refused(403, 'WORKSPACE_FORBIDDEN'));
      expect(await service.get(`${executions}/${none.id}${path}`, red)).toMatchObject(refused(403, 'WORKSPACE_FORBIDDEN'));
    }
    for (const verb of ['pause', 'resume', 'cancel']) {
      expect(await service.post(`${executions}/${other.id}/${verb}`, {}, red)).toMatchObject(refused(403, 'WORKSPACE_FORBIDDEN'));
      expect((await service.post(`${executions}/${mine.id}/${verb}`, {}, red)).status).toBe(200);
    }
    expect(await service.get(`${executions}/nobody`, red)).toMatchObject(refused(404, 'EXECUTION_NOT_FOUND'));
    expect((await service.get(`${executions}/${other.id}`, both)).status).toBe(200);
    expect(await service.get(`${executions}/${other.id}`, { ...both, ...named('red') })).toMatchObject(refused(403, 'WORKSPACE_FORBIDDEN'));
    expect((await service.get(`${executions}/${other.id}`, everywhere)).status).toBe(200);

    const ids = await listed(red, none.sequence);
    expect(ids).toContain(mine.id);
    expect(ids).not.toContain(other.id);
    expect(ids).not.toContain(none.id);
    expect(await listed({ ...everywhere, ...named('blue') }, none.sequence)).toContain(other.id);
    expect(await listed({ ...everywhere, ...named('blue') }, none.sequence)).not.toContain(mine.id);
    expect(await listed(everywhere, none.sequence)).toEqual(expect.arrayContaining([mine.id, other.id, none.id]));
    expect(await service.get(`${executions}?label=workspace=blue`, red)).toMatchObject(refused(403, 'WORKSPACE_FORBIDDEN'));
  });

  it('do not show through idempotency keys', async () => {
    const key = { 'idempotency-key': 'shared' };
    await request({ ...blue, ...key });
    const answer = await service.post(executions, { plan }, { ...red, ...key });
    expect(answer).toMatchObject(refused(409, 'IDEMPOTENCY_KEY_REUSED'));
    expect((await service.post(executions, { plan }, { ...blue, ...key })).headers.get('idempotency-replayed')).toBe('true');
  });

  it('end where a tenant’s affairs begin: statistics, projections, the audit, keys for more', async () => {
    for (const path of ['/api/v1/stats', '/api/v1/projections', '/api/v1/projections/status', '/api/v1/audit']) {
      expect(await service.get(path, red)).toMatchObject(refused(403, 'WORKSPACE_FORBIDDEN'));
    }
    expect(await service.post('/api/v1/projections/status/rebuild', undefined, red)).toMatchObject(refused(403, 'WORKSPACE_FORBIDDEN'));
    const wanted = { name: 'x', roles: ['viewer'] };
    expect(await service.post('/api/v1/keys', wanted, red)).toMatchObject(refused(403, 'KEY_TOO_POWERFUL'));
    expect(await service.post('/api/v1/keys', { ...wanted, workspaces: ['red', 'blue'] }, red)).toMatchObject(refused(403, 'KEY_TOO_POWERFUL'));
    const made = await service.post('/api/v1/keys', { ...wanted, workspaces: ['red'] }, red);
    expect(made.status).toBe(201);
    const { body } = await service.get('/api/v1/keys', red);
    const seen = body['keys'] as { id: string; workspaces?: string[] }[];
    expect(seen.map(({ workspaces }) => workspaces)).toEqual([['red'], ['red']]);
    const foreign = ((await service.get('/api/v1/keys', everywhere)).body['keys'] as { id: string; workspaces?: string[] }[]).find((key) => key.workspaces?.[0] === 'blue');
    expect(await service.delete(`/api/v1/keys/${foreign?.id}`, red)).toMatchObject(refused(403, 'WORKSPACE_FORBIDDEN'));
    expect((await service.delete(`/api/v1/keys/${String(made.body['id'])}`, red)).status).toBe(200);
    expect((await service.get(executions, bearer(String(made.body['token'])))).status).toBe(401);
  });
});
