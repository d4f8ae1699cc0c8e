import { mkdtempSync, rmSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger, readSettings } from '#libs/platform';
import { type NatsServer, eventually, startNatsServer } from '#libs/testing';
import { startGateway } from '../../apps/gateway/src/gateway.js';

type Answer = { readonly status: number; readonly body: Record<string, unknown>; readonly headers: Headers };

let server: NatsServer;
let home: string;
let gateway: { readonly url: string; readonly stop: () => Promise<void> };

beforeAll(async () => {
  server = await startNatsServer();
  home = mkdtempSync(join(tmpdir(), 'runledger-gateway-'));
  const environment = { NATS_URL: server.url, RUNLEDGER_HOME: home, RUNLEDGER_PORT: '0' };
  gateway = await startGateway(readSettings(environment), createLogger('gateway', 'silent'));
}, 30_000);
afterAll(async () => {
  await gateway.stop();
  await server.stop();
  rmSync(home, { recursive: true, force: true });
});

const call = async (method: string, path: string, body?: string | Uint8Array, headers: Record<string, string> = {}): Promise<Answer> => {
  const response = await fetch(gateway.url + path, {
    method,
    headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
    ...(body !== undefined && { body: body as string }),
  });
  const text = await response.text();
  return { status: response.status, body: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>), headers: response.headers };
};

const executions = '/api/v1/executions';
const noop = { name: 'plan', tasks: [{ id: 'a', runner: 'noop' }] };
const withPlan = (plan: unknown): string => JSON.stringify({ plan });
const withTask = (more: object): string => withPlan({ name: 'plan', tasks: [{ id: 'a', runner: 'noop', ...more }] });
const request = async (): Promise<string> => String((await call('POST', executions, withPlan(noop))).body['id']);

describe('while neither an executor nor a projector runs', () => {
  it('accepts an execution durably, and reads it back at once from the log', async () => {
    const accepted = await call('POST', executions, JSON.stringify({ plan: noop, labels: { team: 'a' }, input: { n: 1 } }), {
      'x-correlation-id': 'corr-1',
    });
    expect(accepted.status).toBe(202);
    const id = String(accepted.body['id']);
    expect(accepted.headers.get('location')).toBe(`${executions}/${id}`);
    expect(accepted.headers.get('x-correlation-id')).toBe('corr-1');
    expect(accepted.body).toMatchObject({ status: 'pending', sequence: expect.any(Number) as number });
    const { status, body } = await call('GET', `${executions}/${id}/events`);
    expect(status).toBe(200);
    expect(body['events']).toMatchObject([{ type: 'ExecutionRequested', correlationId: 'corr-1', id: `${id}/1/0` }]);
  });

  it('pauses, resumes and cancels; again answers as the first; what has ended refuses with a reason', async () => {
    const id = await request();
    expect((await call('POST', `${executions}/${id}/pause`, '{"reason":"lunch"}')).body).toMatchObject({ status: 'paused', changed: true });
    expect((await call('POST', `${executions}/${id}/pause`)).body).toMatchObject({ status: 'paused', changed: false });
    expect((await call('POST', `${executions}/${id}/resume`)).body).toMatchObject({ status: 'pending', changed: true });
    const first = await call('POST', `${executions}/${id}/cancel`, '{"mode":"graceful"}');
    expect(first.body).toMatchObject({ status: 'cancelled', changed: true });
    const second = await call('POST', `${executions}/${id}/cancel`);
    expect(second).toMatchObject({ status: 200, body: { status: 'cancelled', changed: false, sequence: first.body['sequence'] } });
    expect(await call('POST', `${executions}/${id}/resume`)).toMatchObject({ status: 409, body: { code: 'EXECUTION_TERMINAL' } });
  });

  it('says at once that the read models can not be asked, and when to come back', async () => {
    const answer = await call('GET', executions);
    expect(answer).toMatchObject({ status: 503, body: { code: 'PROJECTION_UNAVAILABLE' } });
    expect(answer.headers.get('retry-after')).toBe('1');
  });

  it('lets many clients command one execution: versions stay contiguous, each version has one winner', async () => {
    const id = await request();
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, i) => call('POST', `${executions}/${id}/${i % 2 === 0 ? 'pause' : 'resume'}`)),
    );
    expect(answers.every(({ status }) => status === 200)).toBe(true);
    const { body } = await call('GET', `${executions}/${id}/events?limit=1000`);
    const versions = (body['events'] as { id: string }[]).map((event) => Number(event.id.split('/')[1]));
    expect(versions).toEqual(versions.map((_, i) => i + 1));
    expect(answers.filter((answer) => answer.body['changed'] === true)).toHaveLength(versions.length - 1);
  });
});

