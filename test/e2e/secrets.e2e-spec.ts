import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type Msg, type NatsConnection, connect } from '@nats-io/transport-node';
import type { NatsUser } from '#libs/jetstream';
import { eventually } from '#libs/testing';
import { type Platform, startPlatform } from './platform.js';

const executions = '/api/v1/executions';
const value = 'c0rrect/h0rse"battery+staple\\ä';
const second = 'an0ther-value-altogether';
/** What nobody may find: pieces of either value that are the same in several of their forms, and encoded ones. */
const needles = [
  'c0rrect',
  'battery',
  'an0ther-value',
  ...[value, second].flatMap((text) => [0, 1, 2].map((before) => Buffer.from('x'.repeat(before) + text).toString('base64').slice(4, 20))),
];

let platform: Platform;
let brokers: Readonly<Record<'gateway' | 'executor' | 'projector', NatsConnection>>;
let echo: Server;
beforeAll(async () => {
  platform = await startPlatform({ RUNLEDGER_LOG_LEVEL: 'debug', RUNLEDGER_HTTP_ALLOW: '127.0.0.1' });
  const as = (user: NatsUser): Promise<NatsConnection> => connect(platform.natsOptions(user));
  brokers = { gateway: await as('gateway'), executor: await as('executor'), projector: await as('projector') };
  echo = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const said = { authorization: request.headers.authorization, body: Buffer.concat(parts).toString() };
      const status = request.url === '/fails' ? 400 : 200;
      response.writeHead(status, { 'content-type': 'application/json', location: `/?a=${encodeURIComponent(value)}` }).end(JSON.stringify(said));
    });
  }).listen(0, '127.0.0.1');
  await once(echo, 'listening');
}, 60_000);
afterAll(async () => {
  echo.close();
  await Promise.all(Object.values(brokers).map((broker) => broker.close()));
  await platform.stop();
});

const call = async (method: string, path: string, body?: unknown, tenant = 'default'): Promise<{ status: number; text: string }> => {
  const headers = { 'x-tenant-id': tenant, ...(body !== undefined && { 'content-type': 'application/json' }) };
  const answer = await fetch(platform.url + path, { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) });
  return { status: answer.status, text: await answer.text() };
};

const store = (secret: string): Promise<{ status: number; text: string }> => call('PUT', '/api/v1/secrets/token', { value: secret });

/** Runs it to its end and returns its id. */
const run = async (tasks: readonly object[], tenant = 'default'): Promise<string> => {
  const { text } = await call('POST', executions, { plan: { name: 'secrets', tasks } }, tenant);
  const { id } = JSON.parse(text) as { id: string };
  const isOver = async (): Promise<boolean> => /"status":"(completed|failed)"/.test((await call('GET', `${executions}/${id}`, undefined, tenant)).text.split('"tasks"')[0]!);
  await eventually(isOver, { timeoutMs: 20_000, what: `${id} to end` });
  return id;
};

const read = async (id: string, what: string, tenant = 'default'): Promise<string> => (await call('GET', `${executions}/${id}/${what}`, undefined, tenant)).text;

const TOKEN = { $secret: 'token' };
const shell = (id: string, script: string, more: object = {}): object => ({ id, runner: 'command', input: { shell: 'sh', script, env: { TOKEN }, ...more } });

/** Every message of a stream, headers and all, read by a user who may. */
const messagesOf = async (stream: string): Promise<string> => {
  const broker = stream === 'FEED' ? brokers.projector : stream === 'KV_checkpoints' ? brokers.executor : brokers.gateway;
  const ask = async (call_: string, body: string): Promise<Msg> => await broker.request(`$JS.API.${call_}.${stream}`, body);
  const { state } = (await ask('STREAM.INFO', '')).json<{ state: { first_seq: number; last_seq: number } }>();
  const messages: string[] = [];
  for (let seq = state.first_seq; seq <= state.last_seq; seq++) {
    if (stream === 'LOGS') {
      const { headers, data } = await ask('DIRECT.GET', JSON.stringify({ seq }));
      messages.push(...[...(headers ?? [])].flat(2), Buffer.from(data).toString('latin1'));
      continue;
    }
    const { message } = (await ask('STREAM.MSG.GET', JSON.stringify({ seq }))).json<{ message?: { subject: string; data?: string; hdrs?: string } }>();
    if (message) messages.push(message.subject, ...[message.hdrs, message.data].map((part = '') => Buffer.from(part, 'base64').toString('latin1')));
  }
  return messages.join('\n');
};

const filesBelow = (folder: string): readonly string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));

