import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import { type Platform, startPlatform } from './platform.js';
import { untilStatus } from './until-status.js';

const executions = '/api/v1/executions';
const noop = { id: 'a', runner: 'noop' };
const plan = { name: 'plan', tasks: [noop] };
const MIB = 1024 * 1024;

let platform: Platform;
beforeAll(async () => {
  platform = await startPlatform();
}, 60_000);
afterAll(() => platform.stop());

type Answer = { readonly status: number; readonly head: string; readonly body: Record<string, unknown> };

/** One request as these very bytes: no client mends what is wrong with it. */
const send = (method: string, path: string, headers: readonly string[] = [], body: string | Uint8Array = ''): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const { hostname, port, host } = new URL(platform.url);
    const bytes = Buffer.from(body);
    const length = method === 'POST' ? [`Content-Length: ${bytes.length}`] : [];
    const head = [`${method} ${path} HTTP/1.1`, `Host: ${host}`, ...length, ...headers].join('\r\n');
    let answer = Buffer.alloc(0);
    const socket = connect(Number(port), hostname, () => socket.write(Buffer.concat([Buffer.from(`${head}\r\n\r\n`), bytes])));
    socket.on('data', (piece: Buffer) => {
      answer = Buffer.concat([answer, piece]);
      const end = answer.indexOf('\r\n\r\n');
      const headOfAnswer = answer.subarray(0, Math.max(0, end)).toString();
      const text = answer.subarray(end + 4);
      if (end < 0 || text.length < Number(/^content-length: (\d+)/im.exec(headOfAnswer)?.[1])) return;
      socket.destroy();
      const status = Number(/^HTTP\/1.1 (\d+)/.exec(headOfAnswer)?.[1]);
      resolve({ status, head: headOfAnswer, body: JSON.parse(text.toString()) as Record<string, unknown> });
    });
    socket.on('error', reject);
    socket.on('end', () => reject(new Error(`the answer ended early: ${answer.toString().slice(0, 500)}`)));
  });

type Row = readonly [what: string, send: () => Promise<Answer>, status: number, code: string, path?: string];

const json = 'Content-Type: application/json';
const post = (body: unknown, ...headers: string[]) => (): Promise<Answer> =>
  send('POST', executions, headers.some((header) => /^content-type/i.test(header)) ? headers : [json, ...headers], typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body));
const get = (path: string, ...headers: string[]) => (): Promise<Answer> => send('GET', path, headers);
const withTask = (more: object, ...others: object[]) => post({ plan: { name: 'plan', tasks: [{ ...noop, ...more }, ...others] } });