describe('an answer to what can not be done', () => {
  const bad: readonly (readonly [string, string, string, string | Uint8Array | undefined, Record<string, string>, number, string])[] = [
    ['an empty body', 'POST', executions, '', {}, 400, 'BODY_EMPTY'],
    ['a body that is cut off', 'POST', executions, '{"plan":', {}, 400, 'BODY_NOT_JSON'],
    ['an array', 'POST', executions, '[]', {}, 400, 'BODY_INVALID'],
    ['a __proto__ key', 'POST', executions, '{"__proto__":{"a":1}}', {}, 400, 'BODY_INVALID'],
    ['a constructor.prototype key', 'POST', executions, '{"constructor":{"prototype":{"a":1}}}', {}, 400, 'BODY_INVALID'],
    ['10,000 levels', 'POST', executions, '['.repeat(10_000), {}, 400, 'BODY_NOT_JSON'],
    ['an unknown field', 'POST', executions, JSON.stringify({ plan: noop, colour: 1 }), {}, 400, 'BODY_INVALID'],
    ['a number beyond all bounds', 'POST', executions, '{"plan":{"name":"x","tasks":[{"id":"a","runner":"noop","input":{"result":{"n":1e400}}}]}}', {}, 400, 'PLAN_INVALID'],
    ['half a character', 'POST', executions, '{"plan":{"name":"\\ud800","tasks":[{"id":"a","runner":"noop"}]}}', {}, 400, 'BODY_INVALID'],
    ['a label with a line break', 'POST', executions, JSON.stringify({ plan: noop, labels: { a: 'b\r\nc' } }), {}, 400, 'BODY_INVALID'],
    ['too much', 'POST', executions, JSON.stringify({ plan: noop, input: { text: 'x'.repeat(600_000) } }), {}, 413, 'BODY_TOO_LARGE'],
    ['more than a commit holds', 'POST', executions, JSON.stringify({ plan: noop, input: { text: 'x'.repeat(300_000) } }), {}, 413, 'PLAN_TOO_LARGE'],
    ['another media type', 'POST', executions, '<a/>', { 'content-type': 'text/xml' }, 415, 'MEDIA_TYPE_UNSUPPORTED'],
    ['no plan', 'POST', executions, '{}', {}, 400, 'PLAN_INVALID'],
    ['a cycle', 'POST', executions, withTask({ dependsOn: ['a'] }), {}, 400, 'PLAN_INVALID'],
    ['an unknown runner', 'POST', executions, withTask({ runner: 'teleport' }), {}, 400, 'PLAN_INVALID'],
    ['a command without argv', 'POST', executions, withTask({ runner: 'command' }), {}, 400, 'PLAN_INVALID'],
    ['a timeout of 0', 'POST', executions, withTask({ timeoutMs: 0 }), {}, 400, 'PLAN_INVALID'],
    ['an id with a dot', 'GET', `${executions}/a.b`, undefined, {}, 400, 'ID_INVALID'],
    ['a wildcard as id', 'GET', `${executions}/%3E`, undefined, {}, 400, 'ID_INVALID'],
    ['a star as id', 'POST', `${executions}/*/cancel`, undefined, {}, 400, 'ID_INVALID'],
    ['a way up as id', 'GET', `${executions}/%2e%2e%2fx`, undefined, {}, 400, 'ID_INVALID'],
    ['an id of 65 characters', 'GET', `${executions}/${'x'.repeat(65)}`, undefined, {}, 400, 'ID_INVALID'],
    ['letters that look alike', 'GET', `${executions}/%D0%B0bc`, undefined, {}, 400, 'ID_INVALID'],
    ['an id that is not there', 'GET', `${executions}/nobody/events`, undefined, {}, 404, 'EXECUTION_NOT_FOUND'],
    ['a command to what is not there', 'POST', `${executions}/nobody/pause`, undefined, {}, 404, 'EXECUTION_NOT_FOUND'],
    ['a tenant that is none', 'GET', executions, undefined, { 'x-tenant-id': 'a.b' }, 400, 'TENANT_INVALID'],
    ['an unknown mode', 'POST', `${executions}/x/cancel`, '{"mode":"gently"}', {}, 400, 'BODY_INVALID'],
    ['an unknown query parameter', 'GET', `${executions}?sort=name`, undefined, {}, 400, 'QUERY_INVALID'],
    ['a limit of 0', 'GET', `${executions}?limit=0`, undefined, {}, 400, 'QUERY_INVALID'],
    ['a time that is none', 'GET', `${executions}?from=yesterday`, undefined, {}, 400, 'QUERY_INVALID'],
    ['a route that is none', 'GET', '/api/v1/nothing', undefined, {}, 404, 'ROUTE_NOT_FOUND'],
  ];

  it.each(bad)('names the problem with %s', async (_, method, path, body, headers, status, code) => {
    const answer = await call(method, path, body, headers);
    expect(answer).toMatchObject({ status, body: { status, code } });
    expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
    expect(String(answer.body['detail']).length).toBeGreaterThan(10);
    expect(answer.headers.get('x-correlation-id')).toBe(answer.body['correlationId']);
  });

  it("hides another tenant's execution", async () => {
    const id = await request();
    expect(await call('GET', `${executions}/${id}/events`, undefined, { 'x-tenant-id': 'other' })).toMatchObject({ status: 404 });
  });

  it('refuses a Host that is another machine, as a rebound name would be', async () => {
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const { hostname, port } = new URL(gateway.url);
      httpRequest({ hostname, port, path: executions, headers: { host: 'evil.example' } }, (response) => {
        response.resume();
        resolve(response.statusCode);
      })
        .on('error', reject)
        .end();
    });
    expect(status).toBe(421);
  });
});

