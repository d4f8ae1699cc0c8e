import { applyDecorators } from '@nestjs/common';
import { ApiHeader, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';
import { answers } from './answer-schema.js';
import { keySchema, ok, refusal } from './openapi.js';

const projectionName = ApiParam({ name: 'name', description: '`name` in the list of projections.', schema: { type: 'string', example: 'status' } });

const projection = (summary: string, ...more: MethodDecorator[]): MethodDecorator =>
  applyDecorators(ApiTags('projections') as MethodDecorator, ApiOperation({ summary }), refusal(503, 'PROJECTION_UNAVAILABLE'), ...more);

export const describeProjections = {
  list: () => projection('The read models: how far each knows the log, its rebuild and losses of the log it has met', ok(answers.projections)),
  one: () => projection('One read model', ok(answers.projection), projectionName, refusal(404, 'PROJECTION_UNKNOWN')),
  rebuild: () =>
    projection(
      'Rebuild it from the log, beside the live rows',
      ok(answers.rebuild, 'Promised: also a projector that is killed does it. The one under way, where there is one. Location is where to see how it goes.', 202),
      projectionName,
      ApiHeader({
        name: 'Idempotency-Key',
        required: false,
        schema: { ...keySchema },
        description: 'Names this rebuild: sent again, it begins no other one, as long as it runs or was the last.',
      }) as MethodDecorator,
      refusal(400, 'IDEMPOTENCY_KEY_INVALID, BODY_INVALID'),
      refusal(403, 'FORBIDDEN, OPERATOR_ONLY'),
      refusal(404, 'PROJECTION_UNKNOWN'),
    ),
};
