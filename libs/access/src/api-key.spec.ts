import { accepts, apiKeyIdOf, createApiKey, isApiKeyToken, principalOfKey } from './api-key.js';
import { may } from './principal.js';

const wanted = { tenant: 'acme', name: 'ci', roles: ['operator'], createdAt: '2026-01-01T00:00:00.000Z', createdBy: 'user:ada' } as const;
const NOW = Date.parse('2026-06-01T00:00:00Z');

it('keeps nothing of the secret: what is stored does not open anything', () => {
  const { key, token } = createApiKey(wanted);
  expect(isApiKeyToken(token)).toBe(true);
  expect(apiKeyIdOf(token)).toBe(key.id);
  expect(JSON.stringify(key)).not.toContain(token.slice(-43));
  expect(accepts(key, token, NOW)).toBe(true);
  expect(accepts(key, `rlk_${key.id}_${key.hash}`, NOW)).toBe(false);
});

it('accepts no other token: of another key, changed, cut, or with something added', () => {
  const [one, other] = [createApiKey(wanted), createApiKey(wanted)];
  const flipped = one.token.slice(0, -1) + (one.token.endsWith('A') ? 'B' : 'A');
  const mixed = `rlk_${one.key.id}_${other.token.slice(-43)}`;
  for (const token of [other.token, flipped, mixed, one.token.slice(0, -1), `${one.token}x`, '', 'rlk_', ` ${one.token}`]) {
    expect(accepts(one.key, token, NOW)).toBe(false);
  }
});

it('counts until it expires or is revoked', () => {
  const { key, token } = createApiKey({ ...wanted, expiresAt: '2026-06-01T00:00:00.000Z' });
  expect(accepts(key, token, NOW - 1)).toBe(true);
  expect(accepts(key, token, NOW)).toBe(false);
  expect(accepts({ ...key, revokedAt: '2026-01-02T00:00:00.000Z' }, token, NOW - 1)).toBe(false);
});

it('may what its roles grant, narrowed by its scopes', () => {
  const { key } = createApiKey({ ...wanted, scopes: ['executions.read', 'keys.manage'], workspaces: ['w1'] });
  const principal = principalOfKey(key);
  expect(principal).toMatchObject({ actor: `key:${key.id}`, tenant: 'acme', workspaces: ['w1'] });
  expect(may(principal, 'executions.read')).toBe(true);
  expect(may(principal, 'executions.request')).toBe(false);
  // A scope grants nothing that no role does.
  expect(may(principal, 'keys.manage')).toBe(false);
});
