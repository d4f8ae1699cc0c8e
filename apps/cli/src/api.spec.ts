import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { Api } from './api.js';

let server: Server;
let answer: (request: IncomingMessage, response: ServerResponse) => void;
let seen: IncomingMessage[];
let api: Api;

beforeAll(async () => {
  server = createServer((request, response) => {
    seen.push(request);
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  api = new Api(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`, { tenant: 'acme', token: 'secret' });
});
beforeEach(() => (seen = []));
afterAll(() => server.close());

const problem = (status: number, code: string) => (_: IncomingMessage, response: ServerResponse) =>
  response.writeHead(status).end(JSON.stringify({ status, code, detail: 'what, why, what to do', problems: [{ path: '/a', message: 'x' }, { path: '/b', message: 'y' }] }));

describe('the API', () => {
  it('is asked for a tenant, with lists as repeated parameters and without what is not set', async () => {
    answer = (_, response) => response.end('{"ok":true}');
    expect(await api.get('/executions', { status: ['failed', 'paused'], name: undefined, limit: 5 })).toEqual({ ok: true });
    expect(seen[0]?.url).toBe('/api/v1/executions?status=failed&status=paused&limit=5');
    expect(seen[0]?.headers).toMatchObject({ 'x-tenant-id': 'acme', authorization: 'Bearer secret' });
  });

  it('chooses the tenant itself where none is given', async () => {
    answer = (_, response) => response.end('{}');
    await new Api(`http://127.0.0.1:${(server.address() as AddressInfo).port}`).get('/executions');
    expect(seen[0]?.headers).not.toHaveProperty('x-tenant-id');
    expect(seen[0]?.headers).not.toHaveProperty('authorization');
  });

  it('says where credentials are taken from when it asks for them', async () => {
    answer = problem(401, 'CREDENTIALS_MISSING');
    await expect(api.get('/x')).rejects.toMatchObject({ exit: 4, code: 'CREDENTIALS_MISSING', message: expect.stringContaining('RUNLEDGER_TOKEN') as string });
  });

  it.each([
    [400, 4],
    [409, 4],
    [404, 3],
    [500, 5],
    [503, 5],
  ])('says %i as exit code %i, with the server’s code, its reason and every further fault', async (status, exit) => {
    answer = problem(status, 'SOME_CODE');
    await expect(api.get('/x')).rejects.toMatchObject({ exit, code: 'SOME_CODE', message: 'what, why, what to do\n  /b: y' });
  });

  it('sends a write again after a lost connection, and after an unknown outcome, by the same key', async () => {
    const turns = [
      (_: IncomingMessage, response: ServerResponse) => response.destroy(),
      problem(503, 'OUTCOME_UNKNOWN'),
      (_: IncomingMessage, response: ServerResponse) => response.end('{"id":"e1"}'),
    ];
    answer = (request, response) => turns[seen.length - 1]?.(request, response);
    expect(await api.post('/executions', {})).toEqual({ id: 'e1' });
    const keys = seen.map(({ headers }) => headers['idempotency-key']);
    expect(keys).toHaveLength(3);
    expect(new Set(keys).size).toBe(1);
    answer = (_, response) => response.end('{}');
    await api.post('/executions', {});
    expect(seen[3]?.headers['idempotency-key']).not.toBe(keys[0]);
  });

  it('does not repeat what was refused', async () => {
    answer = problem(409, 'EXECUTION_TERMINAL');
    await expect(api.post('/executions/e1/pause')).rejects.toMatchObject({ exit: 4 });
    expect(seen).toHaveLength(1);
  });

  it('says so when something else answers there, or nothing', async () => {
    answer = (_, response) => response.end('<html>');
    await expect(api.get('/x')).rejects.toMatchObject({ exit: 5, code: 'ANSWER_INVALID' });
    await expect(new Api('http://127.0.0.1:1').get('/x')).rejects.toMatchObject({ exit: 5 });
  });

  it('says how many bytes of a file come, and hears of a refusal before it has sent them', async () => {
    answer = (request, response) => void request.resume().once('end', () => response.end('{"id":"a"}'));
    expect(await api.upload('/x', [['tags', 'täglich']], { name: 'ü"\r\n.txt', size: 3, bytes: Readable.from([Buffer.from('abc')]) })).toEqual({ id: 'a' });
    expect(seen[0]?.headers).not.toHaveProperty('transfer-encoding');
    answer = problem(413, 'ARTIFACT_TOO_LARGE');
    let sent = 0;
    const endless = async function* (): AsyncGenerator<Uint8Array> {
      for (;;) {
        sent += 1;
        yield await Promise.resolve(Buffer.alloc(64 * 1024));
      }
    };
    await expect(api.upload('/x', [], { name: 'x', size: 2 ** 40, bytes: endless() })).rejects.toMatchObject({ exit: 4, code: 'ARTIFACT_TOO_LARGE' });
    expect([Number(seen[1]?.headers['content-length']) > 2 ** 40, sent < 10_000]).toEqual([true, true]);
  });
});
