import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { ExecutionRef } from '#libs/contracts';
import { type OwnerCommand, decide } from '#libs/execution';
import { JetStreamLog, type Nats, OutputStore, connectNats } from '#libs/jetstream';
import { append, load } from '#libs/ledger';
import { queries } from '#libs/projections';
import { type Settings, createLogger, readSettings } from '#libs/platform';
import { type NatsServer, eventually, startNatsServer } from '#libs/testing';
import { startGateway } from '../../apps/gateway/src/gateway.js';
import { startProjector } from '../../apps/projector/src/projector.js';

type Json = Record<string, unknown>;

const executions = '/api/v1/executions';
const plan = { name: 'plan', tasks: [{ id: 'a', runner: 'noop' }, { id: 'b', runner: 'noop', dependsOn: ['a'] }] };
const logger = createLogger('test', 'silent');

let server: NatsServer;
let home: string;
let settings: Settings;
let gateway: { readonly url: string; readonly stop: () => Promise<void> };
let stopProjector: () => Promise<void>;
let nats: Nats;
let log: JetStreamLog;

beforeAll(async () => {
  server = await startNatsServer();
  home = mkdtempSync(join(tmpdir(), 'runledger-http-'));
  settings = readSettings({ NATS_URL: server.url, RUNLEDGER_HOME: home, RUNLEDGER_PORT: '0' });
  gateway = await startGateway(settings, logger);
  stopProjector = await startProjector(settings, logger);
  nats = await connectNats({ url: server.url, name: 'test' });
  log = new JetStreamLog(nats);
}, 30_000);
afterAll(async () => {
  await Promise.all([gateway.stop(), stopProjector(), nats.close()]);
  await server.stop();
  rmSync(home, { recursive: true, force: true });
});

const send = (path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(gateway.url + path, {
    method: 'POST',
    headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
    ...(body !== undefined && { body: typeof body === 'string' || body instanceof Uint8Array ? (body as string) : JSON.stringify(body) }),
  });

const json = async (response: Response): Promise<Json> => (await response.json()) as Json;
const get = async (path: string, headers: Record<string, string> = {}): Promise<Json> => json(await fetch(gateway.url + path, { headers }));
const request = async (more: Json = {}, headers: Record<string, string> = {}): Promise<string> =>
  String((await json(await send(executions, { plan, ...more }, headers)))['id']);

/** What an executor would commit. */
const drive = async (execution: string, ...commands: readonly OwnerCommand[]): Promise<number> => {
  const ref: ExecutionRef = { tenant: settings.tenant, execution };
  for (const command of commands) {
    const current = await load(log, ref);
    const context = { now: Date.now(), cause: randomUUID(), actor: 'executor', correlationId: 'c' };
    await append(log, current, decide(command, current.state, context));
  }
  return (await load(log, ref)).sequence;
};
const start = (taskId: string): OwnerCommand => ({ type: 'StartTask', taskId, executor: 'e1' });
const complete = (taskId: string): OwnerCommand => ({ type: 'RecordOutcome', taskId, attempt: 1, outcome: { ok: true, result: { n: 1 } } });

/** Sends bytes as they are: what no HTTP client would. */
const raw = (text: string): Promise<string> =>
  new Promise((resolve, reject) => {
    let answer = '';
    const { hostname, port } = new URL(gateway.url);
    const socket = connect(Number(port), hostname, () => socket.end(text)).setEncoding('utf8');
    socket.on('data', (piece: string) => (answer += piece));
    socket.on('close', () => resolve(answer));
    socket.on('error', reject);
  });


describe('a request that no ordinary client sends', () => {
  it('hears that it is no HTTP, and that Host is missing', async () => {
    expect(await raw('HELO there\r\n\r\n')).toContain('"code":"REQUEST_INVALID"');
    expect(await raw('GET / HTTP/1.1\r\nConnection: close\r\n\r\n')).toMatch(/^HTTP\/1.1 400 /);
  });

  it('hears which methods a path has', async () => {
    const response = await fetch(`${gateway.url}${executions}/x/pause`, { method: 'DELETE' });
    expect(response.status).toBe(405);
    expect(response.headers.get('allow')).toBe('POST');
    expect(await json(response)).toMatchObject({ code: 'METHOD_NOT_ALLOWED' });
  });

  it('hears that nobody takes it there, before what is wrong with its body', async () => {
    const body = new FormData();
    body.set('file', new Blob(['hello']), 'hello.txt');
    const sent = async (path: string): Promise<unknown> => (await json(await fetch(gateway.url + path, { method: 'POST', body })))['code'];
    expect(await sent('/api/v1/artifacts')).toBe('METHOD_NOT_ALLOWED');
    expect(await sent('/api/v1/nothing')).toBe('ROUTE_NOT_FOUND');
    expect(await sent(executions)).toBe('MEDIA_TYPE_UNSUPPORTED');
  });

  it('may compress its body with gzip', async () => {
    expect((await send(executions, gzipSync(JSON.stringify({ plan })), { 'content-encoding': 'gzip' })).status).toBe(202);
  });

  it('gets the path to each fault, also below plan and labels', async () => {
    const tasks = [{ id: 'a', runner: 'noop', retry: { maxAttempts: -1 } }, { id: 'b', runner: 'wait', input: { until: 'soon' } }];
    expect(await json(await send(executions, { plan: { name: 'x', tasks } }))).toMatchObject({
      code: 'PLAN_INVALID',
      problems: [{ path: '/plan/tasks/0/retry/maxAttempts' }, { path: '/plan/tasks/1/input/until' }],
    });
    const labels = Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`k${i}`, 'v']));
    expect(await json(await send(executions, { plan, labels }))).toMatchObject({ code: 'BODY_INVALID', problems: [{ path: '/labels' }] });
    expect(await json(await send(executions, { plan, labels: { ok: 'v', 'a b': 'v', c: 1 } }))).toMatchObject({
      code: 'BODY_INVALID',
      problems: [{ path: '/labels/a b' }, { path: '/labels/c' }],
    });
  });

  it('has a correlation id of its own taken only where it is harmless', async () => {
    const harmless = await fetch(gateway.url, { headers: { 'x-correlation-id': 'trace:1.2_3-4' } });
    expect(harmless.headers.get('x-correlation-id')).toBe('trace:1.2_3-4');
    const forged = await fetch(gateway.url, { headers: { 'x-correlation-id': '<script>' } });
    expect(forged.headers.get('x-correlation-id')).toMatch(/^[0-9a-f-]{36}$/);
  });
});

