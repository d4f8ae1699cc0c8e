import { messages } from './generated/schema.js';

/** Where a value is not what the contract says, and what it should be. `path` is a JSON pointer; '' is the value itself. */
export type SchemaFault = { readonly path: string; readonly message: string };

type Fields = { readonly [name: string]: unknown };
type Messages = { readonly [name: string]: { readonly [field: string]: string } };

const known: Messages = messages;
const rfc3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/;

const isObject = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);
const pointer = (path: string, key: string | number): string => `${path}/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`;

/** Undefined for a value of the type; else the first fault. */
const typed = (type: string, value: unknown, path: string): SchemaFault | undefined => {
  const unless = (holds: boolean, message: string): SchemaFault | undefined => (holds ? undefined : { path, message });
  if (type.endsWith('[]')) {
    if (!Array.isArray(value)) return { path, message: 'must be a list' };
    return first(value.entries(), (index, item) => typed(type.slice(0, -2), item, pointer(path, index)));
  }
  if (type.endsWith('{}')) {
    if (!isObject(value)) return { path, message: 'must be an object' };
    return first(Object.entries(value), (key, item) => typed(type.slice(0, -2), item, pointer(path, key)));
  }
  switch (type) {
    case 'string':
      return unless(typeof value === 'string', 'must be text');
    case 'bool':
      return unless(typeof value === 'boolean', 'must be true or false');
    case 'uint32':
      return unless(Number.isInteger(value) && Number(value) >= 0 && Number(value) < 2 ** 32, 'must be an integer from 0, of 32 bits');
    case 'uint64':
      return unless(Number.isSafeInteger(value) && Number(value) >= 0, 'must be an integer from 0');
    case 'double':
      return unless(Number.isFinite(value), 'must be a number');
    case 'Timestamp':
      return unless(typeof value === 'string' && rfc3339.test(value) && !Number.isNaN(Date.parse(value)), 'must be an RFC 3339 time in UTC');
    case 'Struct':
      return unless(isObject(value), 'must be an object');
    case 'Value':
      return unless(value !== undefined, 'must be a JSON value');
    default:
      return message(type, value, path);
  }
};

const message = (name: string, value: unknown, path: string): SchemaFault | undefined => {
  if (!isObject(value)) return { path, message: 'must be an object' };
  return first(Object.entries(known[name] ?? {}), (field, type) => {
    const isOptional = type.endsWith('?');
    if (isOptional && value[field] === undefined) return undefined;
    if (value[field] === undefined) return { path: pointer(path, field), message: 'is missing' };
    return typed(isOptional ? type.slice(0, -1) : type, value[field], pointer(path, field));
  });
};

const first = <K, V>(entries: Iterable<readonly [K, V]>, check: (key: K, value: V) => SchemaFault | undefined): SchemaFault | undefined => {
  for (const [key, value] of entries) {
    const fault = check(key, value);
    if (fault) return fault;
  }
  return undefined;
};

/**
 * The first fault in a message of the contract as JSON, undefined where there is none. Fields that the contract does not know are
 * allowed: a later version may have added them.
 */
export const schemaFault = (name: keyof typeof messages, value: unknown): SchemaFault | undefined => message(name, value, '');
