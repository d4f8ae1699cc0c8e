import { isDeepStrictEqual } from 'node:util';

/** One field that is no longer what it was; undefined where it was not there, or is no longer. */
export type Change = { readonly path: string; readonly before: unknown; readonly after: unknown };

type Fields = { readonly [name: string]: unknown };

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);
const hasId = (value: unknown): value is { readonly id: string } => isFields(value) && typeof value['id'] === 'string';

/** Lists of things with ids are compared by id, other lists as a whole. */
const fieldsOf = (value: unknown): unknown =>
  Array.isArray(value) && value.length > 0 && value.every(hasId) ? Object.fromEntries(value.map((item) => [item.id, item])) : value;

/** What people and runners put into their own form: it changes as a whole. */
const whole = new Set(['input', 'result', 'error', 'reason', 'metadata', 'labels']);

const isNothing = (value: unknown): boolean => value === undefined || value === null || (Array.isArray(value) && value.length === 0);

/** What is different in `after`, field by field; a field that comes without a value is no change. */
export const changesOf = (before: unknown, after: unknown, path = ''): readonly Change[] => {
  const [left, right] = [fieldsOf(before), fieldsOf(after)];
  const isWhole = whole.has(path.slice(path.lastIndexOf('/') + 1));
  if (!isWhole && isFields(right) && (isFields(left) || isNothing(left))) {
    const known = isFields(left) ? left : {};
    const names = new Set([...Object.keys(known), ...Object.keys(right)]);
    return [...names].flatMap((name) => changesOf(known[name], right[name], path === '' ? name : `${path}/${name}`));
  }
  if (isDeepStrictEqual(before, after) || (before === undefined && isNothing(after))) return [];
  return [{ path, before, after }];
};
