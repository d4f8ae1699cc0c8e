import type { JsonObject } from '#libs/contracts';
import { runnerInputs } from './index.js';

const problems = (runner: string, input: JsonObject): readonly string[] =>
  runnerInputs.get(runner)!(input).map(({ path, message }) => `${path}: ${message}`);

const noSecret =
  'can not hold a secret, as others could see it here; secrets are taken in env and stdin of a command, in headers and body of a request';

it('knows the input of every runner a plan may name', () => {
  expect([...runnerInputs.keys()]).toEqual(['noop', 'wait', 'signal', 'approval', 'event', 'execution', 'command', 'http']);
});

it.each<[string, JsonObject]>([
  ['noop', {}],
  ['noop', { result: { a: [1] } }],
  ['wait', { durationMs: 0 }],
  ['signal', { name: 'go_1-a' }],
  ...['>', '*.>', 'x1.task.>', '*.execution.completed', 'x1.task.*'].map((subject): [string, JsonObject] => ['event', { subject, match: { taskId: 'a' } }]),
  ['approval', { title: 'Go?' }],
  ['approval', { title: 'Go?', approvers: ['user:ada', 'key:k1'], required: 'all', expiresInMs: 1, onExpiry: 'fail', delegable: true }],
  ['approval', { title: 'Go?', approvers: ['role:approver', 'user:*'], required: 3 }],
  ['wait', { durationMs: 366 * 86_400_000 }],
  ['wait', { until: '2026-11-20T12:00:00Z' }],
  ['wait', { until: '2028-02-29T23:59:59.123456+05:30' }],
  ['command', { argv: ['ls', ''] }],
  ['command', { shell: 'bash', script: 'exit 1', successExitCodes: [0, 1], env: { A: '${B}' } }],
  ['command', { argv: ['a'], cwd: 'a/b', markers: true }],
  ['command', { argv: ['x'], stdin: '', graceMs: 0, maxOutputBytes: 0 }],
  ['http', { url: 'https://example.org/' }],
  ['http', { url: 'http://[::1]:80/', method: 'POST', body: null, headers: { 'X-Key': 'é' }, expectStatus: [302] }],
  ['command', { argv: ['a'], env: { A: { $secret: 'a' } }, stdin: { $join: ['x', { $secret: 'b' }] } }],
  ['http', { url: 'https://example.org/', method: 'PUT', headers: { Authorization: { $join: ['Bearer ', { $secret: 'a' }] } }, body: { $secret: 'b' } }],
  ['http', { url: 'https://example.org/', method: 'PUT', body: { user: 'ada', keys: [{ $secret: 'b' }] } }],
])('%s takes %j', (runner, input) => {
  expect(problems(runner, input)).toEqual([]);
});

