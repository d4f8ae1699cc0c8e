import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { type AuthSettings, readAuthSettings } from './auth-settings.js';
import type { Keyring } from '#libs/secrets';
import { readKeyring } from './secrets-key.js';
import { type CommandSettings, readCommandSettings } from './command-settings.js';
import { type Environment, integer, list, networks, oneOf } from './setting-readers.js';
import { type NatsSettings, readNatsSettings } from './nats-settings.js';
import { SettingsError } from './settings-error.js';
import { type TenantPolicies, readTenantPolicies } from './tenant-policies.js';

/** Every setting of the apps, read once at start. */
export type Settings = {
  readonly nats: NatsSettings;
  /** Absolute; what the apps keep on disk lies below it, and all of it can be rebuilt but for the log itself. */
  readonly home: string;
  readonly host: string;
  readonly port: number;
  readonly tenant: string;
  readonly node: string;
  /** Undefined: everybody is let in. */
  readonly auth: AuthSettings | undefined;
  /** Reads the master keys of secrets, for who has to do with any; undefined where none are set. Throws SettingsError. */
  readonly keyring: () => Keyring | undefined;
  /** Proxies whose X-Forwarded-For counts: addresses and networks (CIDR). */
  readonly trustedProxies: readonly string[];
  readonly tenants: TenantPolicies;
  /** WebSockets and event streams that one gateway serves at once. */
  readonly streams: number;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
  /** What streams and buckets are to be like; 0 bytes, or days of output, let provisioning choose. */
  readonly provisioning: {
    readonly auditDays: number;
    readonly outputDays: number;
    readonly logMaxBytes: number;
    /** Of artifacts, for each tenant. */
    readonly artifactBucketBytes: number;
    /** The server's own, and those that the file of tenants names. */
    readonly tenants: readonly string[];
  };
  /** Bytes of one artifact at most. */
  readonly artifactMaxBytes: number;
  readonly executor: {
    /** Commands and HTTP calls that one executor runs at once. */
    readonly concurrency: number;
    readonly graceMs: number;
    /** Directories a plan's absolute `cwd` may lie in. */
    readonly roots: readonly string[];
    /** Addresses or networks (CIDR) that http tasks may reach although they are not public. */
    readonly httpAllow: readonly string[];
    readonly httpTimeoutMs: number;
    readonly command: CommandSettings;
  };
};

const loopback = new Set(['127.0.0.1', 'localhost', '::1']);

/** Throws SettingsError. */
export const readSettings = (env: Environment): Settings => {
  const host = env['RUNLEDGER_HOST'] || '127.0.0.1';
  const auth = readAuthSettings(env);
  if (!auth && !loopback.has(host) && env['RUNLEDGER_INSECURE_NO_AUTH'] !== 'true') {
    throw new SettingsError(
      `RUNLEDGER_HOST=${host} would let everyone who reaches this machine run commands, without credentials; ` +
        'set RUNLEDGER_AUTH_ENABLED=true and make API keys, or listen on 127.0.0.1, or set RUNLEDGER_INSECURE_NO_AUTH=true where something else guards the port',
    );
  }
  const tenant = env['RUNLEDGER_TENANT'] || 'default';
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(tenant)) throw new SettingsError(`RUNLEDGER_TENANT must match ^[A-Za-z0-9_-]{1,64}$`);
  const roots = list(env, 'RUNLEDGER_ROOTS');
  const tenants = readTenantPolicies(env);
  return {
    nats: readNatsSettings(env),
    home: resolve(env['RUNLEDGER_HOME'] || '.runledger'),
    host,
    port: integer(env, 'RUNLEDGER_PORT', 8080, 0, 65_535),
    tenant,
    node: env['RUNLEDGER_NODE'] || hostname(),
    auth,
    keyring: () => readKeyring(env),
    trustedProxies: networks(env, 'RUNLEDGER_TRUSTED_PROXIES'),
    tenants,
    streams: integer(env, 'RUNLEDGER_STREAMS', 5_000, 0, 1_000_000),
    logLevel: oneOf(env, 'RUNLEDGER_LOG_LEVEL', ['debug', 'info', 'warn', 'error'], 'info'),
    provisioning: {
      auditDays: integer(env, 'RUNLEDGER_AUDIT_DAYS', 90, 1, 36_500),
      outputDays: integer(env, 'RUNLEDGER_OUTPUT_DAYS', 0, 0, 36_500),
      logMaxBytes: integer(env, 'RUNLEDGER_LOG_MAX_BYTES', 0, 0, Number.MAX_SAFE_INTEGER),
      artifactBucketBytes: integer(env, 'RUNLEDGER_ARTIFACT_BUCKET_BYTES', 0, 0, Number.MAX_SAFE_INTEGER),
      tenants: [...new Set([tenant, ...tenants.named])],
    },
    artifactMaxBytes: integer(env, 'RUNLEDGER_ARTIFACT_MAX_BYTES', 4 * 1024 ** 3, 1, Number.MAX_SAFE_INTEGER),
    executor: {
      concurrency: integer(env, 'RUNLEDGER_CONCURRENCY', 32, 1, 10_000),
      graceMs: integer(env, 'RUNLEDGER_GRACE_MS', 5_000, 0, 600_000),
      roots: (roots.length > 0 ? roots : [process.cwd()]).map((root) => resolve(root)),
      httpAllow: list(env, 'RUNLEDGER_HTTP_ALLOW'),
      httpTimeoutMs: integer(env, 'RUNLEDGER_HTTP_TIMEOUT_MS', 300_000, 1, 2 ** 31 - 1),
      command: readCommandSettings(env),
    },
  };
};
