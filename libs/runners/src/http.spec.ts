import type { IncomingMessage } from 'node:http';
import type { JsonObject } from '#libs/contracts';
import { HttpServers } from '#libs/testing';
import { httpRunner } from './http.js';
import type { Attempt, Outcome } from './runner.js';

const servers = new HttpServers();
afterEach(() => servers.stop());

const attemptOf = (input: JsonObject, signal = new AbortController().signal): Attempt => ({
  ref: { tenant: 'acme', execution: 'run' },
  taskId: 'call',
  attempt: 1,
  input,
  executionInput: {},
  idempotencyKey: 'run/call',
  signal,
  output: async () => {},
  step: () => {},
});

const request = async (
  input: JsonObject,
  allowAddress: (ip: string) => boolean = (ip) => ip === '127.0.0.1',
): Promise<Outcome> => httpRunner({ allowAddress }).run(attemptOf(input));

const codeOf = (outcome: Outcome): unknown => (outcome.ok ? 'ok' : [outcome.error.code, outcome.error.retryable]);

async function bodyOf(message: IncomingMessage): Promise<string> {
  let body = '';
  for await (const part of message.setEncoding('utf8') as AsyncIterable<string>) body += part;
  return body;
}

describe('a request', () => {
  it('carries the attempt’s idempotency key, unless the plan gives one, and wants no compression', async () => {
    const seen: unknown[] = [];
    const url = await servers.serve((message, response) => {
      seen.push([message.headers['idempotency-key'], message.headers['accept-encoding']]);
      response.end();
    });
    await request({ url });
    await request({ url, headers: { 'Idempotency-Key': 'own' } });
    expect(seen).toEqual([
      ['run/call', 'identity'],
      ['own', 'identity'],
    ]);
  });

  it('sends a string as it is and anything else as JSON', async () => {
    const seen: unknown[] = [];
    const url = await servers.serve(async (message, response) => {
      seen.push([message.method, message.headers['content-type'], await bodyOf(message)]);
      response.end();
    });
    await request({ url, method: 'POST', body: 'plain ü' });
    await request({ url, method: 'PUT', body: { a: [1, null] } });
    await request({ url, method: 'PATCH', body: '<a/>', headers: { 'Content-Type': 'text/xml' } });
    expect(seen).toEqual([
      ['POST', 'text/plain; charset=utf-8', 'plain ü'],
      ['PUT', 'application/json', '{"a":[1,null]}'],
      ['PATCH', 'text/xml', '<a/>'],
    ]);
  });
});

describe('an answer', () => {
  const answer = (status: number, type: string, body: string | Buffer): Promise<string> =>
    servers.serve((_, response) => response.writeHead(status, { 'Content-Type': type, 'X-Secret': 'no' }).end(body));

  it('becomes the result: JSON where it is JSON, else text', async () => {
    expect(await request({ url: await answer(201, 'application/problem+json; charset=utf-8', '{"a":1}') })).toEqual({
      ok: true,
      result: {
        status: 201,
        headers: { 'content-type': 'application/problem+json; charset=utf-8' },
        body: { a: 1 },
        truncated: false,
        durationMs: expect.any(Number),
      },
    });
    const text = await request({ url: await answer(200, 'text/plain', Buffer.from([0x61, 0xff])) });
    expect(text.result?.['body']).toBe('a\ufffd');
    const broken = await request({ url: await answer(200, 'application/json', '{') });
    expect(broken.result?.['body']).toBe('{');
    const deep = '['.repeat(10_000) + ']'.repeat(10_000);
    expect((await request({ url: await answer(200, 'application/json', deep) })).result?.['body']).toBe(deep);
  });

  it('is cut at the limit, and says so, however long it goes on', async () => {
    const url = await servers.serve((_, response) => {
      const more = (): void => {
        while (response.write(Buffer.alloc(16_384, 'x')));
      };
      response.on('drain', more);
      more();
    });
    const cut = await request({ url });
    expect(cut.result).toMatchObject({ body: expect.stringMatching(/^x+$/), truncated: true });
    expect(Buffer.byteLength(JSON.stringify(cut.result))).toBeGreaterThan(32_760);
    const exact = await request({ url: await answer(200, 'text/plain', 'abc'), maxResponseBytes: 3 });
    expect(exact.result).toMatchObject({ body: 'abc', truncated: false });
    const inCharacter = await request({ url: await answer(200, 'text/plain', 'aü'), maxResponseBytes: 2 });
    expect(inCharacter.result).toMatchObject({ body: 'a', truncated: true });
  });

  it.each<[string, string, string | Buffer]>([
    ['text that needs escapes', 'text/plain', '"\u0001'.repeat(16_000)],
    ['bytes that are no text', 'application/octet-stream', Buffer.alloc(32_768, 0xff)],
    ['characters of two units', 'text/plain', `x${'😀'.repeat(8_191)}`],
    ['JSON', 'application/json', JSON.stringify({ a: 'x'.repeat(32_750) })],
  ])('of %s makes a result of 32 KiB at most', async (_, type, body) => {
    const { result } = await request({ url: await answer(200, type, body) });
    const bytes = Buffer.byteLength(JSON.stringify(result));
    expect(bytes).toBeLessThanOrEqual(32_768);
    expect(bytes).toBeGreaterThan(32_700);
    expect(result?.['truncated']).toBe(true);
  });

  it.each<[number, JsonObject, unknown]>([
    [204, {}, 'ok'],
    [400, {}, ['HTTP_STATUS', false]],
    [404, {}, ['HTTP_STATUS', false]],
    [404, { expectStatus: [404] }, 'ok'],
    [200, { expectStatus: [201] }, ['HTTP_STATUS', false]],
    [429, {}, ['HTTP_STATUS', true]],
    [500, {}, ['HTTP_STATUS', true]],
    [503, {}, ['HTTP_STATUS', true]],
  ])('%i with %j is %j', async (status, input, expected) => {
    const outcome = await request({ url: await answer(status, 'text/plain', ''), ...input });
    expect([codeOf(outcome), outcome.result?.['status']]).toEqual([expected, status]);
  });

  it('that never comes may be waited for again', async () => {
    const url = await servers.serve((message) => message.socket.destroy());
    expect(codeOf(await request({ url }))).toEqual(['HTTP_FAILED', true]);
    const half = await servers.serve((_, response) => {
      response.writeHead(200, { 'Content-Length': '10' });
      response.write('half', () => response.destroy());
    });
    expect(codeOf(await request({ url: half }))).toEqual(['HTTP_FAILED', true]);
  });
});