describe('a web page', () => {
  it('from this machine gets what CORS grants', async () => {
    const response = await fetch(gateway.url, { headers: { origin: 'http://localhost:3000' } });
    expect(response.headers.get('access-control-allow-origin')).toBe('http://localhost:3000');
    expect(response.headers.get('access-control-expose-headers')).toContain('X-Correlation-ID');
    const preflight = await fetch(`${gateway.url}/api/v1/keys/x`, {
      method: 'OPTIONS',
      headers: { origin: 'http://localhost:3000', 'access-control-request-method': 'DELETE' },
    });
    expect(preflight.headers.get('access-control-allow-methods')?.split(/, ?/)).toEqual(expect.arrayContaining(['POST', 'PUT', 'DELETE']));
  });

  it('from elsewhere gets no grant, no preflight, and can cancel nothing with a plain POST', async () => {
    const id = await request();
    const origin = 'https://evil.example';
    expect((await fetch(gateway.url, { headers: { origin } })).headers.get('access-control-allow-origin')).toBeNull();
    const preflight = await fetch(gateway.url + executions, {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type' },
    });
    expect(preflight.headers.get('access-control-allow-origin')).toBeNull();
    expect((await send(`${executions}/${id}/cancel`, undefined, { origin })).status).toBe(403);
    expect((await get(`${executions}/${id}`))['status']).toBe('pending');
  });

  it('frames none of ours, keeps nothing, and tells nobody by its links where they were', async () => {
    for (const path of ['/docs', '/redoc', executions, '/nothing']) {
      const { headers } = await fetch(gateway.url + path);
      const told = ['x-frame-options', 'x-content-type-options', 'referrer-policy', 'cache-control'].map((name) => headers.get(name));
      expect([path, ...told]).toEqual([path, 'DENY', 'nosniff', 'no-referrer', 'no-store']);
    }
  });

  it('is told neither what serves it nor with what', async () => {
    const { headers } = await fetch(gateway.url);
    expect(headers.get('x-powered-by')).toBeNull();
    expect(headers.get('server')).toBeNull();
  });
});

