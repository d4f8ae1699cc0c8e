import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CryptoKey, SignJWT, exportSPKI, generateKeyPair } from 'jose';
import { type NewApiKey, type Role, createApiKey, grants, roles } from '#libs/access';
import { createLogger, readSettings } from '#libs/platform';
import { eventually } from '#libs/testing';
import { startGateway } from '../../apps/gateway/src/gateway.js';
import { Keys, bearer } from './keys.js';
import { type Answer, type Service, executions, startService } from './service.js';

const plan = { name: 'plan', tasks: [{ id: 'a', runner: 'noop' }] };
const audience = 'runledger';
const issuer = 'https://id.example';

let folder: string;
let privateKey: CryptoKey;
let service: Service;
let keys: Keys;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'runledger-access-'));
  const pair = await generateKeyPair('ES256', { extractable: true });
  privateKey = pair.privateKey;
  writeFileSync(join(folder, 'public.pem'), await exportSPKI(pair.publicKey));
  service = await startService({
    RUNLEDGER_JWT_KEY_FILE: join(folder, 'public.pem'),
    RUNLEDGER_JWT_ISSUER: issuer,
    RUNLEDGER_JWT_AUDIENCE: audience,
  });
  keys = await Keys.open(service);
}, 30_000);
afterAll(async () => {
  keys.stop();
  await service.stop();
  rmSync(folder, { recursive: true });
});

const keyOf = (role: Role, more: Partial<NewApiKey> = {}): Promise<Record<string, string>> => keys.of(role, more);

const tokenOf = (payload: Record<string, unknown> = {}): Promise<string> =>
  new SignJWT({ iss: issuer, aud: audience, sub: 'ada', tenant: 'acme', roles: ['admin'], exp: Math.floor(Date.now() / 1_000) + 60, ...payload })
    .setProtectedHeader({ alg: 'ES256' })
    .sign(privateKey);

type Operation = { readonly method: string; readonly path: string; readonly permission: string | undefined };

const operations = async (): Promise<readonly Operation[]> => {
  const { body } = await service.get('/docs-json');
  const paths = body['paths'] as Record<string, Record<string, { 'x-permission'?: string }>>;
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      method: method.toUpperCase(),
      path: path.replaceAll(/\{\w+\}/g, 'nobody'),
      permission: operation['x-permission'],
    })),
  );
};

const call = ({ method, path }: Operation, headers: Record<string, string>): Promise<Answer> => {
  if (method === 'GET') return service.get(path, headers);
  if (method === 'DELETE') return service.delete(path, headers);
  return method === 'PUT' ? service.put(path, {}, headers) : service.post(path, undefined, headers);
};

