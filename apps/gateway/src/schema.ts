import type { OpenAPIObject } from '@nestjs/swagger';

type AnySchema = NonNullable<NonNullable<OpenAPIObject['components']>['schemas']>[string];
export type Schema = Exclude<AnySchema, { $ref: string }>;

const YEAR_MS = 366 * 24 * 3_600_000;

export const token: Schema = { type: 'string', pattern: '^[A-Za-z0-9_-]{1,64}$' };
export const duration = (description: string, minimum = 1): Schema => ({ type: 'integer', minimum, maximum: YEAR_MS, description: `Milliseconds. ${description}` });

export const labelsSchema: Schema = {
  type: 'object',
  additionalProperties: { type: 'string' },
  maxProperties: 32,
  description: 'Keys match ^[A-Za-z0-9_.-]{1,64}$, values are 1 to 256 printable characters.',
};
