import { type Json, type JsonObject, isToken } from '#libs/contracts';

/** A fault in a reference; path is a JSON pointer. */
type ReferenceFault = { readonly path: string; readonly message: string };

/** Different secrets that one task may refer to. */
export const MAX_SECRETS = 16;
const MAX_PARTS = 64;

const isObject = (value: Json | undefined): value is JsonObject => typeof value === 'object' && value !== null && !Array.isArray(value);
const below = (path: string, key: string | number): string => `${path}/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`;
const only = (value: JsonObject): boolean => Object.keys(value).length === 1;

/** True for what is meant as `{"$secret": name}` or `{"$join": [text, {"$secret": name}, …]}`, be it right or wrong. */
export const isReference = (value: Json | undefined): value is JsonObject =>
  isObject(value) && (Object.hasOwn(value, '$secret') || Object.hasOwn(value, '$join'));

const nameIn = (value: Json | undefined): string | undefined => {
  const name = isObject(value) && only(value) ? value['$secret'] : undefined;
  return isToken(name) ? name : undefined;
};

const partsIn = (value: Json | undefined): readonly Json[] | undefined => {
  const parts = isObject(value) && only(value) ? value['$join'] : undefined;
  return Array.isArray(parts) ? (parts as readonly Json[]) : undefined;
};

/** What is wrong with something for which isReference holds. */
export const referenceFaults = (value: JsonObject, path: string): readonly ReferenceFault[] => {
  if (!only(value)) return [{ path, message: 'a reference to a secret has no other fields than $secret, or $join' }];
  if (Object.hasOwn(value, '$secret')) {
    return nameIn(value) === undefined ? [{ path: below(path, '$secret'), message: "must be a secret's name: ^[A-Za-z0-9_-]{1,64}$" }] : [];
  }
  const at = below(path, '$join');
  const parts = partsIn(value);
  if (!parts || parts.length === 0 || parts.length > MAX_PARTS) return [{ path: at, message: `must be a list of 1 to ${MAX_PARTS} parts` }];
  return parts.flatMap((part, index) => {
    if (typeof part === 'string') return [];
    if (isObject(part) && Object.hasOwn(part, '$secret')) return referenceFaults(part, below(at, index));
    return [{ path: below(at, index), message: 'must be a string, or a reference to a secret' }];
  });
};

const walk = (value: Json, found: Set<string>): void => {
  const name = nameIn(value);
  if (name !== undefined) found.add(name);
  else if (Array.isArray(value)) for (const item of value as readonly Json[]) walk(item, found);
  else if (isObject(value)) for (const member of Object.values(value)) walk(member, found);
};

/** The names of all secrets that a value refers to, wherever in it. */
export const secretNames = (value: Json): readonly string[] => {
  const found = new Set<string>();
  walk(value, found);
  return [...found];
};

/** Of a text, or of a reference to one secret. */
const textOf = (value: Json, secrets: ReadonlyMap<string, string>): string | undefined => {
  const name = nameIn(value);
  if (name === undefined) return typeof value === 'string' ? value : undefined;
  const secret = secrets.get(name);
  if (secret === undefined) throw new RangeError(`no value for secret ${name}`);
  return secret;
};

/** The value with every reference replaced by the text it stands for. Throws RangeError for a name that `secrets` lacks. */
export const resolveReferences = (value: Json, secrets: ReadonlyMap<string, string>): Json => {
  const text = textOf(value, secrets) ?? partsIn(value)?.map((part) => textOf(part, secrets) ?? '').join('');
  if (text !== undefined) return text;
  if (Array.isArray(value)) return (value as readonly Json[]).map((item) => resolveReferences(item, secrets));
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, resolveReferences(member, secrets)]));
};
