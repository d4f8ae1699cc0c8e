import { type Ended, cli } from './cli.js';
import { type Platform, startPlatform } from './platform.js';

let platform: Platform;
beforeAll(async () => {
  platform = await startPlatform({ RUNLEDGER_AUTH_ENABLED: 'true' });
}, 60_000);
afterAll(() => platform.stop());

const as = (token: string, ...args: string[]): Promise<Ended> => cli(platform, args, '', { RUNLEDGER_TOKEN: token }).ended;

it('from a server that lets nobody in to keys for everyone, by the command line alone', async () => {
  expect(await as('', 'list')).toMatchObject({ code: 4, err: expect.stringContaining('RUNLEDGER_TOKEN') as string });

  const first = await as('', 'keys', 'create', '--direct', '--name', 'boss', '--role', 'admin');
  expect(first.code).toBe(0);
  const admin = first.out.trim();
  expect(admin).toMatch(/^rlk_[0-9a-f]{16}_[\w-]{43}$/);
  expect((await as(admin, 'run', '--', 'echo', 'hello')).code).toBe(0);

  const expires = '2099-01-01T00:00:00Z';
  const made = await as(admin, 'keys', 'create', '--name', 'dash', '--role', 'viewer', '--role', 'approver', '--scope', 'executions.read', '--expires', expires, '--json');
  const viewer = JSON.parse(made.out) as { id: string; token: string };
  expect(viewer).toMatchObject({ roles: ['viewer', 'approver'], scopes: ['executions.read'], expiresAt: '2099-01-01T00:00:00.000Z' });
  expect((await as(viewer.token, 'list')).code).toBe(0);
  expect(await as(viewer.token, 'run', '--', 'echo', 'x')).toMatchObject({ code: 4, err: expect.stringContaining('FORBIDDEN') as string });

  const listed = await as(admin, 'keys', 'list');
  expect(listed.out).toMatch(/ID +STATE +ROLES/);
  expect(listed.out).toContain('only executions.read');
  expect(listed.out).not.toContain(viewer.token.slice(-43));
  expect((await as(admin, 'keys', 'revoke', viewer.id)).code).toBe(0);
  expect(await as(viewer.token, 'list')).toMatchObject({ code: 4, err: expect.stringContaining('CREDENTIALS_INVALID') as string });
  expect((await as(admin, 'keys', 'revoke', 'nobody')).code).toBe(3);
}, 60_000);

it('secrets go in by standard input and never come out', async () => {
  const admin = (await as('', 'keys', 'create', '--direct', '--name', 'boss', '--role', 'admin')).out.trim();
  const set = await cli(platform, ['secrets', 'set', 'greeting'], 'hello-from-a-secret\n', { RUNLEDGER_TOKEN: admin }).ended;
  expect(set).toMatchObject({ code: 0, out: 'secret greeting is stored, version 1\n' });
  const plan = { name: 'p', tasks: [{ id: 'a', runner: 'command', input: { shell: 'sh', script: 'printf %s "$G" | wc -c; echo "$G"', env: { G: { $secret: 'greeting' } } } }] };
  const ran = await cli(platform, ['run', '--plan', '-'], JSON.stringify(plan), { RUNLEDGER_TOKEN: admin }).ended;
  expect(ran).toMatchObject({ code: 0, out: expect.stringMatching(/19[^]*\*\*\*/) as string });
  const listed = await as(admin, 'secrets', 'list');
  expect(listed.out).toMatch(/greeting +1 /);
  expect(ran.out + ran.err + listed.out).not.toContain('hello-from');
  expect((await as(admin, 'secrets', 'remove', 'greeting')).code).toBe(0);
  expect((await as(admin, 'secrets', 'remove', 'greeting')).code).toBe(3);
}, 60_000);

it.each<[string, readonly string[]]>([
  ['a role that is none', ['--name', 'x', '--role', 'emperor']],
  ['no role', ['--name', 'x']],
  ['no name', ['--role', 'viewer']],
  ['an expiry that has passed', ['--direct', '--name', 'x', '--role', 'viewer', '--expires', '2020-01-01T00:00:00Z']],
])('a key with %s is misuse', async (_, args) => {
  expect((await as('', 'keys', 'create', ...args)).code).toBe(2);
});
