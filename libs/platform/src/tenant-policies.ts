import { readFileSync } from 'node:fs';
import { isToken } from '#libs/contracts';
import { type Environment, integer } from './setting-readers.js';
import { SettingsError } from './settings-error.js';

/** What a request does, as far as its rate goes. */
const verbClasses = ['start', 'control', 'read', 'manage'] as const;
export type VerbClass = (typeof verbClasses)[number];

/** So many in a window of this length. */
export type Rate = { readonly limit: number; readonly windowMs: number };
/** Of a tenant, and of each of its workspaces. */
type RateName = VerbClass | `workspace.${VerbClass}`;

const limitNames = ['activeExecutions', 'queuedTasks', 'planBytes', 'storageBytes', 'artifactBytes', 'streams'] as const;
export type LimitName = (typeof limitNames)[number];

const retentionNames = ['days', 'executions'] as const;
type RetentionName = (typeof retentionNames)[number];

/** What one tenant may; what is undefined is not limited. Retention: how long executions that have ended are kept, and how many. */
export type TenantPolicy = {
  readonly rates: { readonly [name in RateName]?: Rate | undefined };
  readonly limits: { readonly [name in LimitName]?: number | undefined };
  readonly retention: { readonly [name in RetentionName]?: number | undefined };
};

export type TenantPolicies = {
  /** Tenants with an entry of their own. */
  readonly named: readonly string[];
  readonly of: (tenant: string) => TenantPolicy;
  /** False: of no tenant at all. */
  readonly hasRates: boolean;
  readonly hasLimits: boolean;
  readonly hasRetention: boolean;
  /** Of requests whose credentials are missing or do not count, by client address. */
  readonly unauthenticated: Rate;
};

const windows: Readonly<Record<string, number>> = { s: 1_000, min: 60_000, h: 3_600_000 };
const rateNames: readonly string[] = verbClasses.flatMap((verb) => [verb, `workspace.${verb}`]);
const rateForm = 'must be a rate such as 300/min: a number from 1, and s, min or h';
const setting = 'RUNLEDGER_RATE_LIMITS';

const rateOf = (value: unknown): Rate | undefined => {
  const [, count, window = ''] = /^([1-9]\d{0,8})\/(s|min|h)$/.exec(typeof value === 'string' ? value.trim() : '') ?? [];
  const windowMs = windows[window];
  return windowMs === undefined ? undefined : { limit: Number(count), windowMs };
};

/** `start=300/min,read=6000/min`. Throws SettingsError. */
const ratesOf = (text: string): Readonly<Record<string, Rate>> =>
  Object.fromEntries(
    text
      .split(',')
      .filter((part) => part.trim() !== '')
      .map((part) => {
        const [name = '', value] = part.split('=').map((side) => side.trim());
        const known = [...rateNames, 'unauthenticated'];
        if (!known.includes(name)) throw new SettingsError(`${setting}: ${name} is unknown; known are ${known.join(', ')}`);
        const rate = rateOf(value);
        if (!rate) throw new SettingsError(`${setting}: ${name} ${rateForm}`);
        return [name, rate];
      }),
  );

type Fields = { readonly [key: string]: unknown };
const isObject = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Values by name; null lifts what would hold otherwise. */
class Reader {
  readonly faults: string[] = [];

  fields(value: unknown, path: string, known?: readonly string[]): readonly (readonly [string, unknown])[] {
    if (!isObject(value)) {
      this.faults.push(`${path || 'the file'} must be an object`);
      return [];
    }
    return Object.entries(value).filter(([name]) => {
      const isKnown = known ? known.includes(name) : name === '*' || isToken(name);
      if (!isKnown) this.faults.push(`${path}/${name} ${known ? `is unknown; known are ${known.join(', ')}` : 'is neither a tenant nor *'}`);
      return isKnown;
    });
  }

  policy(value: unknown, path: string): TenantPolicy {
    const parts = Object.fromEntries(this.fields(value, path, ['limits', 'rates', 'retention']));
    const read = (part: 'limits' | 'rates' | 'retention', known: readonly string[], parse: (value: unknown) => unknown, form: string): Fields =>
      Object.fromEntries(
        (parts[part] === undefined ? [] : this.fields(parts[part], `${path}/${part}`, known)).map(([name, given]) => {
          const parsed = given === null ? undefined : parse(given);
          if (given !== null && parsed === undefined) this.faults.push(`${path}/${part}/${name} ${form}`);
          return [name, parsed];
        }),
      );
    const integer = (given: unknown): number | undefined => (Number.isSafeInteger(given) && Number(given) >= 0 ? Number(given) : undefined);
    return {
      limits: read('limits', limitNames, integer, 'must be an integer from 0, or null'),
      rates: read('rates', rateNames, rateOf, `${rateForm}; or null`),
      retention: read('retention', retentionNames, integer, 'must be an integer from 0, or null'),
    };
  }
}

/** Throws SettingsError with the path to each fault. */
const readFile = (file: string): ReadonlyMap<string, TenantPolicy> => {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new SettingsError(`RUNLEDGER_TENANTS=${file} can't be read as JSON: ${(error as Error).message}`);
  }
  const reader = new Reader();
  const policies = new Map(reader.fields(value, '').map(([tenant, policy]) => [tenant, reader.policy(policy, `/${tenant}`)]));
  if (reader.faults.length > 0) throw new SettingsError(`RUNLEDGER_TENANTS=${file}: ${reader.faults.slice(0, 20).join('; ')}`);
  return policies;
};

const merged = (a: TenantPolicy, b: TenantPolicy | undefined): TenantPolicy => ({
  rates: { ...a.rates, ...b?.rates },
  limits: { ...a.limits, ...b?.limits },
  retention: { ...a.retention, ...b?.retention },
});

const isSet = (values: object): boolean => Object.values(values).some((value) => value !== undefined);

/** RUNLEDGER_RETENTION_DAYS, RUNLEDGER_RETENTION_EXECUTIONS. Throws SettingsError. */
const retentionOf = (env: Environment): TenantPolicy['retention'] =>
  Object.fromEntries(
    retentionNames.flatMap((name) => {
      const variable = `RUNLEDGER_RETENTION_${name.toUpperCase()}`;
      return env[variable] ? [[name, integer(env, variable, 0, 0, 1_000_000_000)]] : [];
    }),
  );

/**
 * What each tenant may: its own entry of the file RUNLEDGER_TENANTS, else the entry `*`, else RUNLEDGER_RATE_LIMITS and RUNLEDGER_RETENTION_…, name by name.
 * Throws SettingsError.
 */
export const readTenantPolicies = (env: Environment): TenantPolicies => {
  const { unauthenticated = { limit: 120, windowMs: 60_000 }, ...rates } = ratesOf(env[setting] ?? '');
  const file = env['RUNLEDGER_TENANTS'];
  const entries = file ? readFile(file) : new Map<string, TenantPolicy>();
  const all = merged({ rates, limits: {}, retention: retentionOf(env) }, entries.get('*'));
  const policies = new Map([...entries].map(([tenant, policy]) => [tenant, merged(all, policy)]));
  const every = [all, ...policies.values()];
  return {
    named: [...entries.keys()].filter((tenant) => tenant !== '*'),
    of: (tenant) => policies.get(tenant) ?? all,
    hasRates: every.some((policy) => isSet(policy.rates)),
    hasLimits: every.some((policy) => isSet(policy.limits)),
    hasRetention: every.some((policy) => isSet(policy.retention)),
    unauthenticated,
  };
};
