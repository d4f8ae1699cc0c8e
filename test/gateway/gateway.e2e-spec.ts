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
