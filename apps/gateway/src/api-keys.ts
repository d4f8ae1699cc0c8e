import { type ApiKey, type Permission, type Principal, apiKeyIdFor, createApiKey, grants, isPermission, isRole, may, permissions, roles } from '#libs/access';
import { isToken } from '#libs/contracts';
import type { Catalog } from '#libs/jetstream';
import type { Idempotency } from './idempotency-key.js';
import { type Fault, Problem } from './problem.js';
import { bodyOf, isText, refuseFaults, unknownFields } from './request-body.js';
import { utcOf } from './request-query.js';

/** A key as its tenant's admins see it: everything but what recognises its token. */
export type ApiKeyView = Omit<ApiKey, 'hash' | 'fingerprint'>;

type Wanted = Pick<ApiKey, 'name' | 'roles' | 'scopes' | 'workspaces' | 'expiresAt'>;

/** API keys of tenants. */
export class ApiKeys {
  constructor(private readonly catalog: Pick<Catalog<ApiKey>, 'get' | 'values' | 'create' | 'update'>) {}

  /** `token` is undefined for a request that came again: it was in the first answer, and nowhere else. Throws Problem, LogError. */
  async create(
    tenant: string,
    wanted: Wanted,
    by: Principal,
    idempotency?: Idempotency,
  ): Promise<{ readonly key: ApiKeyView; readonly token: string | undefined }> {
    mustHold(by, wanted);
    const { key, token } = createApiKey(
      {
        ...wanted,
        tenant,
        createdAt: new Date().toISOString(),
        createdBy: by.actor,
        ...(idempotency && { fingerprint: idempotency.fingerprint }),
      },
      idempotency && apiKeyIdFor(tenant, idempotency.key),
    );
    const known = await this.catalog.create(key.id, key);
    if (known === undefined) return { key: viewOf(key), token };
    if (known.fingerprint === key.fingerprint) return { key: viewOf(known), token: undefined };
    throw new Problem(409, 'IDEMPOTENCY_KEY_REUSED', 'this idempotency key came with another body before; give every request a key of its own');
  }

  /** Newest first: those of the workspaces of who asks. */
  list(tenant: string, by: Principal): readonly ApiKeyView[] {
    const own = this.catalog.values().filter((key) => key.tenant === tenant && isWithin(by, key.workspaces));
    return own.toSorted((a, b) => (a.createdAt < b.createdAt ? 1 : -1)).map(viewOf);
  }

  /** Again changes nothing. Throws Problem KEY_NOT_FOUND, WORKSPACE_FORBIDDEN, LogError. */
  async revoke(tenant: string, id: string, by: Principal): Promise<ApiKeyView> {
    const known = this.catalog.get(id);
    if (known?.tenant !== tenant) throw notFound();
    if (!isWithin(by, known.workspaces)) throw new Problem(403, 'WORKSPACE_FORBIDDEN', 'this API key is for more than your workspaces');
    const revokedAt = new Date().toISOString();
    const revoked = await this.catalog.update(id, (key) => ({ revokedAt, ...key }));
    if (!revoked) throw notFound();
    return viewOf(revoked);
  }
}

const viewOf = (key: ApiKey): ApiKeyView => {
  const { hash: _hash, fingerprint: _fingerprint, ...view } = key;
  return view;
};

const notFound = (): Problem => new Problem(404, 'KEY_NOT_FOUND', 'your tenant has no API key with this id; GET /api/v1/keys lists them');

/** Whether something for these workspaces, undefined for all, is for none but those of who asks. */
const isWithin = (by: Principal, workspaces: readonly string[] | undefined): boolean =>
  by.workspaces === undefined || (workspaces?.every((workspace) => by.workspaces?.includes(workspace)) ?? false);

/** Nobody makes a key that may do more than they, and no key one that may do it for longer. */
const mustHold = (by: Principal, { roles: wantedRoles, scopes, workspaces, expiresAt }: Wanted): void => {
  const granted = new Set<Permission>(wantedRoles.flatMap((role) => grants[role]).filter((permission) => scopes?.includes(permission) ?? true));
  const missing = [...granted].filter((permission) => !may(by, permission));
  if (missing.length > 0) throw new Problem(403, 'KEY_TOO_POWERFUL', `the key would be allowed ${missing.join(', ')}, which you are not`);
  // A person's token ends with their session, not with what they may.
  const endsAt = by.actor.startsWith('key:') ? by.expiresAt : undefined;
  if (endsAt !== undefined && (expiresAt === undefined || Date.parse(expiresAt) > endsAt)) {
    throw new Problem(403, 'KEY_TOO_POWERFUL', `the key would outlive yours; give it an expiresAt of ${new Date(endsAt).toISOString()} at most`);
  }
  if (!isWithin(by, workspaces)) {
    throw new Problem(403, 'KEY_TOO_POWERFUL', `the key would see workspaces that you do not; yours are ${by.workspaces?.join(', ')}`);
  }
};

const listFaults = (value: unknown, path: string, isKnown: (item: unknown) => boolean, known: string): Fault[] => {
  if (value === undefined) return [];
  if (!Array.isArray(value) || value.length === 0 || value.length > 100) return [{ path, message: 'must be a list of 1 to 100' }];
  return value.flatMap((item, index) => (isKnown(item) ? [] : [{ path: `${path}/${index}`, message: known }]));
};

/** The body of a request for an API key. Throws Problem BODY_INVALID. */
export const parseApiKeyRequest = (value: unknown): Wanted => {
  const body = bodyOf(value);
  const faults = unknownFields(body, ['name', 'roles', 'scopes', 'workspaces', 'expiresAt']);
  const { name, roles: wantedRoles, scopes, workspaces, expiresAt } = body;
  if (!isText(name, 100)) faults.push({ path: '/name', message: 'must be text of 1 to 100 printable characters: what the key is for' });
  if (wantedRoles === undefined) faults.push({ path: '/roles', message: `is needed; known are ${roles.join(', ')}` });
  faults.push(...listFaults(wantedRoles, '/roles', isRole, `must be one of ${roles.join(', ')}`));
  faults.push(...listFaults(scopes, '/scopes', isPermission, `must be one of ${permissions.join(', ')}`));
  faults.push(...listFaults(workspaces, '/workspaces', isToken, 'must be the id of a workspace'));
  const expiry = expiresAt === undefined ? undefined : utcOf(expiresAt);
  if (expiresAt !== undefined && (expiry === undefined || Date.parse(expiry) <= Date.now())) {
    faults.push({ path: '/expiresAt', message: 'must be an RFC 3339 time to come, with its zone' });
  }
  refuseFaults(faults, 'BODY_INVALID');
  return {
    name: name as string,
    roles: [...new Set(wantedRoles as Wanted['roles'])],
    ...(scopes !== undefined && { scopes: [...new Set(scopes as Permission[])] }),
    ...(workspaces !== undefined && { workspaces: [...new Set(workspaces as string[])] }),
    ...(expiry !== undefined && { expiresAt: expiry }),
  };
};