describe('credentials', () => {
  it('are asked for by everything but what is public, also where nothing is served', async () => {
    for (const operation of await operations()) {
      const { status, headers, body } = await call(operation, {});
      // Of a public artifact that is not there.
      if (operation.path.startsWith('/api/v1/public/')) expect(status).toBe(404);
      else if (operation.permission === 'public') expect(status).toBe(200);
      else expect([operation.path, status, body['code'], headers.get('www-authenticate')]).toEqual([operation.path, 401, 'CREDENTIALS_MISSING', 'Bearer realm="runledger"']);
    }
    expect(await service.get('/api/v1/nothing')).toMatchObject({ status: 401 });
  });

  it('are asked for before a body is read', async () => {
    expect(await service.post(executions, { plan: 'x'.repeat(5_000_000) })).toMatchObject({ status: 401, body: { code: 'CREDENTIALS_MISSING' } });
  });

  it.each<[string, () => Promise<Record<string, string>>]>([
    ['a token that has expired', async () => bearer(await tokenOf({ exp: 1 }))],
    ['a token for another audience', async () => bearer(await tokenOf({ aud: 'other' }))],
    ['a token that is not valid yet', async () => bearer(await tokenOf({ nbf: Math.floor(Date.now() / 1_000) + 60 }))],
    ['an unknown key', () => Promise.resolve(bearer(createApiKey({ tenant: 'acme', name: 'x', roles: ['admin'], createdAt: '', createdBy: '' }).token))],
    ['another scheme', () => Promise.resolve({ authorization: 'Basic YTpi' })],
    ['nonsense', () => Promise.resolve(bearer('nonsense'))],
  ])('that are %s are refused as such', async (_, headers) => {
    const answer = await service.get(executions, await headers());
    expect(answer).toMatchObject({ status: 401, body: { code: 'CREDENTIALS_INVALID' } });
    expect(answer.headers.get('www-authenticate')).toContain('error="invalid_token"');
  });

  it('name the actor of every event they cause', async () => {
    const headers = bearer(await tokenOf({ sub: 'ada@example' }));
    const { body } = await service.post(executions, { plan }, headers);
    const { body: page } = await service.get(`${executions}/${String(body['id'])}/events`, headers);
    expect(page['events']).toMatchObject([{ actor: 'user:ada@example' }]);
  });

  it('come as a parameter or a cookie where a browser opens a link, and nowhere else', async () => {
    const token = await tokenOf();
    const { body } = await service.post(executions, { plan }, bearer(token));
    const output = `${executions}/${String(body['id'])}/output`;
    expect((await service.get(`${output}?access_token=${token}`)).status).toBe(200);
    const cookie = { cookie: `a=b; runledger_token=${token}` };
    expect((await service.get(output, { ...cookie, 'sec-fetch-site': 'same-origin' })).status).toBe(200);
    expect((await service.get(output, { ...cookie, 'sec-fetch-site': 'cross-site' })).status).toBe(401);
    expect((await service.get(output, cookie)).status).toBe(401);
    expect((await service.get(`${executions}?access_token=${token}`)).status).toBe(401);
    expect((await service.post(`${executions}/x/pause?access_token=${token}`)).status).toBe(401);
    for (const name of ['access_token', 'access%5Ftoken', '%61ccess_token']) {
      const refused = await service.get(`${executions}/nobody/output?${name}=${token}`);
      expect(refused.status).toBe(404);
      expect(JSON.stringify(refused.body)).not.toContain(token);
    }
  });

  it('know one tenant: a header may name it, and no other', async () => {
    const headers = bearer(await tokenOf({ tenant: 'acme' }));
    expect((await service.get(executions, { ...headers, 'x-tenant-id': 'acme' })).status).toBe(200);
    expect(await service.get(executions, { ...headers, 'x-tenant-id': 'other' })).toMatchObject({ status: 404, body: { code: 'TENANT_NOT_FOUND' } });
    expect(await service.get(executions, { ...headers, 'x-tenant-id': 'a.b' })).toMatchObject({ status: 400, body: { code: 'TENANT_INVALID' } });
    const { body } = await service.post(executions, { plan }, headers);
    const stranger = bearer(await tokenOf({ tenant: 'other' }));
    for (const read of ['', '/tasks', '/events', '/why', '/output', '/output/lines', '/artifacts']) {
      expect((await service.get(`${executions}/${String(body['id'])}${read}`, stranger)).status).toBe(404);
    }
    expect((await service.post(`${executions}/${String(body['id'])}/cancel`, undefined, stranger)).status).toBe(404);
  });
});

describe('roles', () => {
  it.each(roles)('%s may do what the table says, operation by operation', async (role) => {
    const headers = await keyOf(role);
    const known = await operations();
    expect(known.every(({ permission }) => permission !== undefined)).toBe(true);
    for (const operation of known) {
      const { status, body } = await call(operation, headers);
      const allowed = operation.permission === 'public' || (grants[role] as readonly (string | undefined)[]).includes(operation.permission);
      const isRefused = status === 403 && body['code'] === 'FORBIDDEN';
      expect([operation.method, operation.path, isRefused]).toEqual([operation.method, operation.path, !allowed]);
      expect(status).not.toBe(401);
    }
  });
});

it('a rebuild, which concerns all tenants, is for admins of the server’s own', async () => {
  const rebuild = '/api/v1/projections/stats/rebuild';
  expect(await service.post(rebuild, undefined, await keyOf('admin'))).toMatchObject({ status: 403, body: { code: 'OPERATOR_ONLY' } });
  expect(await service.post(rebuild, undefined, await keyOf('admin', { tenant: 'default' }))).toMatchObject({ status: 202 });
});

