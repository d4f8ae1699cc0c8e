import { randomBytes } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { SecretStore } from '#libs/jetstream';
import { Keyring } from '#libs/secrets';
import { natsServers } from '#libs/testing';
import { type Broker, MIB, startBroker } from './servers.js';

const value = 'c0rrect-h0rse-battery-staple';
const newKey = (): string => randomBytes(32).toString('base64');
const ref = (name: string, tenant = 'acme'): { tenant: string; name: string } => ({ tenant, name });

describe.each(natsServers())('secrets on $name', ({ name: version }) => {
  let broker: Broker;
  let store: SecretStore;
  const key = newKey();
  const storeWith = (...keys: string[]): SecretStore => new SecretStore(broker.nats, keys.length > 0 ? new Keyring(keys.join('\n')) : undefined);
  const read = async (name: string, tenant = 'acme', from = store): Promise<string | undefined> => (await from.values(tenant, [name])).get(name);

  beforeEach(async () => {
    broker = await startBroker({ version }, { logMaxBytes: 64 * MIB });
    store = storeWith(key);
  }, 30_000);
  afterEach(() => broker.close());

  it('are read as they were stored last, and listed without their values', async () => {
    const first = await store.put(ref('token'), 'first-value');
    const second = await store.put(ref('token'), value);
    await store.put(ref('api_key'), 'another-value');
    expect([first.version, second.version, second.createdAt]).toEqual([1, 2, first.createdAt]);
    expect(await store.values('acme', ['token', 'api_key'])).toEqual(new Map([['token', value], ['api_key', 'another-value']]));
    expect(await store.list('acme')).toEqual([{ name: 'api_key', version: 1, createdAt: expect.any(String) as string, updatedAt: expect.any(String) as string }, second]);
  });

  it('are nowhere on disk', async () => {
    await store.put(ref('token'), value);
    const files = readdirSync(broker.server.storeDir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    const all = Buffer.concat(files.map((entry) => readFileSync(join(entry.parentPath, entry.name))));
    expect(all.includes('KV.secrets.acme.token')).toBe(true);
    for (const form of [value, Buffer.from(value).toString('base64').slice(0, 30), key]) expect(all.includes(form)).toBe(false);
  });

  it('belong to one tenant: another one has the same name for itself, and gets nowhere with what the first one stored', async () => {
    await store.put(ref('token'), value);
    await expect(read('token', 'other')).rejects.toMatchObject({ code: 'SECRET_UNKNOWN', retryable: false });
    expect([await store.list('other'), await store.delete(ref('token', 'other'))]).toEqual([[], false]);
    await store.put(ref('token', 'other'), 'their-own-value');
    expect([await read('token'), await read('token', 'other')]).toEqual([value, 'their-own-value']);

    // Whoever may write to the bucket puts the bytes of one in the place of the other.
    const { data } = await broker.nats.connection.request('$JS.API.DIRECT.GET.KV_secrets.$KV.secrets.acme.token');
    await broker.nats.connection.request('$KV.secrets.other.token', data);
    await expect(read('token', 'other')).rejects.toMatchObject({ code: 'SECRET_UNREADABLE' });
  });

  it('are opened by any key and sealed by the first; sealed anew, the others can go', async () => {
    await store.put(ref('token'), value);
    await store.put(ref('token', 'other'), value);
    const next = newKey();
    const rotating = storeWith(next, key);
    expect(await read('token', 'acme', rotating)).toBe(value);
    await expect(read('token', 'acme', storeWith(next))).rejects.toMatchObject({ code: 'SECRET_UNREADABLE' });

    await rotating.put(ref('young'), value);
    expect(await storeWith(next).reseal()).toEqual({ resealed: 0, unreadable: [ref('token'), ref('token', 'other')] });
    expect(await rotating.reseal()).toEqual({ resealed: 2, unreadable: [] });
    expect(await rotating.reseal()).toEqual({ resealed: 0, unreadable: [] });
    expect([await read('token', 'acme', storeWith(next)), await read('token', 'other', storeWith(next))]).toEqual([value, value]);
    await expect(read('token')).rejects.toMatchObject({ code: 'SECRET_UNREADABLE' });
    expect((await store.list('acme')).map(({ version: each }) => each)).toEqual([1, 1]);
  });

  it('can not be stored or read without a key, but listed and deleted', async () => {
    await store.put(ref('token'), value);
    const keyless = storeWith();
    for (const work of [keyless.put(ref('token'), value), keyless.values('acme', ['token']), keyless.reseal()]) {
      await expect(work).rejects.toMatchObject({ code: 'SECRETS_KEY_MISSING', message: expect.stringContaining('RUNLEDGER_SECRETS_KEY_FILE') as string });
    }
    expect([(await keyless.list('acme')).length, await keyless.delete(ref('token')), await keyless.list('acme')]).toEqual([1, true, []]);
  });

  it('are gone once deleted, and begin anew', async () => {
    expect(await store.delete(ref('token'))).toBe(false);
    await store.put(ref('token'), value);
    expect([await store.delete(ref('token')), await store.delete(ref('token'))]).toEqual([true, false]);
    await expect(read('token')).rejects.toMatchObject({ code: 'SECRET_UNKNOWN', message: expect.stringContaining('token') as string });
    expect(await store.put(ref('token'), value)).toMatchObject({ version: 1 });
  });

  it('take the values of many at once one after the other', async () => {
    const stored = await Promise.all(Array.from({ length: 8 }, (_, index) => store.put(ref('token'), `value-${index}`)));
    expect(stored.map(({ version: each }) => each).toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    const last = stored.findIndex(({ version: each }) => each === 8);
    expect(await read('token')).toBe(`value-${last}`);
  });

  it('are 200 a tenant', async () => {
    await Promise.all(Array.from({ length: 200 }, (_, index) => store.put(ref(`secret-${index}`), value)));
    await expect(store.put(ref('one-more'), value)).rejects.toMatchObject({ code: 'SECRETS_FULL' });
    expect(await store.put(ref('secret-7'), value)).toMatchObject({ version: 2 });
    expect(await store.put(ref('one-more', 'other'), value)).toMatchObject({ version: 1 });
  }, 30_000);

  it('are refused at once while the broker is away; who runs a task waits for them', async () => {
    await store.put(ref('token'), value);
    const gone = new Promise<void>((resolve) => broker.nats.onDisconnect(resolve));
    await broker.server.kill();
    await gone;
    const startedAt = performance.now();
    for (const work of [store.put(ref('token'), value), store.list('acme'), store.delete(ref('token'))]) {
      await expect(work).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' });
    }
    expect(performance.now() - startedAt).toBeLessThan(1_000);
    const waiting = read('token');
    await broker.server.restart();
    expect(await waiting).toBe(value);
  }, 30_000);

  it('are none where somebody else has written something', async () => {
    await broker.nats.connection.request('$KV.secrets.acme.token', 'not ours');
    await expect(read('token')).rejects.toMatchObject({ code: 'SECRET_UNKNOWN' });
    expect(await store.put(ref('token'), value)).toMatchObject({ version: 1 });
  });
});
