import { randomBytes } from 'node:crypto';
import { SecretStore } from '#libs/jetstream';
import { Keyring } from '#libs/secrets';
import { eventually } from '#libs/testing';
import { type Answer, type Service, executions, startService } from './service.js';

const key = randomBytes(32).toString('base64');
const old = randomBytes(32).toString('base64');
const secrets = '/api/v1/secrets';
const value = 'c0rrect-h0rse-battery-staple';
const acme = { 'x-tenant-id': 'acme' };

describe('a gateway with a key', () => {
  let service: Service;
  let store: SecretStore;
  beforeAll(async () => {
    service = await startService({ RUNLEDGER_SECRETS_KEY: key });
    store = new SecretStore(service.nats, new Keyring(key));
  }, 30_000);
  afterAll(() => service.stop());

  const put = (name: string, body: unknown = { value }, headers: Record<string, string> = {}): Promise<Answer> => service.put(`${secrets}/${name}`, body, headers);
  const stored = async (name: string, tenant = 'default'): Promise<string | undefined> => (await store.values(tenant, [name])).get(name);

  it('stores a secret, gives it another value, lists it and deletes it, and never answers with a value', async () => {
    const answers = [await put('token', { value: 'first-value' }), await put('token'), await service.get(secrets), await service.delete(`${secrets}/token`)];
    expect(answers.map(({ status }) => status)).toEqual([201, 200, 200, 204]);
    const [first, second, list] = answers.map(({ body }) => body);
    expect([first?.['version'], second?.['version'], Object.keys(second ?? {})]).toEqual([1, 2, ['name', 'version', 'createdAt', 'updatedAt']]);
    expect(list).toEqual({ secrets: [second] });
    expect((await service.get(secrets)).body).toEqual({ secrets: [] });
    expect(await service.delete(`${secrets}/token`)).toMatchObject({ status: 404, body: { code: 'SECRET_UNKNOWN' } });
  });

  it('keeps the tenants’ secrets of one name apart', async () => {
    await put('shared');
    await put('shared', { value: 'their-own-value' }, acme);
    expect([await stored('shared'), await stored('shared', 'acme')]).toEqual([value, 'their-own-value']);
    expect(await service.delete(`${secrets}/shared`, acme)).toMatchObject({ status: 204 });
    expect([await stored('shared'), (await service.get(secrets, acme)).body]).toEqual([value, { secrets: [] }]);
  });

  it.each<[string, unknown, string]>([
    ['no value', {}, 'the body must be'],
    ['a field too many', { value, hunter22: 1 }, 'the body must be'],
    ['a list', [value], 'the body must be'],
    ['a text', value, 'the body must be'],
    ['a value that is none', { value: { hunter22: 1 } }, '/value: must be a string'],
    ['a short one', { value: 'hun' }, '/value: needs at least 4 characters'],
    ['a large one', { value: 'hunter22'.repeat(3_000) }, '/value: has 24000 bytes'],
  ])('refuses %s and quotes nothing of it', async (_what, body, detail) => {
    const answer = await put('refused', body);
    expect(answer).toMatchObject({ status: 400, body: { code: 'BODY_INVALID', detail: expect.stringContaining(detail) as string } });
    expect(JSON.stringify(answer.body)).not.toMatch(/hunter22|c0rrect/);
  });

  it('quotes nothing of a body that is not JSON, by whatever spelling of the path it comes', async () => {
    for (const path of [`${secrets}/token`, '/api/v1/%73ecrets/token']) {
      const answer = await fetch(service.url + path, { method: 'PUT', headers: { 'content-type': 'application/json' }, body: `{"value": hunter22}` });
      const text = await answer.text();
      expect([answer.status, text]).toEqual([400, expect.stringContaining('BODY_NOT_JSON')]);
      expect(text).not.toContain('hunter22');
    }
  });

  it.each(['a.b', '*', '%3E', 'x'.repeat(65), 'x'.repeat(5_000), '..%2fkeys', '%00'])('refuses the name %s', async (name) => {
    expect(await put(name)).toMatchObject({ status: 400, body: { code: 'ID_INVALID' } });
    expect(await service.delete(`${secrets}/${name}`)).toMatchObject({ status: 400, body: { code: 'ID_INVALID' } });
  });

  it('takes plans that refer to secrets where nobody sees them, and says where others do', async () => {
    const $secret = 'token';
    const command = (input: object): object => ({ plan: { name: 'plan', tasks: [{ id: 'a', runner: 'command', input }] } });
    expect((await service.post(executions, command({ argv: ['env'], env: { A: { $join: ['x', { $secret }] } }, stdin: { $secret } }))).status).toBe(202);
    const refused = [
      [command({ argv: ['echo', { $secret }] }), '/plan/tasks/0/input/argv/1'],
      [command({ argv: ['a'], env: { A: { $secret: 'a.b' } } }), '/plan/tasks/0/input/env/A/$secret'],
      [{ ...command({ argv: ['a'] }), input: { a: [{ $secret }] } }, '/input'],
    ] as const;
    for (const [body, path] of refused) {
      const answer = await service.post(executions, body);
      expect([answer.status, answer.body['problems']]).toEqual([400, [{ path, message: expect.stringContaining('secret') as string }]]);
    }
  });
});

it('a gateway without a key says what to do, and still lists and deletes', async () => {
  const service = await startService();
  try {
    const answer = await service.put(`${secrets}/token`, { value });
    expect(answer).toMatchObject({ status: 503, body: { code: 'SECRETS_KEY_MISSING', detail: expect.stringContaining('RUNLEDGER_SECRETS_KEY_FILE') as string } });
    await new SecretStore(service.nats, new Keyring(key)).put({ tenant: 'default', name: 'token' }, value);
    expect((await service.get(secrets)).body).toMatchObject({ secrets: [{ name: 'token' }] });
    expect((await service.delete(`${secrets}/token`)).status).toBe(204);
  } finally {
    await service.stop();
  }
}, 30_000);

it('a gateway with a new first key seals with it what the old one has sealed', async () => {
  const service = await startService({ RUNLEDGER_SECRETS_KEY: old });
  const rotated = async (): Promise<string | undefined> =>
    (await new SecretStore(service.nats, new Keyring(key)).values('default', ['token']).catch(() => undefined))?.get('token');
  try {
    await service.put(`${secrets}/token`, { value });
    expect(await rotated()).toBeUndefined();
    const stop = await service.startGateway({ RUNLEDGER_SECRETS_KEY: `${key} ${old}` });
    await eventually(async () => (await rotated()) === value, { what: 'the secret to be sealed anew' });
    await stop();
  } finally {
    await service.stop();
  }
}, 30_000);
