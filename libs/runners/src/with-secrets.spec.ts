import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import type { RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JsonObject } from '#libs/contracts';
import { SecretError } from '#libs/secrets';
import { HttpServers } from '#libs/testing';
import type { CommandPolicy } from './command-policy.js';
import { createRunners } from './index.js';
import type { Attempt, Outcome, OutputChunk, Runner, StepReport } from './runner.js';
import { withSecrets } from './with-secrets.js';

const token = 'tok/en+"wörd"-0123456789';
const stored: Readonly<Record<string, string>> = { token, other: 'another-secret', 'with-break': 'first\nsecond', huge: 'x'.repeat(70_000) };
const asked: string[] = [];
const source = (tenant: string, names: readonly string[]): Promise<ReadonlyMap<string, string>> => {
  asked.push(`${tenant}: ${names.join(', ')}`);
  const missing = names.find((name) => stored[name] === undefined);
  if (missing !== undefined) return Promise.reject(new SecretError('SECRET_UNKNOWN', `no secret ${missing}`));
  return Promise.resolve(new Map(names.map((name) => [name, stored[name]!])));
};

let root: string;
let runners: ReadonlyMap<string, Runner>;
const policyOf = (): CommandPolicy => ({ roots: [root], readable: [], network: 'never', limits: {} });
const servers = new HttpServers();
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'runners-'));
  const options = { incarnation: randomUUID(), policyOf, workRoot: join(root, 'work'), graceMs: 200 };
  runners = createRunners({ ...options, allowAddress: (ip) => ip === '127.0.0.1', secrets: source });
});
beforeEach(() => void asked.splice(0));
afterEach(() => servers.stop());
afterAll(() => rm(root, { recursive: true, force: true }));

type Seen = { readonly outcome: Outcome; readonly steps: readonly StepReport[]; readonly output: string; readonly all: string };

async function see(runner: Runner, input: JsonObject, changes: Partial<Attempt> = {}): Promise<Seen> {
  const chunks: OutputChunk[] = [];
  const steps: StepReport[] = [];
  const outcome = await runner.run({
    ref: { tenant: 'acme', execution: randomUUID() },
    taskId: 'build',
    attempt: 1,
    input,
    executionInput: {},
    idempotencyKey: 'run/build',
    signal: new AbortController().signal,
    output: (chunk) => Promise.resolve(void chunks.push(chunk)),
    step: (report) => void steps.push(report),
    ...changes,
  });
  const output = Buffer.concat(chunks.map(({ bytes }) => bytes)).toString();
  return { outcome, steps, output, all: JSON.stringify({ outcome, steps }) + output };
}

const shell = (script: string, more: JsonObject = {}): Promise<Seen> =>
  see(runners.get('command')!, { shell: 'sh', script, env: { TOKEN: { $secret: 'token' } }, ...more });

const request = (url: string, more: JsonObject = {}): Promise<Seen> =>
  see(runners.get('http')!, { url, headers: { Authorization: { $join: ['Bearer ', { $secret: 'token' }] } }, ...more });

const textOf = async (message: Parameters<RequestListener>[0]): Promise<string> => {
  let body = '';
  for await (const part of message.setEncoding('utf8') as AsyncIterable<string>) body += part;
  return body;
};

const errorOf = ({ outcome }: Seen): unknown => (outcome.ok ? 'ok' : [outcome.error.code, outcome.error.retryable, outcome.error.message]);

