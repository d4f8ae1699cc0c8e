import type { Json, JsonObject } from '#libs/contracts';
import { type CommandLimits, limitBounds, type LimitName } from './command-limits.js';
import type { CommandPolicy, NetworkPolicy } from './command-policy.js';
import { fields, integer, listOf, nested, oneOf, plainObject, text, type ValueCheck } from './input.js';
import type { InputProblem } from './runner.js';

/** What a document says about one tenant, or about `*`, everyone. A limit of null is none. */
type Entry = {
  readonly roots?: readonly string[];
  readonly readable?: readonly string[];
  /** null: any. */
  readonly programs?: readonly string[] | null;
  readonly network?: NetworkPolicy;
  readonly limits?: Readonly<Partial<Record<LimitName, number | null>>>;
};

const orNull =
  (check: ValueCheck): ValueCheck =>
  (value, path) =>
    value === null ? [] : check(value, path);

const matching =
  (check: ValueCheck, pattern: RegExp, message: string): ValueCheck =>
  (value, path) => {
    const problems = check(value, path);
    return problems.length > 0 || pattern.test(value as string) ? problems : [{ path, message }];
  };

const path = matching(text({ min: 1, max: 4096 }), /^\//, 'must be an absolute path');
const program = matching(text({ min: 1, max: 4096 }), /^(?:\/.+|[^/]+)$/, 'must be a name or an absolute path');

const entry = nested({
  roots: listOf(path, { min: 0, max: 256 }),
  readable: listOf(path, { min: 0, max: 256 }),
  programs: orNull(listOf(program, { min: 0, max: 1024 })),
  network: oneOf('never', 'requested', 'always'),
  limits: nested(
    Object.fromEntries(Object.entries(limitBounds).map(([name, bounds]) => [name, orNull(integer(...bounds))])),
  ),
});

/** Faults of a document `{ "<tenant>": {…}, "*": {…} }`, each with its JSON pointer; none when it can be used. */
export function policyProblems(document: Json): readonly InputProblem[] {
  const [fault] = plainObject(document, '');
  if (fault) return [fault];
  const tenants = Object.keys(document as JsonObject).map((name) => [name, entry] as const);
  const misnamed = tenants
    .filter(([name]) => name !== '*' && !/^[A-Za-z0-9_-]{1,64}$/.test(name))
    .map(([name]) => ({ path: `/${name}`, message: 'must be a tenant, ^[A-Za-z0-9_-]{1,64}$, or *' }));
  return [...misnamed, ...fields(Object.fromEntries(tenants))(document as JsonObject)];
}

/**
 * The policy of any tenant: what the document says of it, else what it says of `*`, else `defaults`; limit by limit.
 * The document has to be without problems.
 */
export function policiesFrom(document: JsonObject, defaults: CommandPolicy): (tenant: string) => CommandPolicy {
  const entries = new Map(Object.entries(document as Readonly<Record<string, Entry>>));
  const everyone = merged(defaults, entries.get('*') ?? {});
  return (tenant) => merged(everyone, (tenant === '*' ? undefined : entries.get(tenant)) ?? {});
}

function merged(under: CommandPolicy, { programs, limits = {}, ...rest }: Entry): CommandPolicy {
  const { programs: inherited, ...others } = under;
  const allowed = programs === undefined ? inherited : (programs ?? undefined);
  const all = Object.entries({ ...under.limits, ...limits }).filter(([, value]) => value !== null);
  return {
    ...others,
    ...rest,
    ...(allowed && { programs: allowed }),
    limits: Object.fromEntries(all) as CommandLimits,
  };
}