const bodies: readonly Row[] = [
  ['an empty body', post(''), 400, 'BODY_EMPTY'],
  ['a body that is cut off', post('{"plan":'), 400, 'BODY_NOT_JSON'],
  ['an array at the top', post('[]'), 400, 'BODY_INVALID'],
  ['a text at the top', post('"plan"'), 400, 'BODY_INVALID'],
  ['a __proto__ key', post('{"__proto__":{"a":1}}'), 400, 'BODY_INVALID'],
  ['a __proto__ key deep inside', post('{"plan":{"name":"x","tasks":[{"id":"a","runner":"noop","input":{"__proto__":{"a":1}}}]}}'), 400, 'BODY_INVALID'],
  ['a constructor.prototype key', post('{"constructor":{"prototype":{"a":1}}}'), 400, 'BODY_INVALID'],
  ['10,000 levels', post(`${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`), 400, 'BODY_INVALID'],
  ['10,000 levels that never end', post('['.repeat(10_000)), 400, 'BODY_NOT_JSON'],
  ['an unknown field', post({ plan, colour: 1 }), 400, 'BODY_INVALID', '/colour'],
  ['a key given twice', post('{"plan":1,"plan":2}'), 400, 'BODY_INVALID'],
  ['1e400', post('{"plan":{"name":"x","tasks":[{"id":"a","runner":"noop","input":{"result":{"n":1e400}}}]}}'), 400, 'PLAN_INVALID', '/plan/tasks/0/input/result/n'],
  ['NaN', post('{"plan":{"name":"x","timeoutMs":NaN,"tasks":[]}}'), 400, 'BODY_NOT_JSON'],
  ['a text that is no UTF-8', post(Uint8Array.of(0x7b, 0xff, 0x7d)), 400, 'BODY_NOT_JSON'],
  ['half a character', post('{"plan":{"name":"\\ud800","tasks":[{"id":"a","runner":"noop"}]}}'), 400, 'BODY_INVALID'],
  ['a NUL in a name', post({ plan, name: 'a\0b' }), 400, 'BODY_INVALID', '/name'],
  ['a NUL as it is', post('{"plan":\0}'), 400, 'BODY_NOT_JSON'],
  ['a label with a line break', post({ plan, labels: { a: 'b\r\nc' } }), 400, 'BODY_INVALID', '/labels/a'],
  ['200,000 keys', post({ plan, input: Object.fromEntries(Array.from({ length: 200_000 }, (_, i) => [`k${i}`, 1])) }), 400, 'BODY_INVALID'],
  ['one byte over the limit', post(' '.repeat(8 * MIB + 1)), 413, 'BODY_TOO_LARGE'],
  ['more than a commit holds', post({ plan, input: { text: 'x'.repeat(300_000) } }), 413, 'PLAN_TOO_LARGE'],
  ['a bomb of gzip', post(gzipSync(Buffer.alloc(64 * MIB, ' ')), 'Content-Encoding: gzip'), 413, 'BODY_TOO_LARGE'],
  ['gzip that is none', post('{}', 'Content-Encoding: gzip'), 400, 'BODY_NOT_JSON'],
  ['gzip that ends early', post(gzipSync('{"plan":{}}').subarray(0, 20), 'Content-Encoding: gzip'), 400, 'BODY_NOT_JSON'],
  ['another compression', post('{}', 'Content-Encoding: br'), 415, 'ENCODING_UNSUPPORTED'],
  ['XML', post('<a/>', 'Content-Type: text/xml'), 415, 'MEDIA_TYPE_UNSUPPORTED'],
  ['a form', post('plan=1', 'Content-Type: application/x-www-form-urlencoded'), 415, 'MEDIA_TYPE_UNSUPPORTED'],
  ['JSON posing as an upload', post('{}', 'Content-Type: multipart/form-data; boundary=x'), 415, 'MEDIA_TYPE_UNSUPPORTED'],
  ['JSON posing as text', post('{}', 'Content-Type: text/plain'), 415, 'MEDIA_TYPE_UNSUPPORTED'],
];

const ids: readonly Row[] = (
  [
    ['a.b', 'a.b'],
    ['*', '*'],
    ['>', '%3E'],
    ['a blank', '%20'],
    ['CRLF', '%0d%0aX-Evil:%201'],
    ['65 characters', 'x'.repeat(65)],
    ['5,000 characters', 'x'.repeat(5_000)],
    ['..', '..'],
    ['%2e%2e%2f', '%2e%2e%2f'],
    ['%2e%2e%2fx', '%2e%2e%2fx'],
    ['letters that look alike', '%D0%B0bc'],
    ['$JS', '$JS'],
    ['NUL', '%00'],
  ] as const
).flatMap(([what, id]): Row[] => [
  [`${what} as id of a read`, get(`${executions}/${id}`), 400, 'ID_INVALID'],
  [`${what} as id of a command`, () => send('POST', `${executions}/${id}/cancel`), 400, 'ID_INVALID'],
]);

const tenants: readonly Row[] = [
  ...['a.b', '*', '>', '', 'x'.repeat(65), 'x'.repeat(5_000), '..', '%2e%2e%2f', '\u0430cme', '$JS', 'a b'].map(
    (tenant): Row => [`tenant ${JSON.stringify(tenant.slice(0, 70))}`, get(executions, `X-Tenant-ID: ${tenant}`), 400, 'TENANT_INVALID'],
  ),
  ['two tenants', get(executions, 'X-Tenant-ID: a', 'X-Tenant-ID: b'), 400, 'TENANT_INVALID'],
  ['20 KiB of headers', get(executions, `X-Long: ${'x'.repeat(20_480)}`), 431, 'HEADERS_TOO_LARGE'],
  ['an id that is not there', get(`${executions}/nobody/events`), 404, 'EXECUTION_NOT_FOUND'],
  ['a command to what is not there', () => send('POST', `${executions}/nobody/pause`), 404, 'EXECUTION_NOT_FOUND'],
  ['a broken escape', get(`${executions}/%zz`), 400, 'URL_INVALID'],
  ['a route that is none', get('/api/v1/nothing'), 404, 'ROUTE_NOT_FOUND'],
  ['an unknown mode', () => send('POST', `${executions}/x/cancel`, [json], '{"mode":"gently"}'), 400, 'BODY_INVALID', '/mode'],
  ['an unknown query parameter', get(`${executions}?sort=name`), 400, 'QUERY_INVALID', '?sort'],
  ['a limit of 0', get(`${executions}?limit=0`), 400, 'QUERY_INVALID', '?limit'],
  ['a time that is none', get(`${executions}?from=yesterday`), 400, 'QUERY_INVALID', '?from'],
  ['30 February', get(`${executions}?until=2026-02-30T00:00:00Z`), 400, 'QUERY_INVALID', '?until'],
];

