import { applyDecorators } from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import { ApiExtension } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import { AccessError, type Authenticator, type Permission, type Principal, anonymous, may, rolesWith } from '#libs/access';
import { Problem } from './problem.js';

type RouteAccess = {
  /** What the route needs; `public`: nothing, not even credentials. Without it nobody gets in. */
  readonly access?: Permission | 'public';
  /** A browser opens it by itself, and can't send an Authorization header. */
  readonly browser?: boolean;
  /** It keeps to the workspaces of who asks. Without it, credentials that are limited to some are refused. */
  readonly workspaces?: boolean;
  /** Its body is a form with a file, of any size, handed on as it comes. */
  readonly file?: boolean;
  /** Its answer goes on, in one of the places that there are: always, or where this parameter of the query is given. */
  readonly follows?: true | string;
};

/** Who may call a route. */
export const Allow = (access: Permission | 'public', { browser = false, workspaces = false, file = false, follows }: Omit<RouteAccess, 'access'> = {}): MethodDecorator =>
  applyDecorators(RouteConfig({ access, browser, workspaces, file, ...(follows !== undefined && { follows }) } satisfies RouteAccess), ApiExtension('x-permission', access)) as MethodDecorator;

/** Not ours to decorate: the description and its pages, which tell nothing about anyone. */
const pages = /^\/(docs|docs-json|docs-yaml|redoc)(\/|$)/;

const principals = new WeakMap<object, Principal>();

/** Who asks; everybody is anonymous where there is no authentication. */
export const principalOf = (request: FastifyRequest): Principal => principals.get(request.raw) ?? anonymous;

/** What the route of a request needs; undefined where nothing is served. */
export const accessOf = ({ routeOptions }: FastifyRequest): Permission | 'public' | undefined => (routeOptions.config as RouteAccess).access;

/** True for a route whose body is a form with a file. */
export const takesFile = ({ routeOptions }: FastifyRequest): boolean => (routeOptions.config as RouteAccess | undefined)?.file === true;

/** True for a request whose answer would go on. */
export const isFollowed = ({ routeOptions, query }: FastifyRequest): boolean => {
  const { follows } = (routeOptions.config ?? {}) as RouteAccess;
  return follows === true || (follows !== undefined && Object.hasOwn(query as object, follows));
};

/**
 * Hook onRequest: who asks and whether that may be done, before a body is read. `refused` hears of credentials that are missing or do
 * not count, and may refuse in its own words. Throws Problem, AccessError.
 */
export const accessHook =
  (authenticator: Authenticator, refused: (request: FastifyRequest) => Promise<void>) =>
  async (request: FastifyRequest): Promise<void> => {
    const { config, url } = request.routeOptions;
    const { access, browser = false, workspaces = false } = config as RouteAccess;
    if (access === 'public' || pages.test(url ?? '')) return;
    let principal: Principal;
    try {
      principal = await authenticator.authenticate(tokenOf(request, browser));
    } catch (error) {
      if (error instanceof AccessError && !error.retryable) await refused(request);
      throw error;
    }
    principals.set(request.raw, principal);
    // A path that nothing is served at is answered as such.
    if (url === undefined) return;
    if (!access) throw new Problem(403, 'FORBIDDEN', 'nobody may call this');
    if (!may(principal, access)) throw forbidden(access);
    if (principal.workspaces && !workspaces) throw ofTheTenant(principal.workspaces);
  };

const forbidden = (permission: Permission): Problem =>
  new Problem(403, 'FORBIDDEN', `this needs ${permission}, which your credentials do not have; roles that do: ${rolesWith(permission).join(', ')}`);

const ofTheTenant = (workspaces: readonly string[]): Problem =>
  new Problem(403, 'WORKSPACE_FORBIDDEN', `this concerns the whole tenant, and your credentials are for ${workspaces.join(', ')} alone; ask an admin of the tenant`);

const bearer = /^Bearer +([\w.~+/=-]{1,8192})$/i;
const cookie = /(?:^|; *)runledger_token=([\w.~+/=-]{1,8192})(?:;|$)/;

/** Throws AccessError CREDENTIALS_INVALID for an Authorization of another kind. */
const tokenOf = ({ headers, query, method }: FastifyRequest, browser: boolean): string | undefined => {
  const { authorization } = headers;
  if (authorization !== undefined) {
    const token = bearer.exec(authorization)?.[1];
    if (token === undefined) throw new AccessError('CREDENTIALS_INVALID', 'Authorization must be Bearer with an API key or a token');
    return token;
  }
  if (!browser || method !== 'GET') return undefined;
  const given = (query as Readonly<Record<string, unknown>>)['access_token'];
  if (typeof given === 'string') return given;
  // A cookie comes along wherever the request was made: only this server's own pages count, or a person who typed the address.
  const site = headers['sec-fetch-site'];
  return site === 'same-origin' || site === 'none' ? cookie.exec(headers.cookie ?? '')?.[1] : undefined;
};
