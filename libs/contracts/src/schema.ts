import { messages } from './generated/schema.js';

/** Where a value is not what the contract says, and what it should be. `path` is a JSON pointer; '' is the value itself. */
type SchemaFault = { readonly path: string; readonly message: string };

type Fields = { readonly [name: string]: unknown };
type Messages = { readonly [name: string]: { readonly [field: string]: string } };

const known: Messages = messages;
const rfc3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/;

const isObject = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);
const tokenOf = (key: string | number): string => String(key).replaceAll('~', '~0').replaceAll('/', '~1');

/** Undefined for a value of the type; else the first fault. */
const typed = (type: string, value: unknown): SchemaFault | undefined => {
  const unless = (holds: boolean, message: string): SchemaFault | undefined => (holds ? undefined : { path: '', message });
  if (type.endsWith('[]')) {
    if (!Array.isArray(value)) return unless(false, 'must be a list');
    return first(value.entries(), (item) => typed(type.slice(0, -2), item));
  }
  if (type.endsWith('{}')) {
    if (!isObject(value)) return unless(false, 'must be an object');
    return first(Object.entries(value), (item) => typed(type.slice(0, -2), item));
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
      return message(type, value);
  }
};

const message = (name: string, value: unknown): SchemaFault | undefined => {
  if (!isObject(value)) return { path: '', message: 'must be an object' };
  return first(Object.entries(known[name] ?? {}), (type, field) => {
    const isOptional = type.endsWith('?');
    if (value[field] === undefined) return isOptional ? undefined : { path: '', message: 'is missing' };
    return typed(isOptional ? type.slice(0, -1) : type, value[field]);
  });
};

/** Paths are put together from the fault outwards: most messages have none. */
const first = <K extends string | number, V>(entries: Iterable<readonly [K, V]>, check: (value: V, key: K) => SchemaFault | undefined): SchemaFault | undefined => {
  for (const [key, value] of entries) {
    const fault = check(value, key);
    if (fault) return { ...fault, path: `/${tokenOf(key)}${fault.path}` };
  }
  return undefined;
};

/**
 * The first fault in a message of the contract as JSON, undefined where there is none. Fields that the contract does not know are
 * allowed: a later version may have added them.
 */
export const schemaFault = (name: keyof typeof messages, value: unknown): SchemaFault | undefined => message(name, value);