it('a secret reaches the commands and requests that refer to it, and is seen nowhere else', async () => {
  expect(statSync(join(platform.home, 'secrets.key')).mode & 0o777).toBe(0o600);
  const answers = [await store(second), await store(value)];
  expect(answers.map(({ status }) => status)).toEqual([201, 200]);
  const url = `http://127.0.0.1:${(echo.address() as AddressInfo).port}`;
  const headers = { Authorization: { $join: ['Bearer ', TOKEN] } };
  const header = (path: string): object => ({ url: url + path, method: 'POST', headers, body: { deep: [TOKEN] } });
  const http = ['/', '/fails'].map((path, index) => ({ id: `http${index}`, runner: 'http', onFailure: 'continue', input: header(path) }));
  const id = await run([
    ...http,
    shell('echoes', 'echo "$TOKEN"; echo "<$TOKEN>" >&2; printf %s "$TOKEN" | base64; printf %s "x$TOKEN" | base64; cat', { stdin: { $join: ['in: ', TOKEN] } }),
    shell('piecemeal', 'printf %.9s "$TOKEN"; sleep 0.2; printf %s "${TOKEN#?????????}"; echo'),
    shell('hashes', 'printf %s "$TOKEN" | sha256sum'),
    shell('marks', 'echo "STEP_START:use $TOKEN key=$TOKEN"; echo "STEP_ERROR:no $TOKEN"', { markers: true }),
    { ...shell('fails', 'echo "what is $TOKEN" >&2; exit 3'), onFailure: 'continue' },
  ]);

  // A stream each: between two pieces of one may stand one of the other.
  expect(await read(id, 'output?format=raw&task=echoes&stream=stderr')).toBe('<***>\n');
  const output = await read(id, 'output?format=raw&task=echoes&stream=stdout');
  const lines = output.trimEnd().split('\n');
  expect(lines).toHaveLength(4);
  expect(lines).toEqual(expect.arrayContaining(['***', 'in: ***', expect.stringMatching(/^eG\*\*\*.{0,4}$/)]));
  expect(await read(id, 'output?format=raw&task=piecemeal')).toBe('***\n');
  expect(await read(id, 'output?format=raw&task=hashes')).toBe(`${createHash('sha256').update(value).digest('hex')}  -\n`);
  const tasks = await read(id, 'tasks');
  expect(tasks).toContain('"stderrTail":"what is ***\\n"');
  expect(tasks).toContain('"name":"use ***"');
  expect(tasks).toContain('"authorization":"Bearer ***"');
  expect(tasks).toContain('HTTP_STATUS');

  // Everything the API, the broker and the apps have of it.
  for (const what of ['', '/tasks', '/events', '/why', '/output', '/output?format=raw']) answers.push(await call('GET', `${executions}/${id}${what}`));
  answers.push(await call('GET', '/api/v1/secrets'), await call('GET', executions));
  const places = new Map(answers.map(({ text }, index) => [`answer ${index}`, text]));
  await eventually(async () => (await messagesOf('FEED')).includes(`events.default.${id}.execution.completed`), { what: 'the feed to have the end' });
  for (const stream of ['LOG', 'FEED', 'LOGS', 'KV_secrets', 'KV_checkpoints', 'KV_members']) places.set(stream, await messagesOf(stream));
  for (const stream of ['LOG', 'FEED', 'LOGS']) expect(places.get(stream)).toContain('***');
  expect(places.get('LOG')).toContain('{"$secret":"token"}');
  expect(places.get('KV_secrets')).toContain('$KV.secrets.default.token');
  const files = filesBelow(platform.home);
  expect(files.filter((file) => file.endsWith('.log')).length).toBeGreaterThanOrEqual(4);
  for (const file of files) places.set(file, readFileSync(file).toString('latin1'));
  expect(places.get(join(platform.home, 'logs/gateway.log'))).toContain('/api/v1/secrets/token');
  const found = [...places].flatMap(([place, text]) => needles.filter((needle) => text.includes(needle)).map((needle) => `${needle} in ${place}`));
  expect(found).toEqual([]);
}, 90_000);

it('stands in no process list while the command that has it runs', async () => {
  await store(value);
  const { text } = await call('POST', executions, { plan: { name: 'secrets', tasks: [shell('waits', 'sleep 61.7', { stdin: TOKEN })] } });
  await eventually(() => platform.processes().some(({ command }) => command === 'sleep 61.7'), { what: 'the command to run' });
  const commands = readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`).toString('latin1');
    } catch {
      return '';
    }
  });
  expect(commands.some((command) => command.includes('61.7'))).toBe(true);
  expect(commands.filter((command) => needles.some((needle) => command.includes(needle)))).toEqual([]);
  const { id } = JSON.parse(text) as { id: string };
  expect((await call('POST', `${executions}/${id}/cancel`)).status).toBe(200);
  await eventually(async () => (await call('GET', `${executions}/${id}`)).text.includes('"status":"cancelled"'), { what: 'the command to end' });
}, 60_000);

it('an attempt fails for good where its tenant has no such secret, whoever else has', async () => {
  await store(value);
  const attempt = { ...shell('late', 'echo never'), retry: { maxAttempts: 3 } };
  const id = await run([attempt], 'other');
  const tasks = await read(id, 'tasks', 'other');
  expect(JSON.parse(tasks)).toMatchObject({
    tasks: [{ status: 'failed', attempt: 1, error: { code: 'SECRET_UNKNOWN', message: expect.stringContaining('token') as string, retryable: false } }],
  });
  expect(await read(id, 'output?format=raw', 'other')).toBe('');
  expect(await call('DELETE', '/api/v1/secrets/token', undefined, 'other')).toMatchObject({ status: 404 });
}, 60_000);

it('what is stored outlives everything but its key', async () => {
  await store(value);
  await platform.killAndAwaitReturn('executor/src/main.js');
  await platform.killAndAwaitReturn('gateway/src/main.js');
  await eventually(async () => (await platform.get('/readyz').catch(() => undefined))?.status === 200, { timeoutMs: 30_000, what: 'the gateway to be back' });
  const id = await run([shell('hashes', 'printf %s "$TOKEN" | sha256sum')]);
  expect(await read(id, 'output?format=raw')).toContain(createHash('sha256').update(value).digest('hex'));
}, 90_000);
