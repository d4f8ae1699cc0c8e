import { queries } from '#libs/projections';
import { eventually } from '#libs/testing';
import { type Json, type Service, executions, startService } from './service.js';

const projections = '/api/v1/projections';
const plan = { name: 'plan', tasks: [{ id: 'a', runner: 'noop' }] };

let service: Service;

beforeAll(async () => {
  service = await startService();
}, 30_000);
afterAll(() => service.stop());

const request = async (): Promise<{ id: string; sequence: number }> =>
  (await service.post(executions, { plan })).body as { id: string; sequence: number };

/** Asks the projector as any client of the broker could. */
const ask = async (pattern: string, data: object): Promise<Json> => {
  const answer = await service.nats.connection.request(pattern, JSON.stringify({ id: '1', pattern, data }), { timeout: 5_000 });
  return answer.json<{ response: Json }>().response;
};

describe('a read that says what it must know', () => {
  it('knows it, right after the write', async () => {
    for (let i = 0; i < 20; i++) {
      const { id, sequence } = await request();
      const { status, body } = await service.get(`${executions}?minSeq=${sequence}&limit=1`);
      expect(status).toBe(200);
      expect(Number(body['asOfSeq'])).toBeGreaterThanOrEqual(sequence);
      expect(body).toMatchObject({ executions: [{ id, sequence }] });
      expect((await service.get(`/api/v1/stats?minSeq=${sequence}`)).body).toMatchObject({ executions: { total: i + 1 } });
    }
  });

  it('is told when to come back where it takes too long', async () => {
    const { sequence } = await request();
    const { status, headers, body } = await service.get(`/api/v1/stats?minSeq=${sequence + 1_000}`);
    expect({ status, code: body['code'], retry: headers.get('retry-after') }).toEqual({ status: 503, code: 'PROJECTION_BEHIND', retry: '1' });
    expect(body['detail']).toContain(String(sequence + 1_000));
  });
});

describe('the projections', () => {
  it('say how far they know the log', async () => {
    const { sequence } = await request();
    await service.get(`${executions}?minSeq=${sequence}`);
    await service.get(`/api/v1/stats?minSeq=${sequence}`);
    const { incarnation, hash } = await service.log.head();
    const known = (name: string): Json => ({ name, asOfSeq: sequence, position: { incarnation, sequence, hash }, rebuild: null, losses: [] });
    expect((await service.get(projections)).body).toEqual({ projections: [known('status'), known('stats'), known('artifacts')] });
    expect((await service.get(`${projections}/stats`)).body).toEqual(known('stats'));
    expect(await service.get(`${projections}/none`)).toMatchObject({ status: 404, body: { code: 'PROJECTION_UNKNOWN', detail: expect.stringContaining('status, stats') as string } });
  });

  it('say the heads of executions over the broker', async () => {
    const { id, sequence } = await request();
    const { heads, more } = (await ask(queries.heads, { limit: 100, minSeq: sequence, waitMs: 1_000 })) as { heads: Json[]; more: boolean };
    expect(more).toBe(false);
    const stored = await service.log.at(sequence);
    expect(heads).toContainEqual({ ...service.ref(id), version: 1, sequence, hash: stored?.hash });
    expect(await ask(queries.heads, { limit: 1, minSeq: sequence + 1, waitMs: 10 })).toMatchObject({ refused: { code: 'PROJECTION_BEHIND' } });
  });
});

describe('a rebuild', () => {
  const rebuild = (name: string, headers: Record<string, string> = {}, body?: unknown): ReturnType<Service['post']> =>
    service.post(`${projections}/${name}/rebuild`, body, headers);
  const ended = async (name: string): Promise<Json> =>
    await eventually(async () => {
      const known = (await service.get(`${projections}/${name}`)).body['rebuild'] as Json;
      return known['endedAt'] !== null && known;
    }, { what: 'the end of the rebuild' });

  it.each(['status', 'stats'])('of %s is accepted, shows how it goes, and changes no answer', async (name) => {
    const { sequence } = await request();
    const read = async (): Promise<Json[]> =>
      await Promise.all([`${executions}?minSeq=${sequence}&limit=1000`, `/api/v1/stats?minSeq=${sequence}`].map(async (path) => (await service.get(path)).body));
    const before = await read();
    const { status, headers, body } = await rebuild(name);
    expect({ status, location: headers.get('location') }).toEqual({ status: 202, location: `${projections}/${name}` });
    expect(body).toMatchObject({ phase: 'replaying', endedAt: null, differs: [], error: null });
    expect(await ended(name)).toMatchObject({ id: body['id'], phase: 'done', sequence, target: sequence, differs: [] });
    expect(await read()).toEqual(before);
  });

  it('is begun once by a key, and again by another one or none', async () => {
    const first = await rebuild('status', { 'idempotency-key': 'one' }, {});
    const done = await ended('status');
    expect((await rebuild('status', { 'idempotency-key': 'one' })).body).toEqual(done);
    expect(done['id']).toBe(first.body['id']);
    const ids = [done['id']];
    for (const headers of [{ 'idempotency-key': 'two' }, {}]) {
      ids.push((await rebuild('status', headers)).body['id']);
      await ended('status');
    }
    expect(new Set(ids).size).toBe(3);
  });

  it('is refused for what is no projection, with a body, and with a key that is none', async () => {
    expect(await rebuild('none')).toMatchObject({ status: 404, body: { code: 'PROJECTION_UNKNOWN' } });
    expect(await rebuild('status', {}, { from: 1 })).toMatchObject({ status: 400, body: { code: 'BODY_INVALID' } });
    expect(await rebuild('status', { 'idempotency-key': 'with space' })).toMatchObject({ status: 400, body: { code: 'IDEMPOTENCY_KEY_INVALID' } });
  });
});

it('describes each route about projections', async () => {
  const { paths } = (await service.get('/docs-json')).body as { paths: Record<string, Record<string, { responses: Json }>> };
  const served = Object.entries(paths).flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`));
  expect(served.filter((route) => route.includes(projections)).toSorted()).toEqual([`GET ${projections}`, `GET ${projections}/{name}`, `POST ${projections}/{name}/rebuild`]);
});
