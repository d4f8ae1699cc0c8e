import { jest } from '@jest/globals';
import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type CryptoKey, type JWK, SignJWT, exportJWK, exportSPKI, generateKeyPair } from 'jose';
import { type JwtSettings, JwtVerifier } from './jwt.js';

type Pair = { readonly privateKey: CryptoKey; readonly publicKey: CryptoKey };

const claims = { tenant: 'tenant', roles: 'roles', workspaces: 'workspaces' };
const common = { algorithms: ['ES256', 'RS256'], issuer: 'https://id.example', audience: 'runledger', claims };
const nowS = (): number => Math.floor(Date.now() / 1_000);
const invalid = { code: 'CREDENTIALS_INVALID' };

let pair: Pair;
let jwk: JWK;
const verifiers: JwtVerifier[] = [];
beforeAll(async () => {
  pair = await generateKeyPair('ES256', { extractable: true });
  jwk = { ...(await exportJWK(pair.publicKey)), kid: 'k1', alg: 'ES256' };
});
afterEach(() => verifiers.splice(0).forEach((verifier) => verifier.stop()));

const verifierOf = async (more: Partial<JwtSettings> = {}): Promise<JwtVerifier> => {
  const verifier = await JwtVerifier.create({ ...common, keys: { text: JSON.stringify({ keys: [jwk] }) }, ...more }, 'default');
  verifiers.push(verifier);
  return verifier;
};

const signed = (payload: Record<string, unknown> = {}, { kid = 'k1', key = pair.privateKey }: { kid?: string; key?: CryptoKey } = {}): Promise<string> =>
  new SignJWT({ iss: common.issuer, aud: common.audience, sub: 'ada', exp: nowS() + 60, ...payload }).setProtectedHeader({ alg: 'ES256', kid }).sign(key);

it('reads tenant, roles and workspaces from the claims; unknown roles are none', async () => {
  const verifier = await verifierOf();
  const exp = nowS() + 60;
  expect(await verifier.verify(await signed({ exp, tenant: 'acme', roles: ['viewer', 'emperor'], workspaces: 'w1 w2' }))).toEqual({
    actor: 'user:ada',
    tenant: 'acme',
    roles: ['viewer'],
    workspaces: ['w1', 'w2'],
    scopes: undefined,
    expiresAt: exp * 1_000,
  });
  expect(await verifier.verify(await signed({ roles: 'viewer,operator' }))).toMatchObject({ tenant: 'default', roles: ['viewer', 'operator'], workspaces: undefined });
  expect(await verifier.verify(await signed({ roles: 7 }))).toMatchObject({ roles: [] });
});

it.each<[string, () => Promise<string>]>([
  ['that has expired', () => signed({ exp: nowS() - 60 })],
  ['that never expires', () => signed({ exp: undefined })],
  ['for another audience', () => signed({ aud: 'somebody-else' })],
  ['of another issuer', () => signed({ iss: 'https://evil.example' })],
  ['that is not valid yet', () => signed({ nbf: nowS() + 60 })],
  ['that names nobody', () => signed({ sub: undefined })],
  ['whose subject is empty', () => signed({ sub: '' })],
  ['whose subject is a list that reads like somebody', () => signed({ sub: ['ada'] })],
  ['whose subject is an object, as everybody else’s would be', () => signed({ sub: {} })],
  ['whose subject has two lines', () => signed({ sub: 'ada\nroot' })],
  ['whose subject would have to be cut', () => signed({ sub: 'a'.repeat(201) })],
  ['whose tenant could leave its subject', () => signed({ tenant: 'a.>' })],
  ['whose tenant is a list', () => signed({ tenant: ['a', 'b'] })],
  ['signed with another key', async () => signed({}, { key: (await generateKeyPair('ES256')).privateKey })],
  ['signed with a key nobody knows', () => signed({}, { kid: 'k9' })],
  ['that is none', () => Promise.resolve('a.b.c')],
  [
    'with alg none',
    () => {
      const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
      const payload = { iss: common.issuer, aud: common.audience, sub: 'ada', exp: nowS() + 60, roles: ['admin'] };
      return Promise.resolve(`${part({ alg: 'none' })}.${part(payload)}.`);
    },
  ],
  [
    'signed by HMAC with the public key as its secret',
    async () => {
      const secret = new TextEncoder().encode(await exportSPKI(pair.publicKey));
      const payload = { iss: common.issuer, aud: common.audience, sub: 'ada', exp: nowS() + 60, roles: ['admin'] };
      return new SignJWT(payload).setProtectedHeader({ alg: 'HS256', kid: 'k1' }).sign(secret);
    },
  ],
])('refuses a token %s', async (_, token) => {
  await expect((await verifierOf()).verify(await token())).rejects.toMatchObject(invalid);
});