describe('with a projector', () => {
  it('reads each of many executions right after it was accepted', async () => {
    const statuses = await Promise.all(
      Array.from({ length: 100 }, async () => (await fetch(`${gateway.url}${executions}/${await request()}`)).status),
    );
    expect(statuses.filter((status) => status !== 200)).toEqual([]);
  });

  it('shows the course of an execution, and refuses what comes after its end', async () => {
    const id = await request({ name: 'driven', labels: { team: 'a' }, input: { n: 1 } });
    const sequence = await drive(id, start('a'), complete('a'), start('b'), complete('b'));
    const detail = await eventually(
      async () => {
        const found = await get(`${executions}/${id}`);
        return Number(found['asOfSeq']) >= sequence && found;
      },
      { what: 'the projection to have caught up' },
    );
    expect(detail).toMatchObject({ id, name: 'driven', status: 'completed', labels: { team: 'a' }, input: { n: 1 }, sequence });
    expect(await get(`${executions}/${id}/tasks`)).toMatchObject({
      tasks: [{ id: 'a', status: 'completed', result: { n: 1 } }, { id: 'b', status: 'completed' }],
    });
    for (const verb of ['pause', 'resume', 'cancel']) {
      const refused = await send(`${executions}/${id}/${verb}`);
      expect(refused.status).toBe(409);
      expect(await json(refused)).toMatchObject({ code: 'EXECUTION_TERMINAL', detail: expect.stringContaining('completed') as string });
    }
  });

  it('lets running tasks end on a graceful cancel, lets an immediate one overtake it, and refuses to pause meanwhile', async () => {
    const id = await request();
    await drive(id, start('a'));
    expect(await json(await send(`${executions}/${id}/cancel`, { mode: 'graceful', reason: 'enough' }))).toMatchObject({ status: 'cancelling', changed: true });
    expect(await json(await send(`${executions}/${id}/cancel`, { mode: 'graceful' }))).toMatchObject({ status: 'cancelling', changed: false });
    expect(await json(await send(`${executions}/${id}/pause`))).toMatchObject({ status: 409, code: 'EXECUTION_CANCELLING' });
    expect(await json(await send(`${executions}/${id}/cancel`, { mode: 'immediate' }))).toMatchObject({ status: 'cancelling', changed: true });
  });

  it('lists by label and status, page by page, each execution once', async () => {
    const team = randomUUID();
    const ids = [];
    for (let i = 0; i < 5; i++) ids.push(await request({ labels: { team } }));
    await send(`${executions}/${ids[0]}/cancel`);
    const filter = `label=team=${team}`;
    await eventually(
      async () => ((await get(`${executions}?${filter}&status=cancelled`))['executions'] as Json[]).length === 1,
      { what: 'the projection to have caught up' },
    );
    const seen: string[] = [];
    for (let path: string | undefined = `${executions}?${filter}&status=pending,running&status=paused&limit=3`; path !== undefined && seen.length < 10; ) {
      const response = await fetch(gateway.url + path);
      const body = await json(response);
      seen.push(...(body['executions'] as Json[]).map((execution) => String(execution['id'])));
      path = /^<(.+)>; rel="next"$/.exec(response.headers.get('link') ?? '')?.[1];
      expect(path === undefined).toBe(body['next'] === null);
    }
    expect(seen).toEqual(ids.slice(1).toReversed());
    expect(await get(`${executions}?${filter}`, { 'x-tenant-id': 'other' })).toMatchObject({ executions: [], next: null });
    expect(await get(`${executions}?cursor=made-up`)).toMatchObject({ status: 400, code: 'CURSOR_INVALID' });
  });

  it('counts', async () => {
    expect(await get('/api/v1/stats', { 'x-tenant-id': 'nobody' })).toMatchObject({ executions: { total: 0 } });
  });

  const isUnavailable = async (withinMs: number): Promise<void> => {
    const from = Date.now();
    const response = await fetch(gateway.url + executions);
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).toBe('1');
    expect(await json(response)).toMatchObject({ code: 'PROJECTION_UNAVAILABLE' });
    expect(Date.now() - from).toBeLessThan(withinMs);
  };

  it('says 503 at once when it is gone and soon when it is silent, and goes on once it is back', async () => {
    await stopProjector();
    await isUnavailable(1_000);
    const silent = nats.connection.subscribe(queries.list);
    await nats.connection.flush();
    await isUnavailable(4_000);
    silent.unsubscribe();
    stopProjector = await startProjector(settings, logger);
    await eventually(async () => (await fetch(gateway.url + executions)).status === 200, { what: 'lists to be answered again' });
  }, 20_000);
});