describe('the description', () => {
  it('has an example that is accepted as it stands', async () => {
    const { body } = await call('GET', '/docs-json');
    type Description = { paths: Record<string, { post?: { requestBody: { content: { 'application/json': { examples: { hello: { value: unknown } } } } } } }> };
    const { paths } = body as unknown as Description;
    const example = paths[executions]?.post?.requestBody.content['application/json'].examples.hello.value;
    expect((await call('POST', executions, JSON.stringify(example))).status).toBe(202);
    for (const page of ['/docs', '/redoc', '/redoc/redoc.js']) expect((await fetch(gateway.url + page)).status).toBe(200);
  });
});

describe('without its broker', () => {
  it('answers 503 within bounds, and goes on by itself when the broker is back', async () => {
    await server.kill();
    const from = Date.now();
    const refused = await call('POST', executions, withPlan(noop));
    expect(refused.status).toBe(503);
    expect(refused.headers.get('retry-after')).not.toBeNull();
    expect(Date.now() - from).toBeLessThan(20_000);
    expect((await call('GET', '/readyz')).status).toBe(503);
    expect((await call('GET', '/health')).status).toBe(200);
    await server.restart();
    await eventually(async () => (await call('POST', executions, withPlan(noop))).status === 202, { timeoutMs: 15_000, what: 'it to accept again' });
  }, 60_000);
});
