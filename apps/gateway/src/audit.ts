import { randomUUID } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { AuditRecord } from '#libs/contracts';
import { accessOf, principalOf } from './access.js';
import { Refusals } from './refusals.js';
import { addressOf, correlationOf, refusalOf } from './request-context.js';

const harmless: readonly string[] = ['GET', 'HEAD', 'OPTIONS'];
const whoAsks: readonly number[] = [401, 403, 429];

/** What is noted of a request: 200 characters of printable ASCII at most. */
const printable = (text: string): string => text.slice(0, 200).replace(/[^\x20-\x7e]/g, '?');

type Options = {
  readonly trail: { add(record: AuditRecord): void };
  /** Of what came without credentials that count. */
  readonly tenant: string;
};

type Hook = (request: FastifyRequest, reply: FastifyReply, payload: unknown, done: () => void) => void;

/**
 * Hook onSend: what was to change something is recorded, and what was refused for who asks; reads that were answered are not. Not
 * onResponse, which never comes for a client that has hung up.
 */
export const auditHook = (options: Options): Hook => {
  const refusals = new Refusals();
  return (request, reply, _payload, done) => {
    done();
    const { statusCode: status } = reply;
    const isRefused = whoAsks.includes(status);
    const isChange = !harmless.includes(request.method) && request.routeOptions.url !== undefined;
    if (!isRefused && !isChange) return;
    const record = recordOf(request, reply, options);
    const omitted = isRefused ? refusals.take(`${record.tenant} ${record.actor} ${record.address}`) : 0;
    if (omitted !== undefined) options.trail.add(omitted > 0 ? { ...record, omitted } : record);
  };
};

const recordOf = (request: FastifyRequest, reply: FastifyReply, { tenant }: Options): AuditRecord => {
  const principal = principalOf(request);
  const { 'user-agent': userAgent } = request.headers;
  const [route, permission, code, target] = [request.routeOptions.url, accessOf(request), refusalOf(request), targetOf(request, reply)];
  return {
    id: randomUUID(),
    at: new Date().toISOString(),
    tenant: principal.tenant ?? tenant,
    actor: principal.actor,
    method: request.method,
    status: reply.statusCode,
    address: addressOf(request),
    correlationId: correlationOf(request),
    ...(permission !== undefined && { permission }),
    ...(route !== undefined && { route: route.replace(/:(\w+)/g, '{$1}') }),
    ...(target !== undefined && { target: printable(target) }),
    ...(code !== undefined && { code }),
    ...(userAgent !== undefined && { userAgent: printable(userAgent) }),
  };
};

const targetOf = (request: FastifyRequest, reply: FastifyReply): string | undefined => {
  const { id, name } = (request.params ?? {}) as Readonly<Record<string, string | undefined>>;
  const location = reply.getHeader('location');
  return id ?? name ?? (typeof location === 'string' ? location.slice(location.lastIndexOf('/') + 1) : undefined);
};