describe('API keys', () => {
  it('are made, shown once, listed without what opens anything, and revoked on the spot', async () => {
    const admin = await keyOf('admin', { tenant: 'keys' });
    const made = await service.post('/api/v1/keys', { name: 'ci', roles: ['operator'] }, admin);
    expect(made).toMatchObject({ status: 201, body: { name: 'ci', tenant: 'keys', roles: ['operator'] } });
    expect(made.headers.get('cache-control')).toBe('no-store');
    const [id, token] = [String(made.body['id']), String(made.body['token'])];
    expect((await service.post(executions, { plan }, bearer(token))).status).toBe(202);

    const { body } = await service.get('/api/v1/keys', admin);
    expect(body['keys']).toMatchObject([{ id, createdBy: expect.stringMatching(/^key:/) as string }, { name: 'admin' }]);
    expect(JSON.stringify(body)).not.toMatch(new RegExp(`hash|${token.slice(-43)}`));

    const revoked = await service.delete(`/api/v1/keys/${id}`, admin);
    expect(revoked).toMatchObject({ status: 200, body: { id, revokedAt: expect.any(String) as string } });
    expect((await service.delete(`/api/v1/keys/${id}`, admin)).body).toEqual(revoked.body);
    expect((await service.get(executions, bearer(token))).status).toBe(401);
  });

  it('that are revoked at one gateway open no other one, nor one that starts later', async () => {
    const admin = await keyOf('admin', { tenant: 'keys-two' });
    const { body } = await service.post('/api/v1/keys', { name: 'ci', roles: ['viewer'] }, admin);
    const [id, headers] = [String(body['id']), bearer(String(body['token']))];
    const settings = readSettings({ NATS_URL: service.natsUrl, RUNLEDGER_HOME: folder, RUNLEDGER_PORT: '0', RUNLEDGER_AUTH_ENABLED: 'true' });
    const gateways = [await startGateway(settings, createLogger('test', 'silent'))];
    const statuses = (): Promise<number[]> => Promise.all(gateways.map(async ({ url }) => (await fetch(url + executions, { headers })).status));
    try {
      expect(await statuses()).toEqual([200]);
      await service.delete(`/api/v1/keys/${id}`, admin);
      await eventually(async () => (await statuses())[0] === 401, { what: 'the other gateway to know' });
      gateways.push(await startGateway(settings, createLogger('test', 'silent')));
      expect(await statuses()).toEqual([401, 401]);
    } finally {
      await Promise.all(gateways.map(({ stop }) => stop()));
    }
  });

  it('are made once for an idempotency key; the token does not come again', async () => {
    const admin = await keyOf('admin', { tenant: 'keys-once' });
    const make = (name: string): Promise<Answer> => service.post('/api/v1/keys', { name, roles: ['viewer'] }, { ...admin, 'idempotency-key': 'k1' });
    const answers = await Promise.all(Array.from({ length: 20 }, () => make('ci')));
    expect(new Set(answers.map(({ body }) => body['id'])).size).toBe(1);
    expect(answers.filter(({ body }) => body['token'] !== null)).toHaveLength(1);
    expect(await make('other')).toMatchObject({ status: 409, body: { code: 'IDEMPOTENCY_KEY_REUSED' } });
  });

  it('never may more than who makes them', async () => {
    const limited = await keyOf('admin', { scopes: ['keys.manage', 'executions.read'] });
    expect(await service.post('/api/v1/keys', { name: 'x', roles: ['operator'] }, limited)).toMatchObject({ status: 403, body: { code: 'KEY_TOO_POWERFUL' } });
    const narrow = { name: 'x', roles: ['operator'], scopes: ['executions.read'] };
    expect((await service.post('/api/v1/keys', narrow, limited)).status).toBe(201);
  });

  it('do not outlive the key that made them; people make keys that outlive their token', async () => {
    const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
    const admin = await keyOf('admin', { expiresAt });
    const wanted = { name: 'x', roles: ['viewer'] };
    const refused = { status: 403, body: { code: 'KEY_TOO_POWERFUL' } };
    expect(await service.post('/api/v1/keys', wanted, admin)).toMatchObject(refused);
    expect(await service.post('/api/v1/keys', { ...wanted, expiresAt: new Date(Date.parse(expiresAt) + 1).toISOString() }, admin)).toMatchObject(refused);
    expect((await service.post('/api/v1/keys', { ...wanted, expiresAt }, admin)).status).toBe(201);
    expect((await service.post('/api/v1/keys', wanted, bearer(await tokenOf()))).status).toBe(201);
  });

  it("of another tenant are not there", async () => {
    const admin = await keyOf('admin', { tenant: 'one' });
    const stranger = await keyOf('admin', { tenant: 'two' });
    const { body } = await service.post('/api/v1/keys', { name: 'x', roles: ['viewer'] }, admin);
    expect(await service.delete(`/api/v1/keys/${String(body['id'])}`, stranger)).toMatchObject({ status: 404, body: { code: 'KEY_NOT_FOUND' } });
    expect(JSON.stringify((await service.get('/api/v1/keys', stranger)).body)).not.toContain(String(body['id']));
  });

  it.each<[string, object, string]>([
    ['no name', { roles: ['viewer'] }, '/name'],
    ['no roles', { name: 'x' }, '/roles'],
    ['an empty list of roles', { name: 'x', roles: [] }, '/roles'],
    ['an unknown role', { name: 'x', roles: ['emperor'] }, '/roles/0'],
    ['an unknown scope', { name: 'x', roles: ['viewer'], scopes: ['everything'] }, '/scopes/0'],
    ['an expiry that has passed', { name: 'x', roles: ['viewer'], expiresAt: '2020-01-01T00:00:00Z' }, '/expiresAt'],
    ['an unknown field', { name: 'x', roles: ['viewer'], tenant: 'other' }, '/tenant'],
  ])('can not be had with %s', async (_, body, path) => {
    const answer = await service.post('/api/v1/keys', body, bearer(await tokenOf()));
    expect(answer).toMatchObject({ status: 400, body: { code: 'BODY_INVALID', problems: [{ path }] } });
  });
});