describe('a command', () => {
  it('has its secrets in its environment and on standard input, from the tenant of its execution', async () => {
    const { output, outcome } = await shell('printf %s "$TOKEN" | wc -c; wc -c', { stdin: { $join: ['<', { $secret: 'token' }, '>'] } });
    const length = Buffer.byteLength(token);
    expect(output.split(/\s+/)).toEqual([String(length), String(length + 2), '']);
    expect(outcome.ok).toBe(true);
    expect(asked).toEqual(['acme: token']);
  });

  it('shows *** on both streams, also where it writes byte by byte or encoded', async () => {
    const { all, output } = await shell(
      'echo "$TOKEN"; echo "<$TOKEN>" >&2; printf %s "$TOKEN" | base64; ' +
        'i=0; for c in $(printf %s "$TOKEN" | fold -w1 | head -c 400); do printf %s "$c"; sleep 0.002; done; echo; echo plain',
    );
    expect(output.split('\n').toSorted()).toEqual(['', '***', '***', '***', '<***>', 'plain']);
    expect(all).not.toContain('tok/en');
  });

  it('names no secret in steps, nor in the tail of standard error of its failure, wherever that is cut', async () => {
    const filler = 2048 - Math.floor(Buffer.byteLength(token) / 2);
    const { steps, outcome, all } = await shell(
      `echo "STEP_START:use $TOKEN key=$TOKEN"; echo "STEP_ERROR:not $TOKEN"; printf %s "$TOKEN" >&2; head -c ${filler} /dev/zero | tr '\\0' . >&2; exit 3`,
      { markers: true },
    );
    expect(steps).toEqual([
      { kind: 'started', name: 'use ***', metadata: { key: '***' } },
      { kind: 'failed', error: 'not ***' },
    ]);
    expect(outcome).toMatchObject({ ok: false, error: { code: 'COMMAND_EXITED' }, result: { stderrTail: `***${'.'.repeat(filler)}` } });
    expect(all).not.toContain(token.slice(-8));
  });

  it('keeps its output within its limit without showing the beginning of a secret at the cut', async () => {
    const { output, all } = await shell('printf 0123456789; echo "$TOKEN"', { maxOutputBytes: 12 });
    expect(output).toBe('0123456789**[runledger] output truncated after 12 bytes\n');
    expect(all).not.toContain('tok');
  });

  it('has nothing kept back of its last words', async () => {
    expect((await shell('printf %s tok/en+')).output).toBe('tok/en+');
  });

  it('passes every byte that is no secret', async () => {
    const { output } = await shell('head -c 200000 /dev/zero | tr "\\0" t', {});
    expect(output).toBe('t'.repeat(200_000));
  });

  it('does not start with a secret that an environment can not hold', async () => {
    const seen = await see(
      withSecrets(runners.get('command')!, () => Promise.resolve(new Map([['nul', 'ab\0cd']]))),
      { argv: ['true'], env: { A: { $secret: 'nul' } } },
    );
    expect(errorOf(seen)).toEqual(['INPUT_INVALID', false, '/env/A must not contain a NUL character']);
  });
});

describe('a request', () => {
  it('carries secrets in headers and body', async () => {
    const got: unknown[] = [];
    const url = await servers.serve(async (message, response) => {
      got.push([message.headers.authorization, message.headers['content-type'], await textOf(message)]);
      response.end();
    });
    await request(url, { method: 'POST', body: { login: { password: { $secret: 'other' } } } });
    await request(url, { method: 'POST', body: { $join: ['password=', { $secret: 'other' }] } });
    expect(got).toEqual([
      [`Bearer ${token}`, 'application/json', '{"login":{"password":"another-secret"}}'],
      [`Bearer ${token}`, 'text/plain; charset=utf-8', 'password=another-secret'],
    ]);
  });

  it.each([
    ['JSON', 'application/json', (): string => JSON.stringify({ [token]: [`Bearer ${token}`], n: 1 }), { '***': ['Bearer ***'], n: 1 }],
    ['JSON that escapes what it need not', 'application/json', (): string => '{"a":"\\u0074ok/en+\\"w\\u00F6rd\\"-0123456789"}', { a: '***' }],
    ['text', 'text/plain', (): string => `you said ${token}`, 'you said ***'],
    ['base64', 'text/plain', (): string => Buffer.from(token).toString('base64'), '***'],
  ])('that is echoed as %s is answered without them', async (_what, type, body, shown) => {
    const url = await servers.serve((_message, response) => response.writeHead(200, { 'content-type': type, location: `/${encodeURIComponent(token)}` }).end(body()));
    const { outcome, all } = await request(url);
    expect(outcome).toMatchObject({ ok: true, result: { body: shown, headers: { location: '/***' } } });
    expect(all).not.toContain('0123456789');
  });

  it('shows no beginning of a secret where the answer is cut', async () => {
    const url = await servers.serve((_message, response) => response.end(`0123 ${token}`));
    const { outcome } = await request(url, { maxResponseBytes: 12 });
    expect(outcome).toMatchObject({ result: { body: '0123 ', truncated: true } });
  });

  it('takes no secret to another origin, be it in whatever header', async () => {
    const got: unknown[] = [];
    const elsewhere = await servers.serve((message, response) => {
      got.push([message.headers['x-key'], message.headers['user-agent'], message.headers['accept-language']]);
      response.end();
    });
    const url = await servers.serve((message, response) =>
      response.writeHead(message.url === '/' ? 302 : 307, { location: message.url === '/' ? '/again' : elsewhere }).end(),
    );
    await request(url, { headers: { 'X-Key': { $secret: 'other' }, 'User-Agent': { $secret: 'other' }, 'Accept-Language': 'fi' } });
    expect(got).toEqual([[undefined, undefined, 'fi']]);
    expect(errorOf(await request(`${url}/again`, { method: 'POST', body: { $secret: 'other' } }))).toEqual([
      'HTTP_REDIRECT_REFUSED',
      false,
      expect.stringContaining('would be sent the secrets in the body'),
    ]);
    expect(got).toHaveLength(1);
  });

  it('is not sent with a secret that would start another header', async () => {
    const seen = await request('http://127.0.0.1:1/', { headers: { 'X-Key': { $secret: 'with-break' } } });
    expect(errorOf(seen)).toEqual(['INPUT_INVALID', false, expect.stringMatching(/^\/headers\/X-Key must be printable Latin-1/)]);
    expect(seen.all).not.toContain('first');
  });
});

