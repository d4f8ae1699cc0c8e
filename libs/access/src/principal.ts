import { type Permission, type Role, grants } from './roles.js';

/** Who asks, as its credentials say. */
export type Principal = {
  /** Stands in events as their actor: `key:<id>`, `user:<subject>`, or `anonymous`. */
  readonly actor: string;
  /** The only tenant it acts in; undefined for the anonymous of a server without authentication, who may name any. */
  readonly tenant: string | undefined;
  /** The only workspaces it sees; undefined for all of its tenant. */
  readonly workspaces: readonly string[] | undefined;
  readonly roles: readonly Role[];
  /** Of what the roles grant, only this; undefined for all. */
  readonly scopes: readonly Permission[] | undefined;
  /** Milliseconds since the epoch; undefined where nothing ends it. */
  readonly expiresAt: number | undefined;
};

/** Everyone, on a server without authentication. */
export const anonymous: Principal = {
  actor: 'anonymous',
  tenant: undefined,
  workspaces: undefined,
  roles: ['admin'],
  scopes: undefined,
  expiresAt: undefined,
};

export const may = ({ roles, scopes }: Principal, permission: Permission): boolean =>
  roles.some((role) => grants[role].includes(permission)) && (scopes?.includes(permission) ?? true);