describe('settings', () => {
  const jwt = { RUNLEDGER_JWT_JWKS_URL: 'https://id.example/jwks', RUNLEDGER_JWT_ISSUER: issuer, RUNLEDGER_JWT_AUDIENCE: audience };

  it('let nobody listen to the world without authentication, unless they say insecure', () => {
    const world = { RUNLEDGER_HOST: '0.0.0.0' };
    expect(() => readSettings(world)).toThrow(/RUNLEDGER_AUTH_ENABLED/);
    expect(() => readSettings({ ...world, STEPFLOW_AUTH_ENABLED: 'false' })).toThrow(/credentials/);
    expect(readSettings({ ...world, RUNLEDGER_INSECURE_NO_AUTH: 'true' }).auth).toBeUndefined();
    for (const name of ['RUNLEDGER_AUTH_ENABLED', 'STEPFLOW_AUTH_ENABLED']) expect(readSettings({ ...world, [name]: 'true' }).auth).toEqual({ jwt: undefined });
    expect(readSettings({ ...world, ...jwt }).auth?.jwt?.algorithms).toEqual(['RS256', 'ES256', 'EdDSA']);
    expect(readSettings({}).auth).toBeUndefined();
  });

  it.each<[string, Record<string, string>, RegExp]>([
    ['a symmetric algorithm', { ...jwt, RUNLEDGER_JWT_ALGORITHMS: 'RS256,HS256' }, /HS256/],
    ['no algorithm', { ...jwt, RUNLEDGER_JWT_ALGORITHMS: 'none' }, /none/],
    ['keys by plain http', { ...jwt, RUNLEDGER_JWT_JWKS_URL: 'http://id.example/jwks' }, /https/],
    ['no issuer', { ...jwt, RUNLEDGER_JWT_ISSUER: '' }, /RUNLEDGER_JWT_ISSUER/],
    ['no audience', { ...jwt, RUNLEDGER_JWT_AUDIENCE: '' }, /RUNLEDGER_JWT_AUDIENCE/],
    ['keys from two sources', { ...jwt, RUNLEDGER_JWT_KEY_FILE: '/x' }, /one of them/],
    ['a key file that is not there', { ...jwt, RUNLEDGER_JWT_JWKS_URL: '', RUNLEDGER_JWT_KEY_FILE: '/nothing' }, /RUNLEDGER_JWT_KEY_FILE/],
    ['both on and off', { ...jwt, RUNLEDGER_AUTH_ENABLED: 'false' }, /disabled/],
    ['on by one name and off by the other', { RUNLEDGER_AUTH_ENABLED: 'false', STEPFLOW_AUTH_ENABLED: 'true' }, /contradict/],
    ['neither true nor false', { RUNLEDGER_AUTH_ENABLED: 'yes' }, /true or false/],
  ])('refuse %s', (_, environment, message) => {
    expect(() => readSettings(environment)).toThrow(message);
  });
});