it('takes its key as JWKS, JWK or PEM, and nothing that is none', async () => {
  for (const text of [JSON.stringify({ keys: [jwk] }), JSON.stringify(jwk), await exportSPKI(pair.publicKey)]) {
    expect(await (await verifierOf({ keys: { text } })).verify(await signed())).toMatchObject({ actor: 'user:ada' });
  }
  for (const text of ['', '{}', '-----BEGIN PUBLIC KEY-----\nnonsense\n-----END PUBLIC KEY-----']) {
    await expect(verifierOf({ keys: { text } })).rejects.toThrow(RangeError);
  }
});

describe('with keys by URL', () => {
  let server: Server;
  let fetches: number;
  let isDown: boolean;
  let url: string;
  beforeEach(async () => {
    [fetches, isDown] = [0, false];
    server = createServer((_, response) => {
      fetches += 1;
      response.writeHead(isDown ? 503 : 200, { 'content-type': 'application/json' }).end(JSON.stringify({ keys: [jwk] }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`;
  });
  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  it('fetches once for 1,000 tokens with unknown key ids', async () => {
    const verifier = await verifierOf({ keys: { url } });
    await verifier.verify(await signed());
    const before = fetches;
    const tokens = await Promise.all(Array.from({ length: 1_000 }, (_, i) => signed({}, { kid: `unknown-${i}` })));
    const outcomes = await Promise.allSettled(tokens.map((token) => verifier.verify(token)));
    expect(outcomes.every(({ status }) => status === 'rejected')).toBe(true);
    expect(fetches - before).toBeLessThanOrEqual(1);
  });

  it('asks a source that fails no more often, be it with keys or without', async () => {
    const start = Date.now();
    const clock = jest.spyOn(Date, 'now').mockReturnValue(start);
    try {
      const [known, none] = [await verifierOf({ keys: { url } }), await verifierOf({ keys: { url } })];
      await known.verify(await signed());
      isDown = true;
      for (const [verifier, laterMs] of [[known, 31_000], [none, 32_000]] as const) {
        clock.mockReturnValue(start + laterMs);
        const before = fetches;
        for (let i = 0; i < 20; i++) await expect(verifier.verify(await signed({}, { kid: `unknown-${i}` }))).rejects.toMatchObject({ retryable: true });
        expect(fetches - before).toBe(1);
      }
      isDown = false;
      clock.mockReturnValue(start + 33_000);
      expect(await none.verify(await signed())).toMatchObject({ actor: 'user:ada' });
    } finally {
      clock.mockRestore();
    }
  });

  it('takes a key that the source has since', async () => {
    const verifier = await verifierOf({ keys: { url } });
    await verifier.verify(await signed());
    const next = await generateKeyPair('ES256', { extractable: true });
    const clock = jest.spyOn(Date, 'now').mockReturnValue(Date.now() + 31_000);
    const before = jwk;
    try {
      jwk = { ...(await exportJWK(next.publicKey)), kid: 'k2', alg: 'ES256' };
      expect(await verifier.verify(await signed({}, { kid: 'k2', key: next.privateKey }))).toMatchObject({ actor: 'user:ada' });
      await expect(verifier.verify(await signed())).rejects.toMatchObject(invalid);
    } finally {
      jwk = before;
      clock.mockRestore();
    }
  });

  it('goes on with the keys it has while their source is down, and says that it can not check when it has none', async () => {
    const verifier = await verifierOf({ keys: { url } });
    await verifier.verify(await signed());
    isDown = true;
    expect(await verifier.verify(await signed())).toMatchObject({ actor: 'user:ada' });
    const late = await verifierOf({ keys: { url } });
    await expect(late.verify(await signed())).rejects.toMatchObject({ code: 'CREDENTIALS_UNCHECKABLE', retryable: true });
  });
});
