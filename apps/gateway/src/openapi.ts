import { applyDecorators } from '@nestjs/common';
import { ApiHeader, ApiOperation, ApiParam, ApiQuery, ApiResponse, ApiTags } from '@nestjs/swagger';
import { answers } from './answer-schema.js';
import { type Schema, token } from './schema.js';

export const ok = (schema: Schema, description = '', status = 200): MethodDecorator => ApiResponse({ status, description, schema }) as MethodDecorator;

export const refusal = (status: number, description: string): MethodDecorator =>
  ApiResponse({ status, description, content: { 'application/problem+json': { schema: answers.problem } } }) as MethodDecorator;

export const tenant = applyDecorators(
  ApiHeader({ name: 'X-Tenant-ID', required: false, description: "Default: the server's own tenant." }),
  ApiHeader({ name: 'X-Correlation-ID', required: false, description: 'Comes back, and stands in the events that the request causes.' }),
) as MethodDecorator;
export const workspace = ApiHeader({
  name: 'X-Workspace-ID',
  required: false,
  schema: { ...token },
  description: 'The workspace to act in: what is requested belongs to it, and lists show what does. Default: the only one of the credentials.',
}) as MethodDecorator;
export const elsewhere = refusal(403, 'FORBIDDEN, WORKSPACE_FORBIDDEN');
export const keySchema: Schema = { type: 'string', minLength: 1, maxLength: 255, pattern: '^[\\x21-\\x7e]+$' };
export const keyed = applyDecorators(
  ApiHeader({
    name: 'Idempotency-Key',
    required: false,
    schema: { ...keySchema },
    description:
      'Names this request: sent again, it gets the same answer, with Idempotency-Replayed: true; with another body it is refused. ' +
      'Keys of requests are per tenant, those of commands per execution.',
  }),
) as MethodDecorator;
export const id = ApiParam({ name: 'id', schema: { ...token } });
export const invalid = refusal(400, 'ID_INVALID, TENANT_INVALID, QUERY_INVALID, BODY_NOT_JSON, BODY_INVALID');
export const deleted = refusal(410, 'EXECUTION_DELETED: when, by whom, and why');
export const unknown = applyDecorators(refusal(404, 'EXECUTION_NOT_FOUND'), deleted) as MethodDecorator;
export const unavailable = refusal(503, 'LOG_UNAVAILABLE, OUTCOME_UNKNOWN, PROJECTION_UNAVAILABLE, PROJECTION_BEHIND, SEQUENCE_NOT_REACHED: try again after Retry-After seconds');
export const query = (name: string, description: string, type: 'string' | 'integer' = 'string'): MethodDecorator =>
  ApiQuery({ name, required: false, description, schema: { type } });

export const minSeq = query('minSeq', '`sequence` of an answer to a write: what is answered knows it, or it is 503 with Retry-After.', 'integer');

export const executions = ApiTags('executions') as MethodDecorator;

/** What every command to an execution has. */
export const ofOneCommand = applyDecorators(
  executions,
  tenant,
  workspace,
  keyed,
  id,
  elsewhere,
  unknown,
  refusal(503, 'LOG_UNAVAILABLE, OUTCOME_UNKNOWN, EXECUTION_BUSY: try again after Retry-After seconds'),
) as MethodDecorator;

/** What every read of one execution, and every read of a tenant's, has in common. */
export const executionRead = (): MethodDecorator => applyDecorators(executions, tenant, workspace, id, invalid, elsewhere, unknown, unavailable);
export const tenantRead = (): MethodDecorator => applyDecorators(executions, tenant, workspace, invalid, elsewhere, unavailable);

const asOf = query('asOf', 'A log sequence or an RFC 3339 time: what was known then, from the log.');

/** A read of one execution, as it is or as it was. */
export const read = (summary: string, schema: Schema, ...more: MethodDecorator[]): MethodDecorator =>
  applyDecorators(executions, tenant, workspace, id, ApiOperation({ summary }), ok(schema), invalid, elsewhere, unknown, unavailable, asOf, minSeq, ...more);
