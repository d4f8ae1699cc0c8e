import { randomUUID } from 'node:crypto';
import { isIP } from 'node:net';
import type { FastifyRequest } from 'fastify';
import { type ExecutionRef, isToken } from '#libs/contracts';
import { principalOf } from './access.js';
import { Problem } from './problem.js';

/** The configured tenant, for injection. */
export const TENANT = Symbol('tenant');

const correlation = /^[A-Za-z0-9_.:-]{1,128}$/;
const ids = new WeakMap<object, string>();

/** The client's X-Correlation-ID where it is usable, else one made for this request. */
export const correlationOf = (request: FastifyRequest): string => {
  const known = ids.get(request.raw);
  if (known !== undefined) return known;
  const given = request.headers['x-correlation-id'];
  const id = typeof given === 'string' && correlation.test(given) ? given : randomUUID();
  ids.set(request.raw, id);
  return id;
};

const refusals = new WeakMap<object, string>();

/** The code that a request was refused with; undefined where it was not. */
export const refusalOf = (request: FastifyRequest): string | undefined => refusals.get(request.raw);
export const noteRefusal = (request: FastifyRequest, code: string): void => void refusals.set(request.raw, code);

/** The client's address: the socket's, or what trusted proxies say it is, where that is an address. */
export const addressOf = ({ ip, socket }: FastifyRequest): string => {
  const address = isIP(ip ?? '') ? ip : (socket.remoteAddress ?? '');
  return address.replace(/^::ffff:(?=\d+\.)/, '');
};

/** The URL as it may be shown and logged: without the token in it, however the name of its parameter is written. */
export const urlOf = ({ url }: FastifyRequest): string =>
  url.replace(/([?&])([^=&]*)=[^&]*/g, (whole, before: string, name: string) => (decoded(name) === 'access_token' ? `${before}${name}=***` : whole));

const decoded = (name: string): string => {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
};

/**
 * The tenant of the credentials; without authentication the one named by X-Tenant-ID, else the configured one. Throws Problem
 * TENANT_INVALID, and TENANT_NOT_FOUND for a header that names another than the credentials.
 */
export const tenantOf = (request: FastifyRequest, configured: string): string => {
  const own = principalOf(request).tenant;
  const given = request.raw.headersDistinct['x-tenant-id'];
  if (given === undefined) return own ?? configured;
  const [tenant] = given;
  if (given.length === 1 && isToken(tenant)) {
    if (own === undefined || own === tenant) return tenant;
    throw new Problem(404, 'TENANT_NOT_FOUND', 'your credentials know no such tenant; leave X-Tenant-ID out to act in your own');
  }
  throw new Problem(400, 'TENANT_INVALID', 'X-Tenant-ID must be given once and match ^[A-Za-z0-9_-]{1,64}$');
};

/** Throws Problem ID_INVALID. */
export const signalName = (name: string): string => {
  if (isToken(name)) return name;
  throw new Problem(400, 'ID_INVALID', 'the name of a signal matches ^[A-Za-z0-9_-]{1,64}$; take the one that the task waits for');
};

/** Throws Problem ID_INVALID before the id comes near a subject. */
export const executionRef = (tenant: string, execution: string): ExecutionRef => {
  if (isToken(execution)) return { tenant, execution };
  throw new Problem(400, 'ID_INVALID', 'an execution id matches ^[A-Za-z0-9_-]{1,64}$; take it from the answer to the request');
};
