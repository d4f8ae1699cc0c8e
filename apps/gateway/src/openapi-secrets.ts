import { applyDecorators } from '@nestjs/common';
import { ApiBody, ApiOperation, ApiParam, ApiResponse, ApiTags } from '@nestjs/swagger';
import { answers } from './answer-schema.js';
import { ok, refusal, tenant } from './openapi.js';
import { type Schema, token } from './schema.js';

/** The body that a secret comes in. */
const secretSchema: Schema = {
  type: 'object',
  required: ['value'],
  additionalProperties: false,
  properties: { value: { type: 'string', writeOnly: true, minLength: 4, description: 'At most 16 KiB.' } },
};

/** Runs as it stands. */
const exampleSecret = { value: 'correct-horse-battery-staple' } as const;

const secretName = ApiParam({ name: 'name', schema: { ...token, example: 'deploy-token' } });

const secrets = (summary: string, ...more: MethodDecorator[]): MethodDecorator =>
  applyDecorators(
    ApiTags('secrets') as MethodDecorator,
    tenant,
    ApiOperation({ summary }),
    refusal(503, 'LOG_UNAVAILABLE, OUTCOME_UNKNOWN; SECRETS_KEY_MISSING: the gateway was started without RUNLEDGER_SECRETS_KEY_FILE'),
    ...more,
  );

export const describeSecrets = {
  list: () => secrets('Secrets of the tenant by name; nobody is told a value', ok(answers.secrets)),
  put: () =>
    secrets(
      'Store a secret, or give it another value: the next attempt of a task gets that',
      secretName,
      ApiBody({ schema: secretSchema, examples: { token: { summary: 'A token', value: exampleSecret } } }),
      ok(answers.secret, 'Another value; sealed and durable.', 200),
      ok(answers.secret, 'A new secret; sealed and durable.', 201),
      refusal(400, 'ID_INVALID, BODY_NOT_JSON, BODY_INVALID'),
      refusal(409, 'SECRETS_FULL'),
    ),
  delete: () =>
    secrets(
      'Delete a secret: attempts that refer to it fail from now on',
      secretName,
      ApiResponse({ status: 204, description: 'Gone.' }) as MethodDecorator,
      refusal(400, 'ID_INVALID'),
      refusal(404, 'SECRET_UNKNOWN'),
    ),
};
