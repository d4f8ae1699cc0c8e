import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually, start, succeed } from '#libs/testing';
import { Keys } from './keys.js';
import { type Json, type Service, executions, startService } from './service.js';
import { EventStreamClient, WebSocketClient } from './stream-clients.js';

const plan = { name: 'plan', tasks: [{ id: 'a', runner: 'noop' }, { id: 'b', runner: 'noop', dependsOn: ['a'] }] };
const acme = { tenant: 'acme' };

let folder: string;
let service: Service;
let keys: Keys;
let operator: Record<string, string>;
const clients: { close(): void }[] = [];
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'runledger-streams-'));
  writeFileSync(join(folder, 'tenants.json'), JSON.stringify({ narrow: { limits: { streams: 2 } } }));
  service = await startService({ RUNLEDGER_AUTH_ENABLED: 'true', RUNLEDGER_TENANT: 'acme', RUNLEDGER_TENANTS: join(folder, 'tenants.json') });
  keys = await Keys.open(service);
  operator = await keys.of('operator', acme);
}, 30_000);
afterEach(() => clients.splice(0).forEach((client) => client.close()));
afterAll(async () => {
  keys.stop();
  await service.stop();
  rmSync(folder, { recursive: true });
});

const open = async (path: string, headers: Readonly<Record<string, string>> = operator): Promise<WebSocketClient> => {
  const client = await WebSocketClient.open(service.url + path, headers);
  clients.push(client);
  return client;
};
const requested = async (more: Json = {}, headers = operator): Promise<string> => String((await service.post(executions, { plan, ...more }, headers)).body['id']);
const finish = (id: string): Promise<number> => service.drive(id, start('a'), succeed('a'), start('b'), succeed('b'));
const positions = async (id: string): Promise<readonly string[]> =>
  ((await service.get(`${executions}/${id}/events?limit=1000`, operator)).body['events'] as Json[]).map(({ position }) => String(position));

