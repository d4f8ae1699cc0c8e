import type { Json, JsonObject } from '#libs/contracts';
import { MAX_SECRETS, isReference, referenceFaults, secretNames } from '#libs/secrets';
import type { InputProblem } from './runner.js';

const NO_SECRET =
  'can not hold a secret, as others could see it here; secrets are taken in env and stdin of a command, in headers and body of a request';

/** Faults of a whole input; none when the runner can run it. Pure. */
export type InputCheck = (input: JsonObject) => readonly InputProblem[];
/** Faults of one value found at `path`. */
export type ValueCheck = (value: Json, path: string) => readonly InputProblem[];

/** Enough to correct a plan by; a hostile input gets no longer answer than this. */
const MAX_PROBLEMS = 20;

const problem = (path: string, message: string): readonly InputProblem[] => [{ path, message }];

/** A JSON pointer (RFC 6901) one level further down. */
const below = (path: string, key: string | number): string =>
  `${path}/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`;

const isObject = (value: Json): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** What `faults` finds in every reference within a value. */
const everyReference = (
  value: Json,
  path: string,
  faults: (reference: JsonObject, path: string) => readonly InputProblem[],
): readonly InputProblem[] => {
  if (typeof value !== 'object' || value === null) return [];
  if (isReference(value)) return faults(value, path);
  return Object.entries(value).flatMap(([key, member]) => everyReference(member as Json, below(path, key), faults));
};

/** Only the named fields, each as its check says, the required ones present. */
export const fields =
  (known: Readonly<Record<string, ValueCheck>>, required: readonly string[] = []): InputCheck =>
  (input) => {
    const missing = required
      .filter((name) => !Object.hasOwn(input, name))
      .map((name) => ({ path: below('', name), message: 'is required' }));
    const faults = Object.entries(input).flatMap(([name, value]) => {
      const check = Object.hasOwn(known, name) ? known[name] : undefined;
      const path = below('', name);
      return check ? check(value, path) : problem(path, `unknown field; allowed: ${Object.keys(known).join(', ')}`);
    });
    return [...missing, ...faults].slice(0, MAX_PROBLEMS);
  };

/** A reference to a secret, which becomes text when the attempt starts, or what else `check` takes. */
export const secretOr =
  (check: ValueCheck): ValueCheck =>
  (value, path) =>
    isReference(value) ? referenceFaults(value, path) : check(value, path);

/** Any JSON, with references to secrets in the places of texts. */
export const anything: ValueCheck = (value, path) => everyReference(value, path, referenceFaults);

/** Any JSON object, but no reference to a secret in it. */
export const plainObject: ValueCheck = (value, path) =>
  isObject(value) ? everyReference(value, path, (_reference, at) => problem(at, NO_SECRET)) : problem(path, 'must be an object');

/** Whether a task has more secrets than its attempts are ready to look for in what they say. */
export const secretCount: InputCheck = (input) => {
  const { length } = secretNames(input);
  return length > MAX_SECRETS ? problem('', `refers to ${length} secrets; at most ${MAX_SECRETS} are allowed`) : [];
};

/** The same for an object inside an input. */
export const nested = (known: Readonly<Record<string, ValueCheck>>): ValueCheck => {
  const check = fields(known);
  return (value, path) =>
    isObject(value)
      ? check(value).map((fault) => ({ ...fault, path: path + fault.path }))
      : problem(path, 'must be an object');
};

/** Text without NUL, which neither arguments nor headers can carry; lengths in UTF-16 units. */
export const text =
  ({ min = 0, max }: { min?: number; max: number }): ValueCheck =>
  (value, path) => {
    if (isReference(value)) return problem(path, NO_SECRET);
    if (typeof value !== 'string') return problem(path, 'must be a string');
    if (value.length < min) return problem(path, min === 1 ? 'must not be empty' : `needs at least ${min} characters`);
    if (value.length > max) return problem(path, `has ${value.length} characters; at most ${max} are allowed`);
    return value.includes('\0') ? problem(path, 'must not contain a NUL character') : [];
  };

export const integer =
  (min: number, max: number): ValueCheck =>
  (value, path) =>
    Number.isInteger(value) && Number(value) >= min && Number(value) <= max
      ? []
      : problem(path, `must be an integer from ${min} to ${max}`);

export const boolean: ValueCheck = (value, path) =>
  typeof value === 'boolean' ? [] : problem(path, 'must be true or false');

export const oneOf =
  (...allowed: readonly string[]): ValueCheck =>
  (value, path) =>
    typeof value === 'string' && allowed.includes(value)
      ? []
      : problem(path, `must be one of ${allowed.map((word) => JSON.stringify(word)).join(', ')}`);

export const listOf =
  (item: ValueCheck, { min, max }: { min: number; max: number }): ValueCheck =>
  (value, path) => {
    if (!Array.isArray(value)) return problem(path, 'must be a list');
    const list = value as readonly Json[];
    if (list.length < min || list.length > max) {
      return problem(path, `has ${list.length} entries; ${min} to ${max} are allowed`);
    }
    return list.flatMap((entry, index) => item(entry, below(path, index)));
  };

/** An object as a map: `key` returns what is wrong with a name, if anything. */
export const mapOf =
  (key: (name: string) => string | undefined, item: ValueCheck, max: number): ValueCheck =>
  (value, path) => {
    if (!isObject(value)) return problem(path, 'must be an object');
    const entries = Object.entries(value);
    if (entries.length > max) return problem(path, `has ${entries.length} entries; at most ${max} are allowed`);
    return entries.flatMap(([name, entry]) => {
      const fault = key(name);
      return fault === undefined ? item(entry, below(path, name)) : problem(below(path, name), fault);
    });
  };