describe('output', () => {
  const piece = (chunk: number, stream: 'stdout' | 'stderr', bytes: Uint8Array | string, attempt = 1) => ({
    attempt,
    stream,
    chunk,
    time: '2026-11-20T12:00:00.000Z',
    truncated: false,
    bytes: Buffer.from(bytes),
  });

  it('comes as JSON, as text or as the very bytes; by task, stream and position', async () => {
    const id = await request();
    const [ref, store] = [{ tenant: settings.tenant, execution: id }, new OutputStore(nats)];
    const [html, binary] = ['<script>alert(1)</script>\n', Uint8Array.of(0xff, 0x00, 0xfe)];
    await store.append(ref, 'a', piece(0, 'stdout', 'one\n'));
    await store.append(ref, 'a', piece(1, 'stderr', html));
    await store.append(ref, 'b', piece(0, 'stdout', binary));
    const output = `${executions}/${id}/output`;

    const { chunks, next } = (await get(output)) as { chunks: Json[]; next: unknown };
    expect(chunks).toMatchObject([
      { task: 'a', attempt: 1, stream: 'stdout', text: 'one\n' },
      { task: 'a', attempt: 1, stream: 'stderr', text: html },
      { task: 'b', attempt: 1, stream: 'stdout', base64: Buffer.from(binary).toString('base64') },
    ]);
    expect(next).toBeNull();
    expect(await get(`${output}?limit=1`)).toMatchObject({ chunks: [{ text: 'one\n' }], next: chunks[0]?.['position'] });
    expect(await get(`${output}?after=${String(chunks[1]?.['position'])}`)).toMatchObject({ chunks: [{ task: 'b' }] });
    expect(await get(`${output}?task=a&stream=stderr`)).toMatchObject({ chunks: [{ text: html }] });

    const bytes = await fetch(`${gateway.url}${output}?format=raw`);
    expect(bytes.headers.get('content-type')).toBe('application/octet-stream');
    expect(bytes.headers.get('x-content-type-options')).toBe('nosniff');
    expect(Buffer.from(await bytes.arrayBuffer())).toEqual(Buffer.concat([Buffer.from(`one\n${html}`), binary]));
    const text = await fetch(`${gateway.url}${output}?task=a`, { headers: { accept: 'text/plain' } });
    expect(text.headers.get('content-type')).toMatch(/^text\/plain/);
    expect(text.headers.get('x-content-type-options')).toBe('nosniff');
    expect(await text.text()).toBe(`one\n${html}`);
  });

  it('of an execution without any is empty; of one that is not there, not found', async () => {
    expect(await get(`${executions}/${await request()}/output`)).toEqual({ chunks: [], next: null });
    expect(await get(`${executions}/nobody/output`)).toMatchObject({ status: 404, code: 'EXECUTION_NOT_FOUND' });
  });
});

describe('a history that is not what was written', () => {
  it('halts its own execution alone, and is not taken for anything else', async () => {
    const id = await request();
    const ref = { tenant: settings.tenant, execution: id };
    const { sequence } = await load(log, ref);
    const event = { type: 'ExecutionPaused', at: new Date().toISOString(), cause: 'c', actor: 'a', correlationId: 'c', data: {} };
    const forged = { id: randomUUID(), version: 2, previous: 'not the hash', events: [event] };
    await log.append({ ref, id: forged.id, expected: sequence, body: Buffer.from(JSON.stringify(forged)) });
    expect(await json(await send(`${executions}/${id}/resume`))).toMatchObject({ status: 500, code: 'HISTORY_BROKEN' });
    expect((await send(executions, { plan })).status).toBe(202);
  });
});

describe('the gateway as a process', () => {
  it('is ready with its dependencies named, and says what it is', async () => {
    for (const path of ['/readyz', '/api/v1/ready']) {
      expect(await get(path)).toEqual({ status: 'ready', dependencies: { broker: 'up', log: 'up' } });
    }
    for (const path of ['/health', '/api/v1/health']) {
      expect(await get(path)).toMatchObject({ status: 'healthy', service: 'runledger-gateway', version: expect.stringMatching(/^\d+\.\d+\.\d+/) as string });
    }
    expect(await get('/')).toMatchObject({ name: 'runledger', links: { executions } });
  });

  it('names the setting to change when its port is taken, and leaves nothing behind', async () => {
    const port = new URL(gateway.url).port;
    await expect(startGateway(readSettings({ NATS_URL: server.url, RUNLEDGER_PORT: port }), logger)).rejects.toThrow(/RUNLEDGER_PORT/);
  });

  it('describes every route it serves, and every refusal with its form', async () => {
    const { paths } = (await get('/docs-json')) as { paths: Record<string, Record<string, { responses: Json }>> };
    const verbs = ['pause', 'resume', 'cancel'].map((verb) => `POST ${executions}/{id}/${verb}`);
    const reads = ['', '/tasks', '/events', '/output'].map((part) => `GET ${executions}/{id}${part}`);
    const served = Object.entries(paths).flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`));
    expect(served).toEqual(expect.arrayContaining([`POST ${executions}`, `GET ${executions}`, ...verbs, ...reads, 'GET /api/v1/stats', 'GET /readyz']));
    for (const [path, methods] of Object.entries(paths).filter(([name]) => name.startsWith(executions))) {
      for (const { responses } of Object.values(methods)) {
        expect([path, JSON.stringify(responses)]).toEqual([path, expect.stringContaining('application/problem+json') as string]);
      }
    }
  });
});