describe('a WebSocket', () => {
  it('begins with what there is, goes on with every event, each once, and behind a position when it is opened again', async () => {
    const id = await requested();
    const client = await open(`${executions}/${id}/stream`);
    await client.until('the snapshot', ({ received }) => received.length === 1);
    expect(client.received).toMatchObject([{ name: 'snapshot', data: { execution: { id, status: 'pending' } } }]);
    await finish(id);
    await client.until('the end', ({ types }) => types.includes('ExecutionCompleted'));
    const all = await positions(id);
    expect(client.received.map(({ position }) => position)).toEqual(all);
    const again = await open(`${executions}/${id}/stream?after=${all[2]}&until=end`);
    await again.until('its end', ({ closed }) => closed !== undefined);
    expect(again.received.map(({ position }) => position)).toEqual(all.slice(3));
    expect(again.closed).toEqual({ code: 1000, reason: 'COMPLETE' });
    const late = await open(`${executions}/${id}/stream?after=${all[all.length - 1]}&until=end`);
    await late.until('its end', ({ closed }) => closed?.code === 1000);
  });

  it('follows a tenant with a filter, and shows nothing of another', async () => {
    const other = await keys.of('operator', { tenant: 'other' });
    const [mine, theirs] = [await open('/api/v1/stream?type=ExecutionRequested,ExecutionCompleted'), await open('/api/v1/stream', other)];
    const id = await requested();
    await requested({}, other);
    await finish(id);
    await mine.until('the end', ({ types }) => types.includes('ExecutionCompleted'));
    await theirs.until('theirs', ({ types }) => types.includes('ExecutionRequested'));
    expect(mine.types).toEqual(['ExecutionRequested', 'ExecutionCompleted']);
    expect(new Set(mine.events.map(({ tenant }) => tenant))).toEqual(new Set(['acme']));
    expect(new Set(theirs.events.map(({ tenant }) => tenant))).toEqual(new Set(['other']));
  });

  it('takes its credentials from the address or a cookie of the own page, as browsers send no header', async () => {
    const id = await requested();
    const token = (operator['authorization'] ?? '').slice('Bearer '.length);
    expect((await open(`${executions}/${id}/stream?access_token=${token}`, {})).refused).toBeUndefined();
    const cookie = { cookie: `runledger_token=${token}` };
    expect((await open(`${executions}/${id}/stream`, { ...cookie, 'sec-fetch-site': 'same-origin' })).refused).toBeUndefined();
    expect((await open(`${executions}/${id}/stream`, { ...cookie, 'sec-fetch-site': 'same-site' })).refused?.status).toBe(401);
    expect((await open(`${executions}/${id}/stream`, { ...cookie, 'sec-fetch-site': 'cross-site' })).refused?.status).toBe(403);
  });

  it('is refused as any request is: credentials, permission, workspace, tenant, Origin, Host, path', async () => {
    const id = await requested({ labels: { workspace: 'red' } });
    const path = `${executions}/${id}/stream`;
    const blue = await keys.of('viewer', { ...acme, workspaces: ['blue'] });
    const red = await keys.of('viewer', { ...acme, workspaces: ['red'] });
    const worker = await keys.of('worker', acme);
    const foreign = await keys.of('operator', { tenant: 'other' });
    const refusal = async (where: string, headers: Record<string, string>): Promise<unknown> => {
      const { refused } = await open(where, headers);
      return refused && [refused.status, refused.problem['code']];
    };
    expect(await refusal(path, {})).toEqual([401, 'CREDENTIALS_MISSING']);
    expect(await refusal(path, { authorization: 'Bearer nonsense' })).toEqual([401, 'CREDENTIALS_INVALID']);
    expect(await refusal(path, worker)).toEqual([403, 'FORBIDDEN']);
    expect(await refusal(path, blue)).toEqual([403, 'WORKSPACE_FORBIDDEN']);
    expect(await refusal(path, foreign)).toEqual([404, 'EXECUTION_NOT_FOUND']);
    expect(await refusal('/api/v1/stream', { ...operator, 'x-tenant-id': 'other' })).toEqual([404, 'TENANT_NOT_FOUND']);
    expect(await refusal(path, { ...operator, origin: 'https://elsewhere.example' })).toEqual([403, 'ORIGIN_NOT_ALLOWED']);
    expect(await refusal(path, { ...operator, host: 'elsewhere.example' })).toEqual([421, 'HOST_NOT_ALLOWED']);
    expect(await refusal('/api/v1/nothing', operator)).toEqual([404, 'ROUTE_NOT_FOUND']);
    expect(await refusal('/health', {})).toEqual([200, undefined]);
    expect(await refusal(path, { ...operator, origin: 'http://localhost:3000' })).toBeUndefined();
    expect(await refusal(path, red)).toBeUndefined();
    const sse = await EventStreamClient.open(service.url + path, { ...operator, origin: 'https://elsewhere.example' });
    clients.push(sse);
    expect(sse.status).toBe(403);
    // What the tenant's stream shows to red is red.
    const [mine] = [await open('/api/v1/stream', red)];
    await service.post(executions, { plan }, operator);
    const own = await requested({ labels: { workspace: 'red' } });
    await mine.until('the own one', ({ events }) => events.length > 0);
    expect(mine.events.map(({ execution }) => execution)).toEqual([own]);
  });

  it('ends with 1009 at two MiB, and takes no subscription from a message', async () => {
    const client = await open('/api/v1/stream');
    client.socket.send(JSON.stringify({ type: 'subscribe', execution: 'foreign' }));
    await client.until('the answer', ({ received }) => received.some(({ data }) => data['code'] === 'MESSAGE_UNEXPECTED'));
    client.socket.send('x'.repeat(2 * 1024 * 1024));
    await client.until('the end', ({ closed }) => closed?.code === 1009);
  });

  it('ends with 1008 for who sends and sends, read or not', async () => {
    const [client, deaf] = [await open('/api/v1/stream'), await open('/api/v1/stream')];
    deaf.socket.pause();
    for (let n = 0; n < 200; n++) for (const { socket } of [client, deaf]) socket.send('x');
    await client.until('the end', ({ closed }) => closed !== undefined);
    expect([1006, 1008]).toContain(client.closed?.code);
    expect(client.received.filter(({ data }) => data['code'] === 'MESSAGE_UNEXPECTED').length).toBeLessThan(100);
    deaf.socket.resume();
    await deaf.until('the end', ({ closed }) => closed !== undefined);
  });

  it('ends when the credentials expire, or are revoked', async () => {
    const soon = await keys.of('viewer', { ...acme, expiresAt: new Date(Date.now() + 2_500).toISOString() });
    const expiring = await open('/api/v1/stream', soon);
    expect(expiring.refused).toBeUndefined();
    await expiring.until('the end', ({ closed }) => closed !== undefined);
    expect(expiring.closed).toMatchObject({ code: 1008, reason: expect.stringMatching(/^CREDENTIALS_EXPIRED after=\d+\/\d+$/) as string });

    const admin = await keys.of('admin', acme);
    const { body } = await service.post('/api/v1/keys', { name: 'viewer', roles: ['viewer'] }, admin);
    const client = await EventStreamClient.open(`${service.url}/api/v1/stream`, { authorization: `Bearer ${String(body['token'])}` });
    clients.push(client);
    await service.delete(`/api/v1/keys/${String(body['id'])}`, admin);
    await client.ended();
    expect(client.received.slice(-1)).toMatchObject([{ name: 'dropped', data: { code: 'CREDENTIALS_EXPIRED' } }]);
  });

  it('that takes nothing is sent away, and misses nothing when it comes back; others are not held up', async () => {
    const narrow = await keys.of('operator', { tenant: 'narrow' });
    const frozen = await open('/api/v1/stream?type=ExecutionRequested', narrow);
    await frozen.until('the snapshot', ({ received }) => received.length === 1);
    const brisk = await open(`/api/v1/stream?type=ExecutionRequested&after=${frozen.lastPosition}`, narrow);
    // The tenant may have two.
    expect((await open('/api/v1/stream', narrow)).refused).toMatchObject({ status: 429, problem: { code: 'TENANT_LIMIT' } });
    frozen.socket.pause();
    const filler = 'x'.repeat(200_000);
    for (let n = 0; n < 60; n++) await requested({ input: { filler } }, narrow);
    await brisk.until('all of them', ({ events }) => events.length === 60);
    await eventually(async () => (await open('/api/v1/stream', narrow)).refused === undefined, { what: 'the frozen one to be sent away', timeoutMs: 20_000 });
    clients.splice(2).forEach((client) => client.close());
    frozen.socket.resume();
    await frozen.until('its end', ({ closed }) => closed !== undefined);
    const [had] = [frozen.received.filter(({ name }) => name === undefined).length];
    expect(had).toBeLessThan(60);
    const back = await open(`/api/v1/stream?type=ExecutionRequested&after=${frozen.lastPosition}`, narrow);
    await back.until('the rest', ({ events }) => events.length === 60 - had);
    expect([...frozen.received.filter(({ name }) => name === undefined), ...back.received].map(({ position }) => position)).toEqual(brisk.received.map(({ position }) => position));
  }, 60_000);

  it('is nothing to who offers another protocol: the request is answered, its body read', async () => {
    const answer = await new Promise<{ status: number | undefined; text: string }>((resolve, reject) => {
      const body = JSON.stringify({ plan });
      const outgoing = request(
        service.url + executions,
        { method: 'POST', headers: { ...operator, 'content-type': 'application/json', 'content-length': body.length, connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'http2-settings': 'AAMAAABkAAQAAP__' } },
        (response) => {
          let text = '';
          response.on('data', (piece: Buffer) => (text += piece.toString()));
          response.on('end', () => resolve({ status: response.statusCode, text }));
        },
      );
      outgoing.on('error', reject).end(body);
    });
    expect(answer).toMatchObject({ status: 202, text: expect.stringContaining('"id"') as string });
  });
});
