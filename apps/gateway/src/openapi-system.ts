import { applyDecorators } from '@nestjs/common';
import { ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import { answers } from './answer-schema.js';
import { minSeq, ok, refusal, tenant } from './openapi.js';
import { type Schema } from './schema.js';

const system = (summary: string, schema: Schema, ...more: MethodDecorator[]): MethodDecorator =>
  applyDecorators(ApiTags('system') as MethodDecorator, ApiOperation({ summary }), ok(schema), ...more);

export const describeSystem = {
  root: () => system('What this is', answers.root),
  health: () => system('The process is alive', answers.health),
  ready: () => system('It can accept commands', answers.ready, ApiResponse({ status: 503, schema: answers.ready }) as MethodDecorator),
  stats: () => system('Counts, durations and throughput', answers.stats, tenant, minSeq, refusal(503, 'PROJECTION_UNAVAILABLE, PROJECTION_BEHIND')),
};
