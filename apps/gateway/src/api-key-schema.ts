import { permissions, roles } from '#libs/access';
import { type Schema, token } from './plan-schema.js';

/** The body of a request for an API key. */
export const newKeySchema: Schema = {
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
export const exampleKey = { name: 'a worker', roles: ['worker'] } as const;
