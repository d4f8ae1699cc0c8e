import { applyDecorators } from '@nestjs/common';
import { ApiBody, ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { BulkAction } from '#libs/contracts';
import { answers } from './answer-schema.js';
import { RATE, actionable } from './bulk-request.js';
import { elsewhere, keyed, ok, refusal, tenant, workspace } from './openapi.js';
import { type Schema, labelsSchema, token } from './schema.js';

const time: Schema = { type: 'string', format: 'date-time' };

const filterOf = (action: BulkAction): Schema => ({
  type: 'object',
  additionalProperties: false,
  minProperties: 1,
  description: 'All of it has to fit, and only what was requested before this request does.',
  properties: {
    status: {
      type: 'array',
      items: { type: 'string', enum: [...actionable[action]] },
      description: action === 'retry' ? 'Default: failed. What another execution carries on already is left out, and so are tasks of other executions.' : 'Default: all of these.',
    },
    labels: labelsSchema,
    name: { type: 'string', description: 'Exact, or with a trailing * a prefix.' },
    from: { ...time, description: 'Requested at or after.' },
    until: { ...time, description: 'Requested before.' },
    origin: { ...token, description: 'Those that carry on this execution.' },
  },
});

const reason: Schema = { type: 'string', minLength: 1, maxLength: 500, description: 'Stands in the events of each.' };

const bulk = (action: BulkAction, summary: string, properties: Readonly<Record<string, Schema>> = {}): MethodDecorator =>
  applyDecorators(
    ApiTags('bulk') as MethodDecorator,
    tenant,
    workspace,
    keyed,
    ApiOperation({ summary }),
    ApiBody({
      schema: {
        type: 'object',
        additionalProperties: false,
        required: ['filter'],
        properties: {
          filter: filterOf(action),
          dryRun: { type: 'boolean', default: false, description: 'Counts what fits, and changes nothing.' },
          ratePerSecond: { type: 'integer', minimum: RATE.least, maximum: RATE.most, default: RATE.usual },
          ...properties,
        },
      },
      examples: { [`bulk-${action}`]: { summary: 'How many there are', value: { filter: { labels: { team: 'docs' } }, dryRun: true } } },
    }),
    ok(answers.accepted, 'Durable: an execution whose one task does it, and tells how far it has come.', 202),
    ApiResponse({ status: 200, description: 'Of a dry run.', schema: answers.dryRun }) as MethodDecorator,
    refusal(400, 'TENANT_INVALID, WORKSPACE_INVALID, WORKSPACE_MISSING, IDEMPOTENCY_KEY_INVALID, BODY_EMPTY, BODY_NOT_JSON, BODY_INVALID'),
    elsewhere,
    refusal(409, 'IDEMPOTENCY_KEY_REUSED'),
    refusal(429, 'TOO_MANY_REQUESTS, TENANT_LIMIT: try again after Retry-After seconds'),
    refusal(503, 'LOG_UNAVAILABLE, LOG_FULL, LOG_NEARLY_FULL, PROJECTION_UNAVAILABLE; OUTCOME_UNKNOWN: send it again with the same key'),
  );

/** What the API description says of each route. */
export const describeBulk = {
  pause: () => bulk('pause', 'Pause all executions that fit', { reason }),
  resume: () => bulk('resume', 'Resume all paused executions that fit', { reason }),
  cancel: () =>
    bulk('cancel', 'Cancel all executions that fit', {
      reason,
      mode: { type: 'string', enum: ['graceful', 'immediate'], description: 'graceful lets running tasks finish; default immediate.' },
    }),
  retry: () => bulk('retry', 'Retry all failed executions that fit, each in a new execution'),
  delete: () => bulk('delete', 'Delete all executions that fit and have ended', { reason }),
};
