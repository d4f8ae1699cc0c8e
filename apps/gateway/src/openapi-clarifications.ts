import { applyDecorators } from '@nestjs/common';
import { ApiBody, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';
import { answers } from './answer-schema.js';
import { deleted, elsewhere, id, invalid, keyed, minSeq, ok, query, read, refusal, tenant, unavailable, workspace } from './openapi.js';
import { type Schema, token } from './schema.js';

/** The body that a clarification is answered with. */
const responseSchema: Schema = {
  type: 'object',
  required: ['decision'],
  additionalProperties: false,
  properties: { decision: { type: 'string', enum: ['approve', 'reject'] }, reason: { type: 'string', minLength: 1, maxLength: 500 } },
};

const delegationSchema: Schema = {
  type: 'object',
  required: ['to'],
  additionalProperties: false,
  properties: { to: { type: 'string', description: 'An actor: user:ada, key:<id>.' } },
};

const exampleResponse = { decision: 'approve', reason: 'read and tried' } as const;
const exampleDelegation = { to: 'user:grace' } as const;

const clarifications = ApiTags('clarifications') as MethodDecorator;
const taskOf = (example: string): MethodDecorator => ApiParam({ name: 'task', description: 'The task that asks.', schema: { ...token, example } }) as MethodDecorator;

const answerTo = (summary: string, task: string, schema: Schema, examples: Readonly<Record<string, { summary: string; value: object }>>): MethodDecorator =>
  applyDecorators(
    clarifications,
    tenant,
    workspace,
    keyed,
    id,
    taskOf(task),
    ApiOperation({ summary }),
    ApiBody({ schema, examples }),
    ok(answers.controlled, 'Durable.'),
    invalid,
    refusal(403, 'FORBIDDEN, WORKSPACE_FORBIDDEN, NOT_AN_APPROVER, SELF_APPROVAL'),
    refusal(404, 'EXECUTION_NOT_FOUND, CLARIFICATION_NOT_FOUND'),
    deleted,
    refusal(409, 'CLARIFICATION_CLOSED, ALREADY_ANSWERED, DELEGATION_REFUSED, IDEMPOTENCY_KEY_REUSED'),
    refusal(503, 'LOG_UNAVAILABLE, OUTCOME_UNKNOWN, EXECUTION_BUSY: try again after Retry-After seconds'),
  );

export const describeClarifications = {
  list: () => read('Its clarifications, in the order they were asked', answers.clarifications, clarifications),
  pending: () =>
    applyDecorators(
      clarifications,
      tenant,
      workspace,
      ApiOperation({ summary: 'Clarifications that wait for an answer, longest first' }),
      query('limit', '1 to 200, default 50.', 'integer'),
      query('cursor', '`next` of the page before.'),
      minSeq,
      ok(answers.pending),
      refusal(400, 'TENANT_INVALID, WORKSPACE_INVALID, WORKSPACE_MISSING, QUERY_INVALID, CURSOR_INVALID'),
      elsewhere,
      unavailable,
    ),
  respond: () =>
    answerTo('Approve or reject: one rejection ends it, and so does the last approval that it takes', 'approve', responseSchema, {
      approve: { summary: 'An approval', value: exampleResponse },
    }),
  delegate: () =>
    answerTo('Leave your answer to somebody else', 'sign', delegationSchema, { delegate: { summary: 'To a person', value: exampleDelegation } }),
};
