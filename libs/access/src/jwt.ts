import {
  type CryptoKey,
  type JSONWebKeySet,
  type JWK,
  type JWTPayload,
  type JWTVerifyGetKey,
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  errors,
  importJWK,
  importSPKI,
  jwtVerify,
} from 'jose';
import { isToken } from '#libs/contracts';
import { AccessError } from './credentials.js';
import type { Principal } from './principal.js';
import { isRole } from './roles.js';

/** How tokens of an identity provider are checked. */
export type JwtSettings = {
  /** Where its keys are: a JWKS by URL, or the text of a PEM public key, a JWK or a JWKS. */
  readonly keys: { readonly url: string } | { readonly text: string };
  /** Of JWS, asymmetric only. */
  readonly algorithms: readonly string[];
  readonly issuer: string;
  readonly audience: string;
  readonly claims: { readonly tenant: string; readonly roles: string; readonly workspaces: string };
};

/** One fetch at most within this time however many unknown key ids come, and whether it succeeds or not, milliseconds. */
const COOLDOWN_MS = 30_000;
/** In its place while there are no keys at all. */
const RETRY_MS = 1_000;
const FETCH_MS = 5_000;
/** Keys that the provider withdrew are forgotten within this time. */
const RELOAD_MS = 600_000;
const TOLERANCE_S = 5;

const subject = /^[^\p{C}\p{Zl}\p{Zp}]{1,200}$/u;

/** Checks JSON Web Tokens (RFC 7519). Keys once fetched count while their source is away. */
export class JwtVerifier {
  private constructor(
    private readonly settings: JwtSettings,
    /** Acts in this tenant where a token names none. */
    private readonly tenant: string,
    private readonly keys: JWTVerifyGetKey,
    private readonly reload: NodeJS.Timeout | undefined,
  ) {}

  /** Throws RangeError for keys that are none. */
  static async create(settings: JwtSettings, tenant: string): Promise<JwtVerifier> {
    if (!('url' in settings.keys)) return new JwtVerifier(settings, tenant, await localKeys(settings), undefined);
    let triedAt = -Infinity;
    const keys = createRemoteJWKSet(new URL(settings.keys.url), {
      cooldownDuration: COOLDOWN_MS,
      timeoutDuration: FETCH_MS,
      cacheMaxAge: Number.POSITIVE_INFINITY,
      // jose waits after answers alone: without this, each token would ask a source that fails once more.
      [customFetch]: async (url, options) => {
        const now = Date.now();
        if (now < triedAt + (keys.jwks() ? COOLDOWN_MS : RETRY_MS)) throw new Error('its source did not answer well a moment ago');
        triedAt = now;
        return await fetch(url, options);
      },
    });
    const reload = setInterval(() => void keys.reload().catch(() => undefined), RELOAD_MS);
    return new JwtVerifier(settings, tenant, keys, reload.unref());
  }

  /** Throws AccessError CREDENTIALS_INVALID, CREDENTIALS_UNCHECKABLE. */
  async verify(token: string): Promise<Principal> {
    const { algorithms, issuer, audience } = this.settings;
    try {
      const options = { algorithms: [...algorithms], issuer, audience, clockTolerance: TOLERANCE_S, requiredClaims: ['exp', 'sub'] };
      const { payload } = await jwtVerify(token, this.keys, options);
      return this.principalOf(payload);
    } catch (error) {
      throw error instanceof AccessError ? error : refusalOf(error);
    }
  }

  stop(): void {
    clearInterval(this.reload);
  }

  private principalOf(payload: JWTPayload): Principal {
    const { claims } = this.settings;
    const tenant = payload[claims.tenant] ?? this.tenant;
    if (!isToken(tenant)) throw new AccessError('CREDENTIALS_INVALID', `the token's claim ${claims.tenant} is not the id of a tenant`);
    // Cut or made into text, two people could be one actor.
    const sub: unknown = payload.sub;
    if (typeof sub !== 'string' || !subject.test(sub)) throw new AccessError('CREDENTIALS_INVALID', "the token's claim sub is not text of 1 to 200 printable characters");
    const workspaces = payload[claims.workspaces];
    return {
      actor: `user:${sub}`,
      tenant,
      workspaces: workspaces === undefined ? undefined : words(workspaces).filter(isToken),
      roles: words(payload[claims.roles]).filter(isRole),
      scopes: undefined,
      expiresAt: payload.exp === undefined ? undefined : payload.exp * 1_000,
    };
  }
}

/** A list, or words of one text, as scope claims are. */
const words = (claim: unknown): readonly string[] => {
  if (typeof claim === 'string') return claim.split(/[\s,]+/).filter((word) => word !== '');
  return Array.isArray(claim) ? claim.filter((word) => typeof word === 'string') : [];
};

const localKeys = async ({ keys, algorithms }: JwtSettings): Promise<JWTVerifyGetKey> => {
  const text = 'text' in keys ? keys.text.trim() : '';
  try {
    if (text.startsWith('-----BEGIN')) return await theOnlyKey((algorithm) => importSPKI(text, algorithm), algorithms);
    const value = JSON.parse(text) as JSONWebKeySet | JWK;
    return 'keys' in value ? createLocalJWKSet(value as JSONWebKeySet) : await theOnlyKey((algorithm) => importJWK(value, algorithm), algorithms);
  } catch (cause) {
    throw new RangeError('the key file holds no PEM public key, JWK or JWKS for the algorithms allowed', { cause });
  }
};

/** A key for whatever id a token names, by the algorithms that it is good for. Throws where it is good for none. */
const theOnlyKey = async (
  importAs: (algorithm: string) => Promise<CryptoKey | Uint8Array>,
  algorithms: readonly string[],
): Promise<JWTVerifyGetKey> => {
  const imported = await Promise.allSettled(algorithms.map(async (algorithm) => [algorithm, await importAs(algorithm)] as const));
  const byAlgorithm = new Map(imported.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : [])));
  if (byAlgorithm.size === 0) throw new RangeError('a key for none of the algorithms');
  return ({ alg }) => byAlgorithm.get(alg) ?? noKey();
};

const noKey = (): never => {
  throw new errors.JWKSNoMatchingKey();
};

const reasons: Readonly<Record<string, string>> = {
  ERR_JWT_EXPIRED: 'has expired; get a new one',
  ERR_JWT_CLAIM_VALIDATION_FAILED: 'is not for this server, or not valid yet',
  ERR_JOSE_ALG_NOT_ALLOWED: 'is signed with an algorithm that is not allowed here',
  ERR_JWS_SIGNATURE_VERIFICATION_FAILED: 'has a signature that does not fit',
  ERR_JWKS_NO_MATCHING_KEY: 'is signed with a key that is not known',
  ERR_JWKS_MULTIPLE_MATCHING_KEYS: 'does not name the key it is signed with',
};

const refusalOf = (cause: unknown): AccessError => {
  const code = cause instanceof errors.JOSEError ? cause.code : undefined;
  // What jose says of a source of keys that did not answer well, and what fetch throws.
  if (code === undefined || code === 'ERR_JWKS_TIMEOUT' || code === 'ERR_JOSE_GENERIC' || code === 'ERR_JWKS_INVALID') {
    return new AccessError('CREDENTIALS_UNCHECKABLE', "the identity provider's keys can't be fetched now; try again in a moment", { cause });
  }
  return new AccessError('CREDENTIALS_INVALID', `the token ${reasons[code] ?? 'is not a signed JSON Web Token'}`, { cause });
};
