import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ExecutionRef } from '#libs/contracts';
import type { ClientCommand } from '#libs/execution';
import { principalOf } from './access.js';
import type { ExecutionReads } from './execution-reads.js';
import type { Accepted, Caller, Executions } from './executions.js';
import { idempotencyOf } from './idempotency-key.js';
import { correlationOf, executionRef } from './request-context.js';
import { mustSee } from './workspaces.js';

/** The same verb and body under the same key are the same request. */
export const callerOf = (request: FastifyRequest, verb: string, body: unknown): Caller => ({
  actor: principalOf(request).actor,
  correlationId: correlationOf(request),
  idempotency: idempotencyOf(request, verb, body),
});

/** Throws Problem ID_INVALID, WORKSPACE_FORBIDDEN. */
export const visibleRef = async (reads: ExecutionReads, tenant: string, id: string, request: FastifyRequest): Promise<ExecutionRef> => {
  const ref = executionRef(tenant, id);
  await mustSee(request, ref, (seen) => reads.labels(seen));
  return ref;
};

/** A command to one execution. `verb`: all of what is asked for that does not stand in the body. */
export const control = async (
  executions: Executions,
  ref: ExecutionRef,
  request: FastifyRequest,
  reply: FastifyReply,
  command: ClientCommand,
  verb: string,
): Promise<object> => {
  const { replayed, origin: _, ...answer } = await executions.control(ref, command, callerOf(request, verb, request.body));
  if (replayed) void reply.header('idempotency-replayed', 'true');
  return answer;
};

/** The answer to whoever asked for an execution. */
export const accepted = ({ id, status, sequence, origin, replayed }: Accepted, reply: FastifyReply): object => {
  const self = `/api/v1/executions/${id}`;
  void reply.header('location', self);
  if (replayed) void reply.header('idempotency-replayed', 'true');
  return { id, status, sequence, ...(origin && { origin }), links: { self, tasks: `${self}/tasks`, events: `${self}/events`, output: `${self}/output` } };
};
