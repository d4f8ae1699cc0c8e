import { fields, plainObject } from './input.js';

const token = '(?:[A-Za-z0-9_-]{1,64}|\\*)';
const pattern = new RegExp(`^(?:>|${token}\\.>|${token}\\.${token}\\.(?:>|${token}))$`);
const message = 'must be <execution>.<entity>.<verb>, with * for one of them or > for the rest, such as *.execution.completed';

/** `{ subject, match? }`: below `events.<tenant>`, so that no other tenant's can be named. The waiting is the core's and the executor's. */
export const eventInput = fields(
  { subject: (value, path) => (typeof value === 'string' && pattern.test(value) ? [] : [{ path, message }]), match: plainObject },
  ['subject'],
);