it.each<[string, JsonObject, readonly string[]]>([
  ['noop', { result: [1] }, ['/result: must be an object']],
  ['noop', { resul: {} }, ['/resul: unknown field; allowed: result']],
  ['noop', JSON.parse('{"__proto__":1,"a/b~c":1}') as JsonObject, [
    '/__proto__: unknown field; allowed: result',
    '/a~1b~0c: unknown field; allowed: result',
  ]],
  ['approval', {}, ['/title: is required']],
  ['approval', { title: 'Go?', approvers: ['ada', 'role:*', 'user:a b'] }, [0, 1, 2].map((i) => `/approvers/${i}: must be an actor (user:ada, key:<id>), a prefix of actors (user:*), or a role (role:approver)`)],
  ['approval', { title: 'Go?', required: 'most' }, ['/required: must be "any", "all", or an integer from 1 to 100']],
  ...[{}, { approvers: ['role:approver'] }, { approvers: ['user:ada', 'user:ada'] }].map((given): [string, JsonObject, readonly string[]] => [
    'approval',
    { title: 'Go?', required: 'all', ...given },
    ['/required: "all" needs approvers, each a person of their own: who all is can not be told of roles and prefixes'],
  ]),
  ['approval', { title: 'Go?', approvers: ['user:ada'], required: 2 }, ['/required: asks for 2 approvals of 1 approvers, each of whom answers once']],
  ['approval', { title: 'Go?', onExpiry: 'fail' }, ['/onExpiry: needs expiresInMs']],
  ...['', '*', '*.task', '>.task', 'a.b.c.d', 'a..b', 'events.acme.x.task.>', 'a b.task.*'].map((subject): [string, JsonObject, readonly string[]] => [
    'event',
    { subject },
    ['/subject: must be <execution>.<entity>.<verb>, with * for one of them or > for the rest, such as *.execution.completed'],
  ]),
  ['signal', {}, ['/name: is required']],
  ['signal', { name: 'a.b' }, ['/name: must match ^[A-Za-z0-9_-]{1,64}$']],
  ['wait', {}, [': needs exactly one of durationMs and until']],
  ['wait', { durationMs: 1, until: '2026-11-20T12:00:00Z' }, [': needs exactly one of durationMs and until']],
  ['wait', { durationMs: -1 }, ['/durationMs: must be an integer from 0 to 31622400000']],
  ['wait', { durationMs: 1.5 }, ['/durationMs: must be an integer from 0 to 31622400000']],
  ['wait', { durationMs: 31622400001 }, ['/durationMs: must be an integer from 0 to 31622400000']],
  ...['2026-11-20', '2026-11-20T12:00:00', '2026-02-30T12:00:00Z', '2026-11-20T25:00:00Z', 'tomorrow', 5].map(
    (until): [string, JsonObject, readonly string[]] => [
      'wait',
      { until },
      ['/until: must be an RFC 3339 time with its zone, such as 2026-11-20T12:00:00Z'],
    ],
  ),
  ['command', {}, [': needs either argv, or script together with shell']],
  ['command', { argv: [] }, ['/argv: has 0 entries; 1 to 4096 are allowed']],
  ['command', { argv: [''] }, ['/argv/0: must name a program']],
  ['command', { argv: 'ls -l' }, ['/argv: must be a list']],
  ['command', { argv: ['a', 1, 'x\0'] }, ['/argv/1: must be a string', '/argv/2: must not contain a NUL character']],
  ['command', { argv: ['a'], shell: 'sh' }, ['/argv: excludes shell and script: give one or the other']],
  ['command', { script: 'ls' }, ['/shell: is required with script: "sh" or "bash"']],
  ['command', { shell: 'sh' }, [
    ': needs either argv, or script together with shell',
    '/script: is required with shell',
  ]],
  ['command', { shell: 'zsh', script: 'ls' }, ['/shell: must be one of "sh", "bash"']],
  ['command', { argv: ['a'], env: { 'A=B': '', runledger_run: '', RUNLEDGER_X: '', N: 1 } }, [
    '/env/A=B: is not a variable name: letters, digits and _ are allowed, no digit first, at most 256',
    '/env/runledger_run: names starting with RUNLEDGER_ are set by Runledger',
    '/env/RUNLEDGER_X: names starting with RUNLEDGER_ are set by Runledger',
    '/env/N: must be a string',
  ]],
  ['command', { argv: ['a'], cwd: '', graceMs: 600_001, markers: 1, successExitCodes: [256] }, [
    '/cwd: must not be empty',
    '/graceMs: must be an integer from 0 to 600000',
    '/markers: must be true or false',
    '/successExitCodes/0: must be an integer from 0 to 255',
  ]],
  ['http', {}, ['/url: is required']],
  ['http', { url: '/relative' }, ['/url: must be an absolute URL']],
  ['http', { url: 'file:///etc/passwd' }, ['/url: must use http or https']],
  ['http', { url: 'https://user:pw@example.org/' }, [
    '/url: must not carry credentials; send an Authorization header',
  ]],
  ['http', { url: 'https://example.org/', headers: { 'a b': '', Host: 'x', 'X-A': 'a\r\nb: c', 'X-B': 'я' } }, [
    '/headers/a b: is not a header name',
    '/headers/Host: is set by the runner and not allowed here',
    '/headers/X-A: must be printable Latin-1 text without line breaks, of at most 8192 characters',
    '/headers/X-B: must be printable Latin-1 text without line breaks, of at most 8192 characters',
  ]],
  ['http', { url: 'https://example.org/', body: 'x' }, ['/body: is not sent with GET or HEAD; name another method']],
  ['http', { url: 'https://example.org/', allowPrivateNetwork: true }, [
    '/allowPrivateNetwork: unknown field; allowed: url, method, headers, body, expectStatus, maxResponseBytes',
  ]],
  ...(['argv', 'script', 'cwd', 'shell'] as const).map((field): [string, JsonObject, readonly string[]] => [
    'command',
    { argv: ['a'], shell: 'sh', script: 'b', [field]: field === 'argv' ? ['a', { $secret: 'a' }] : { $secret: 'a' } },
    [
      field === 'shell' ? '/shell: must be one of "sh", "bash"' : `/${field}${field === 'argv' ? '/1' : ''}: ${noSecret}`,
      '/argv: excludes shell and script: give one or the other',
    ],
  ]),
  ['command', { argv: ['a'], env: { A: { $secret: 'a.b' }, B: { $join: [1] } }, stdin: { $secret: 'a', or: '' } }, [
    "/env/A/$secret: must be a secret's name: ^[A-Za-z0-9_-]{1,64}$",
    '/env/B/$join/0: must be a string, or a reference to a secret',
    '/stdin: a reference to a secret has no other fields than $secret, or $join',
  ]],
  ['command', { argv: ['a'], env: Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`A${i}`, { $secret: `a${i}` }])) }, [
    ': refers to 17 secrets; at most 16 are allowed',
  ]],
  ['noop', { result: { a: [{ $secret: 'a' }] } }, [`/result/a/0: ${noSecret}`]],
  ['http', { url: { $secret: 'a' }, method: 'POST', body: { 'a/b': [{ $secret: '' }] } }, [
    `/url: ${noSecret}`,
    "/body/a~1b/0/$secret: must be a secret's name: ^[A-Za-z0-9_-]{1,64}$",
  ]],
])('%s refuses %j and says why', (runner, input, expected) => {
  expect(problems(runner, input)).toEqual(expected);
});

it('answers a hostile input with twenty problems at most', () => {
  expect(problems('command', { argv: Array.from({ length: 4000 }, () => 1) })).toHaveLength(20);
});