describe('an abort', () => {
  it.each(['before', 'after'])('ends the attempt %s the answer has begun', async (when) => {
    const controller = new AbortController();
    const url = await servers.serve((_, response) => {
      if (when === 'before') return controller.abort();
      response.write('begun', () => setImmediate(() => controller.abort()));
    });
    const runner = httpRunner({ allowAddress: () => true });
    expect(codeOf(await runner.run(attemptOf({ url }, controller.signal)))).toEqual(['HTTP_ABORTED', false]);
    expect(codeOf(await runner.run(attemptOf({ url }, controller.signal)))).toEqual(['HTTP_ABORTED', false]);
  });
});

describe('an address that is not public', () => {
  it('is refused by default, and the server is never asked', async () => {
    let asked = 0;
    const url = await servers.serve((_, response) => {
      asked += 1;
      response.end();
    });
    const outcome = await httpRunner({}).run(attemptOf({ url }));
    expect([codeOf(outcome), asked]).toEqual([['HTTP_ADDRESS_REFUSED', false], 0]);
  });

  it('is judged by what the name resolves to when connecting', async () => {
    const url = (await servers.serve((_, response) => response.end('in'))).replace('127.0.0.1', 'localhost');
    expect(await request({ url }, (ip) => ['127.0.0.1', '::1'].includes(ip))).toMatchObject({ ok: true });
    expect(codeOf(await request({ url }, () => false))).toEqual(['HTTP_ADDRESS_REFUSED', false]);
  });
});

describe('a redirect', () => {
  it('is followed five times and no further', async () => {
    const url = await servers.serve((message, response) => {
      const left = Number(message.url?.slice(1));
      if (left > 0) response.writeHead(302, { Location: `/${left - 1}` }).end();
      else response.end('there');
    });
    expect((await request({ url: `${url}/5` })).result?.['body']).toBe('there');
    expect(codeOf(await request({ url: `${url}/6` }))).toEqual(['HTTP_REDIRECT_REFUSED', false]);
  });

  it('is an answer when the plan expects its status', async () => {
    const url = await servers.serve((_, response) => response.writeHead(302, { Location: '/next' }).end());
    expect(await request({ url, expectStatus: [302] })).toMatchObject({
      ok: true,
      result: { status: 302, headers: { location: '/next' } },
    });
  });

  it.each<[number, string, string]>([
    [301, 'GET', ''],
    [302, 'GET', ''],
    [303, 'GET', ''],
    [307, 'POST', '{"a":1}'],
    [308, 'POST', '{"a":1}'],
  ])('%i of a POST becomes %s with the body %j', async (status, method, body) => {
    let seen: unknown;
    const url = await servers.serve(async (message, response) => {
      if (message.url === '/') response.writeHead(status, { Location: '/next' });
      else seen = [message.method, message.headers['content-type'], await bodyOf(message)];
      response.end();
    });
    await request({ url, method: 'POST', body: { a: 1 } });
    expect(seen).toEqual([method, body ? 'application/json' : undefined, body]);
  });
});

it('hands on how long the server wants to be left alone, with a failure only', async () => {
  const url = await servers.serve((message, response) => {
    response.writeHead(message.url === '/busy' ? 429 : 200, { 'retry-after': '7' }).end();
  });
  expect(await request({ url: `${url}/busy` })).toMatchObject({ ok: false, retryAfterMs: 7_000 });
  expect(await request({ url: `${url}/fine` })).not.toHaveProperty('retryAfterMs');
});

it('shows life with everything that comes of an answer', async () => {
  let beats = 0;
  const url = await servers.serve((_, response) => {
    response.write('one');
    setImmediate(() => response.end('two'));
  });
  const attempt = { ...attemptOf({ url }), heartbeat: { beat: () => (beats += 1), suspend: () => undefined } };
  await httpRunner({ allowAddress: () => true }).run(attempt);
  expect(beats).toBeGreaterThanOrEqual(2);
});