const tasks = '/plan/tasks';
const plans: readonly Row[] = [
  ['no plan', post('{}'), 400, 'PLAN_INVALID', '/plan'],
  ['an empty plan', post({ plan: {} }), 400, 'PLAN_INVALID', '/plan/name'],
  ['a plan without tasks', post({ plan: { name: 'plan', tasks: [] } }), 400, 'PLAN_INVALID', tasks],
  ['a cycle of one', withTask({ dependsOn: ['a'] }), 400, 'PLAN_INVALID', `${tasks}/0/dependsOn`],
  ['a cycle of two', withTask({ dependsOn: ['b'] }, { id: 'b', runner: 'noop', dependsOn: ['a'] }), 400, 'PLAN_INVALID', `${tasks}/0/dependsOn`],
  ['an unknown dependency', withTask({ dependsOn: ['nobody'] }), 400, 'PLAN_INVALID', `${tasks}/0/dependsOn/0`],
  ['an id given twice', withTask({}, noop), 400, 'PLAN_INVALID', `${tasks}/1/id`],
  ['an id that is none', withTask({ id: 'a.b' }), 400, 'PLAN_INVALID', `${tasks}/0/id`],
  ['100,001 tasks', post({ plan: { name: 'plan', tasks: Array.from({ length: 100_001 }, (_, i) => ({ id: `t${i}`, runner: 'noop' })) } }), 400, 'PLAN_INVALID', tasks],
  ['an unknown runner', withTask({ runner: 'teleport' }), 400, 'PLAN_INVALID', `${tasks}/0/runner`],
  ['a command without argv', withTask({ runner: 'command' }), 400, 'PLAN_INVALID', `${tasks}/0/input`],
  ['a timeout of 0', withTask({ timeoutMs: 0 }), 400, 'PLAN_INVALID', `${tasks}/0/timeoutMs`],
  ['a timeout that is no number', withTask({ timeoutMs: 'NaN' }), 400, 'PLAN_INVALID', `${tasks}/0/timeoutMs`],
  ['-1 attempts', withTask({ retry: { maxAttempts: -1 } }), 400, 'PLAN_INVALID', `${tasks}/0/retry/maxAttempts`],
  ['a wait until nothing', withTask({ runner: 'wait', input: { until: 'soon' } }), 400, 'PLAN_INVALID', `${tasks}/0/input/until`],
];

it('answers what no client should send with what is wrong and where, and lives on', async () => {
  const before = platform.processes();
  expect(before.length).toBeGreaterThanOrEqual(5);
  const own = String((await platform.post(executions, { plan })).body['id']);
  const strangers: readonly Row[] = [
    ['the id of another tenant', get(`${executions}/${own}`, 'X-Tenant-ID: other'), 404, 'EXECUTION_NOT_FOUND'],
    ['a command to the id of another tenant', () => send('POST', `${executions}/${own}/cancel`, ['X-Tenant-ID: other']), 404, 'EXECUTION_NOT_FOUND'],
  ];
  const wrong: string[] = [];
  for (const [what, request, status, code, path] of [...bodies, ...ids, ...tenants, ...strangers, ...plans]) {
    const answer = await request();
    const problems = (answer.body['problems'] ?? []) as readonly { readonly path: string }[];
    const isAsExpected =
      answer.status === status &&
      answer.body['code'] === code &&
      answer.body['status'] === status &&
      String(answer.body['detail']).length > 10 &&
      /^content-type: application\/problem\+json/im.test(answer.head) &&
      !/^x-evil/im.test(answer.head) &&
      (path === undefined || problems.some((problem) => problem.path === path));
    if (!isAsExpected) wrong.push(`${what}: expected ${status} ${code} ${path ?? ''}, got ${answer.head} ${JSON.stringify(answer.body).slice(0, 400)}`);
  }
  expect(wrong).toEqual([]);
  expect(platform.processes()).toEqual(before);
  const { body } = await platform.post(executions, { plan });
  await untilStatus(platform, String(body['id']), 'completed', 10_000);
}, 60_000);
