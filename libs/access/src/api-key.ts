import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Principal } from './principal.js';
import type { Permission, Role } from './roles.js';

/** An API key as it is stored: enough to recognise it, not to use it. Times are RFC 3339. */
export type ApiKey = {
  readonly id: string;
  readonly tenant: string;
  readonly name: string;
  readonly roles: readonly Role[];
  readonly scopes?: readonly Permission[];
  readonly workspaces?: readonly string[];
  /** SHA-256 of the secret, base64url. The secret is 256 random bits: nothing slower is needed to keep it from being guessed. */
  readonly hash: string;
  readonly createdAt: string;
  readonly createdBy: string;
  readonly expiresAt?: string;
  readonly revokedAt?: string;
  /** Of the request for it, where that was named with an idempotency key. */
  readonly fingerprint?: string;
};

export type NewApiKey = Omit<ApiKey, 'id' | 'hash' | 'revokedAt'>;

const prefix = 'rlk';
const form = new RegExp(`^${prefix}_([0-9a-f]{16})_([A-Za-z0-9_-]{43})$`);

const hashOf = (secret: string): Buffer => createHash('sha256').update(secret).digest();

/** The id of the key that a request makes which was named with an idempotency key: the same again makes no other. */
export const apiKeyIdFor = (tenant: string, idempotencyKey: string): string => hashOf(`${tenant}\0${idempotencyKey}`).toString('hex').slice(0, 16);

/** A key and its token: `rlk_<id>_<secret>`, which is nowhere but in this answer. */
export const createApiKey = (
  wanted: NewApiKey,
  id = randomBytes(8).toString('hex'),
): { readonly key: ApiKey; readonly token: string } => {
  const secret = randomBytes(32).toString('base64url');
  return { key: { id, ...wanted, hash: hashOf(secret).toString('base64url') }, token: `${prefix}_${id}_${secret}` };
};

export const isApiKeyToken = (token: string): boolean => token.startsWith(`${prefix}_`);

/** The id that a token names; undefined where it has not the form of one. */
export const apiKeyIdOf = (token: string): string | undefined => form.exec(token)?.[1];

/** Whether this is the key's token, and the key counts now (milliseconds since the epoch). */
export const accepts = (key: ApiKey, token: string, now: number): boolean => {
  const [, id, secret] = form.exec(token) ?? [];
  if (secret === undefined || id !== key.id) return false;
  const matches = timingSafeEqual(hashOf(secret), Buffer.from(key.hash, 'base64url'));
  return matches && key.revokedAt === undefined && (key.expiresAt === undefined || now < Date.parse(key.expiresAt));
};

export const principalOfKey = ({ id, tenant, roles, scopes, workspaces, expiresAt }: ApiKey): Principal => ({
  actor: `key:${id}`,
  tenant,
  workspaces,
  roles,
  scopes,
  expiresAt: expiresAt === undefined ? undefined : Date.parse(expiresAt),
});
