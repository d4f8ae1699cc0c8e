import { applyDecorators } from '@nestjs/common';
import { ApiOperation, ApiQuery } from '@nestjs/swagger';
import { answers } from './answer-schema.js';
import { ofOneCommand, ok, refusal } from './openapi.js';

export const describeDeletion = (): MethodDecorator =>
  applyDecorators(
    ofOneCommand,
    ApiOperation({
      summary: 'Delete an execution that has ended, with its history, output and artifacts',
      description: 'From then on whoever asks for it is told 410, when and by whom. Its id, and the Idempotency-Key it was requested with, are never used again.',
    }),
    ApiQuery({ name: 'reason', required: false, description: 'Stays with the deletion.', schema: { type: 'string', minLength: 1, maxLength: 500 } }),
    ok(answers.controlled, 'Durable: it is deleted, and what it has left is being removed. `changed` is false where it was deleted already.', 202),
    refusal(400, 'ID_INVALID, TENANT_INVALID, QUERY_INVALID'),
    refusal(409, 'EXECUTION_NOT_ENDED: cancel it first; IDEMPOTENCY_KEY_REUSED'),
  );
