import { boolean, fields, integer, listOf, oneOf, text, type InputCheck, type ValueCheck } from './input.js';

const MAX_EXPIRY_MS = 366 * 86_400_000;
const person = /^((user|key):[^\s*]{1,200}|anonymous)$/;
const several = /^((user|key):[^\s*]{0,200}\*|role:[a-z]{1,32})$/;

const approver: ValueCheck = (value, path) =>
  typeof value === 'string' && (person.test(value) || several.test(value))
    ? []
    : [{ path, message: 'must be an actor (user:ada, key:<id>), a prefix of actors (user:*), or a role (role:approver)' }];

const count = integer(1, 100);
const required: ValueCheck = (value, path) =>
  value === 'any' || value === 'all' || count(value, path).length === 0 ? [] : [{ path, message: 'must be "any", "all", or an integer from 1 to 100' }];

const shape = fields(
  {
    title: text({ min: 1, max: 200 }),
    description: text({ max: 4_000 }),
    approvers: listOf(approver, { min: 1, max: 100 }),
    required,
    expiresInMs: integer(1, MAX_EXPIRY_MS),
    onExpiry: oneOf('reject', 'approve', 'fail'),
    delegable: boolean,
  },
  ['title'],
);

/** `{ title }`, and who may answer, how many of them it takes, and what follows where they do not. The asking is the core's. */
export const approvalInput: InputCheck = (input) => {
  const problems = shape(input);
  if (problems.length > 0) return problems;
  const { approvers, required: wanted, expiresInMs, onExpiry } = input;
  const people = Array.isArray(approvers) && approvers.every((entry) => person.test(String(entry))) ? new Set(approvers).size : undefined;
  if (wanted === 'all' && (people === undefined || people < (approvers as readonly unknown[]).length)) {
    return [{ path: '/required', message: '"all" needs approvers, each a person of their own: who all is can not be told of roles and prefixes' }];
  }
  if (people !== undefined && typeof wanted === 'number' && wanted > people) {
    return [{ path: '/required', message: `asks for ${wanted} approvals of ${people} approvers, each of whom answers once` }];
  }
  return onExpiry !== undefined && expiresInMs === undefined ? [{ path: '/onExpiry', message: 'needs expiresInMs' }] : [];
};
