import { applyDecorators } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { answers } from './answer-schema.js';
import { ok, query, refusal, tenant } from './openapi.js';

export const describeAudit = (): MethodDecorator =>
  applyDecorators(
    ApiTags('audit') as MethodDecorator,
    tenant,
    ApiOperation({ summary: 'Who did what, from where, refused or not: the newest first' }),
    query('actor', '`key:<id>`, `user:<subject>`, or `anonymous`.'),
    query('permission', 'What the route needed.'),
    query('outcome', 'done, refused (4xx) or failed (5xx).'),
    query('from', 'Answered at or after, RFC 3339.'),
    query('until', 'Answered before, RFC 3339.'),
    query('limit', '1 to 1000, default 100.', 'integer'),
    query('cursor', '`next` of the page before.', 'integer'),
    ok(answers.audit),
    refusal(400, 'TENANT_INVALID, QUERY_INVALID'),
    refusal(503, 'LOG_UNAVAILABLE'),
  );
