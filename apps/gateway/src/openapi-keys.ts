import { applyDecorators } from '@nestjs/common';
import { ApiBody, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';
import { permissions, roles } from '#libs/access';
import { answers } from './answer-schema.js';
import { elsewhere, keyed, ok, refusal, tenant } from './openapi.js';
import { type Schema, token } from './schema.js';

/** The body of a request for an API key. */
const newKeySchema: Schema = {
  type: 'object',
  required: ['name', 'roles'],
  additionalProperties: false,
  properties: {
    name: { type: 'string', minLength: 1, maxLength: 100, description: 'What it is for.' },
    roles: { type: 'array', minItems: 1, items: { type: 'string', enum: [...roles] } },
    scopes: { type: 'array', minItems: 1, items: { type: 'string', enum: [...permissions] }, description: 'Of what the roles grant, only this.' },
    workspaces: { type: 'array', minItems: 1, items: token, description: 'Default: all of the tenant.' },
    expiresAt: { type: 'string', format: 'date-time', description: 'Default: never.' },
  },
};

/** Runs as it stands. */
const exampleKey = { name: 'a worker', roles: ['worker'] } as const;

const apiKeys = (summary: string, ...more: MethodDecorator[]): MethodDecorator =>
  applyDecorators(ApiTags('keys') as MethodDecorator, tenant, ApiOperation({ summary }), refusal(503, 'LOG_UNAVAILABLE'), ...more);

export const describeKeys = {
  create: () =>
    apiKeys(
      'Make an API key: its token is in this answer and nowhere else',
      keyed,
      ApiBody({ schema: newKeySchema, examples: { worker: { summary: 'What a worker needs', value: exampleKey } } }),
      ok(answers.newKey, 'Known to every gateway at once.', 201),
      refusal(400, 'BODY_INVALID, IDEMPOTENCY_KEY_INVALID'),
      refusal(403, 'FORBIDDEN, KEY_TOO_POWERFUL'),
      refusal(409, 'IDEMPOTENCY_KEY_REUSED'),
    ),
  list: () => apiKeys('API keys of the tenant, newest first', ok(answers.keys)),
  revoke: () =>
    apiKeys(
      'Revoke an API key, on every gateway at once; again changes nothing',
      ApiParam({ name: 'id', schema: { type: 'string' } }),
      ok(answers.key),
      elsewhere,
      refusal(404, 'KEY_NOT_FOUND'),
    ),
};
