import { fields, mapOf, plainObject, text } from './input.js';

const labelKey = /^[A-Za-z0-9_.-]{1,64}$/;
const MAX_LABELS = 32;

/**
 * `{ plan, input?, name?, labels? }`: what a child is requested with. What its plan has to be, the core knows; its input stands in the log
 * for every task of it to see, and takes no secrets.
 */
export const executionInput = fields(
  {
    plan: (value, path) => (typeof value === 'object' && value !== null && !Array.isArray(value) ? [] : [{ path, message: 'must be a plan: an object with name and tasks' }]),
    input: plainObject,
    name: text({ min: 1, max: 200 }),
    labels: mapOf((name) => (labelKey.test(name) ? undefined : `a label's key must match ${labelKey.source}`), text({ min: 1, max: 256 }), MAX_LABELS),
  },
  ['plan'],
);
