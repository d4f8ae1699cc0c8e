import { type ApiKey, accepts, apiKeyIdOf, isApiKeyToken, principalOfKey } from './api-key.js';
import { AccessError } from './credentials.js';
import type { JwtVerifier } from './jwt.js';
import type { Principal } from './principal.js';

/** API keys by their ids, as they are known now. Throws AccessError CREDENTIALS_UNCHECKABLE while that is nothing. */
export type ApiKeys = { find(id: string): ApiKey | undefined };

/** Tells from a bearer token who asks. */
export class Authenticator {
  constructor(
    private readonly keys: ApiKeys,
    private readonly jwt: Pick<JwtVerifier, 'verify'> | undefined,
    private readonly now: () => number = Date.now,
  ) {}

  /** Throws AccessError. */
  async authenticate(token: string | undefined): Promise<Principal> {
    if (token === undefined || token === '') {
      throw new AccessError('CREDENTIALS_MISSING', 'this server wants credentials: send Authorization: Bearer with an API key or a token');
    }
    if (isApiKeyToken(token)) return this.ofKey(token);
    if (this.jwt) return this.jwt.verify(token);
    throw new AccessError('CREDENTIALS_INVALID', 'the token is not an API key, and this server takes nothing else');
  }

  /** Whether somebody who was let in would be still: a key that was revoked meanwhile, or whatever has expired, is not. */
  counts({ actor, expiresAt }: Principal): boolean {
    if (expiresAt !== undefined && this.now() >= expiresAt) return false;
    const key = actor.startsWith('key:') ? this.keys.find(actor.slice('key:'.length)) : undefined;
    return !actor.startsWith('key:') || (key !== undefined && key.revokedAt === undefined);
  }

  private ofKey(token: string): Principal {
    const id = apiKeyIdOf(token);
    const key = id === undefined ? undefined : this.keys.find(id);
    if (key && accepts(key, token, this.now())) return principalOfKey(key);
    throw new AccessError('CREDENTIALS_INVALID', 'the API key is unknown, expired or revoked; ask an admin of your tenant for another');
  }
}