describe('an attempt', () => {
  it('fails for good when a secret is not there, and names it', async () => {
    const { outcome } = await shell('echo never', { env: { A: { $secret: 'gone' } } });
    expect(outcome).toEqual({ ok: false, error: { code: 'SECRET_UNKNOWN', message: 'no secret gone', retryable: false } });
  });

  it('fails with what to do when nobody can read secrets', async () => {
    const without = createRunners({ incarnation: 'x', policyOf, workRoot: join(root, 'work') }).get('command')!;
    const seen = await see(without, { argv: ['true'], env: { A: { $secret: 'token' } } });
    expect(errorOf(seen)).toEqual(['SECRETS_KEY_MISSING', false, expect.stringContaining('RUNLEDGER_SECRETS_KEY_FILE')]);
  });

  it('has 64 KiB of secrets at most', async () => {
    expect(errorOf(await shell('true', { env: { A: { $secret: 'huge' } } }))).toEqual([
      'SECRETS_TOO_LARGE',
      false,
      "this task's secrets have 70000 bytes; at most 65536 are allowed",
    ]);
  });

  it('asks for nothing where its input refers to nothing, or to a secret where none may stand', async () => {
    await see(runners.get('command')!, { argv: ['true'] });
    expect(errorOf(await see(runners.get('command')!, { argv: ['echo', { $secret: 'token' }], env: { A: { $secret: 'token' } } }))).toEqual([
      'INPUT_INVALID',
      false,
      expect.stringContaining('/argv/1 can not hold a secret'),
    ]);
    expect(asked).toEqual([]);
  });

  it('that is stopped waits no longer for secrets that do not come', async () => {
    const controller = new AbortController();
    const waiting = withSecrets(runners.get('command')!, () => new Promise(() => undefined));
    const seen = see(waiting, { argv: ['true'], env: { A: { $secret: 'token' } } }, { signal: controller.signal });
    controller.abort();
    expect(errorOf(await seen)).toEqual(['SECRETS_ABORTED', false, 'stopped on request, before its secrets were there']);
  });

  it('keeps its shape whatever a secret is spelled like, and its secrets out of what a broken runner throws', async () => {
    const echoing: Runner = {
      name: 'echoing',
      sideEffects: true,
      check: () => [],
      run: ({ input, step }) => {
        step({ kind: 'started', name: 'started', metadata: { error: 'error' } });
        if (input['throws']) throw new Error(`a bug: ${JSON.stringify(input['throws'])}`, { cause: input });
        return { ok: false, error: { code: 'error', message: 'error', retryable: false }, result: { error: ['error'] } };
      },
    };
    const runner = withSecrets(echoing, () => Promise.resolve(new Map([['word', 'error'], ['kind', 'started']])));
    expect(await see(runner, { a: { $secret: 'word' }, b: { $secret: 'kind' } })).toMatchObject({
      outcome: { ok: false, error: { code: 'error', message: '***', retryable: false }, result: { error: ['***'] } },
      steps: [{ kind: 'started', name: '***', metadata: { error: '***' } }],
    });
    const thrown = await see(runner, { throws: { $secret: 'word' } }).catch((error: unknown) => error as Error);
    expect(thrown).toMatchObject({ message: 'Error: a bug: "***"' });
    expect((thrown as Error).cause).toBeUndefined();
  });
});
