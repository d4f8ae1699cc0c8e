import { applyDecorators } from '@nestjs/common';
import { ApiBody, ApiOperation } from '@nestjs/swagger';
import { answers } from './answer-schema.js';
import { elsewhere, executions, id, keyed, ok, refusal, tenant, workspace } from './openapi.js';
import { labelsSchema, token } from './schema.js';

const successor = (summary: string, conflicts: string, ...more: MethodDecorator[]): MethodDecorator =>
  applyDecorators(
    executions,
    tenant,
    workspace,
    keyed,
    id,
    ApiOperation({ summary }),
    ok(answers.succeeded, 'Durable: an execution of its own, with what is carried over in its own history. Location is where to read it.', 202),
    refusal(400, 'ID_INVALID, TENANT_INVALID, IDEMPOTENCY_KEY_INVALID, BODY_NOT_JSON, BODY_INVALID'),
    elsewhere,
    refusal(409, conflicts),
    refusal(413, "PLAN_TOO_LARGE: plan, input and what is carried over, or the tenant's limit"),
    refusal(429, 'TOO_MANY_REQUESTS, TENANT_LIMIT: try again after Retry-After seconds'),
    refusal(503, 'LOG_UNAVAILABLE, LOG_FULL, LOG_NEARLY_FULL; OUTCOME_UNKNOWN: send it again with the same key, or read it first'),
    ...more,
  );

/** What the API description says of each route. */
export const describeSuccessors = {
  retry: () =>
    successor(
      'Retry from where it failed: what ended well stays, the rest runs anew in a new execution',
      'EXECUTION_NOT_ENDED, NOTHING_TO_RETRY: it completed; PLAN_INCOMPLETE: not all of it was ever there; IDEMPOTENCY_KEY_REUSED',
      ApiBody({ required: false, schema: { type: 'object', additionalProperties: false, properties: {} } }),
      refusal(404, 'EXECUTION_NOT_FOUND'),
    ),
  rerun: () =>
    successor(
      'Rerun from a task: it and all that depends on it run anew in a new execution, with what did not end well',
      'EXECUTION_NOT_ENDED, IDEMPOTENCY_KEY_REUSED',
      ApiBody({
        schema: { type: 'object', additionalProperties: false, required: ['fromTask'], properties: { fromTask: token } },
        examples: { rerun: { summary: 'From its first task', value: { fromTask: 'greet' } } },
      }),
      refusal(404, 'EXECUTION_NOT_FOUND, TASK_NOT_FOUND'),
    ),
  fork: () =>
    successor(
      'Fork: a new execution with what had ended well by then, and another input, while this one goes on',
      'IDEMPOTENCY_KEY_REUSED',
      ApiBody({
        required: false,
        schema: {
          type: 'object',
          additionalProperties: false,
          properties: {
            atSequence: { type: 'integer', minimum: 1, description: 'A log sequence: what was known then. Default: what is known now.' },
            input: { type: 'object', description: 'In the place of its input.' },
            labels: { ...labelsSchema, description: 'In the place of its labels; its workspace stays.' },
          },
        },
        examples: { fork: { summary: 'With another input', value: { input: { name: 'ada' }, labels: { team: 'docs' } } } },
      }),
      refusal(404, 'EXECUTION_NOT_FOUND, also where it did not exist yet at that sequence'),
    ),
};
