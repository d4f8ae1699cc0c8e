import { type CelInput, type CelValue, isCelList, isCelMap, isCelUint } from '@bufbuild/cel';
import type { Json } from '#libs/contracts';
import { spend } from './budget.js';
import { ExpressionError } from './expression-error.js';

const MAX_DEPTH = 64;

/** JSON as CEL has it. Whole numbers are `int`, others `double`: JSON knows but one kind. */
export const fromJson = (value: Json): CelInput => {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return (value as readonly Json[]).map(fromJson);
  return new Map(Object.entries(value).map(([key, member]) => [key, fromJson(member)]));
};

const number = (value: number): number => {
  if (!Number.isFinite(value)) throw new ExpressionError('results in no finite number, and JSON has no other; test for it first');
  return value;
};

const integer = (value: bigint): number => {
  const result = Number(value);
  if (!Number.isSafeInteger(result)) throw new ExpressionError('results in an integer of more than 53 bits; make it text with string()');
  return result;
};

const keyOf = (key: unknown): string => {
  if (typeof key !== 'string') throw new ExpressionError('results in an object with a key that is no text; make it text with string()');
  // Who renders a template decides where a secret goes; what is put in from outside does not.
  if (key === '$secret' || key === '$join') throw new ExpressionError(`results in an object with the key ${key}: a secret is named by the plan itself`);
  if (key === '__proto__') throw new ExpressionError('results in an object with the key __proto__');
  return key;
};

/** The value as JSON, a step for each part of it. Throws BudgetSpent, and ExpressionError for what JSON can't hold, and for what would pass as a reference to a secret. */
export const toJson = (value: CelValue, depth = 0): Json => {
  spend(1);
  if (depth > MAX_DEPTH) throw new ExpressionError(`results in something nested deeper than ${MAX_DEPTH} levels; name a part of it`);
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number') return number(value);
  if (typeof value === 'bigint') return integer(value);
  if (isCelUint(value)) return integer(value.value);
  if (isCelList(value)) return Array.from(value, (item) => toJson(item, depth + 1));
  if (isCelMap(value)) return Object.fromEntries(Array.from(value.entries(), ([key, member]) => [keyOf(key), toJson(member, depth + 1)]));
  throw new ExpressionError('results in a time, a duration, bytes or a type; make it text with string()');
};
