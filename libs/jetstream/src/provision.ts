import { JetStreamApiError, type JetStreamManager, type StreamInfo, jetstreamManager } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { LogError } from '#libs/ledger';
import { makeBucket } from './artifact-bucket.js';
import { codes, isFull } from './codes.js';
import type { Nats } from './connection.js';
import { AUDIT_DAYS, OUTPUT_DAYS, type Wanted, binding, buckets, metadataKeys, streams, unset } from './streams.js';
import { untilAnswered } from './until-answered.js';

type ProvisioningCode =
  | 'JETSTREAM_MISSING'
  | 'SERVER_TOO_OLD'
  /** A stream is there, but not as it must be. */
  | 'STREAM_MISMATCH'
  /** The server has no room for the smallest, or the wanted, streams. */
  | 'STORAGE_TOO_SMALL';

/** The broker can't be used as it is; the message says what to change. */
export class ProvisioningError extends Error {
  override readonly name = 'ProvisioningError';
  readonly retryable = false;

  constructor(
    readonly code: ProvisioningCode,
    message: string,
  ) {
    super(message);
  }
}

export type ProvisionOptions = {
  /** Bytes at most for LOG; default 8 GiB, less where the server has no room for that. FEED gets half of it, LOGS a quarter, AUDIT a 32nd. */
  readonly logMaxBytes?: number;
  /** Days that AUDIT keeps its records, also where it exists already; default 90, or what it has. */
  readonly auditDays?: number;
  /** Days that LOGS keeps output, also where it exists already; default, and where 0: 14, or what it has. */
  readonly outputDays?: number;
  /** Default 1. */
  readonly replicas?: number;
  /** Tenants that get a bucket for artifacts. */
  readonly tenants?: readonly string[];
  /** Bytes at most of each of these buckets; default half of LOG's. */
  readonly artifactBucketBytes?: number;
};

const DEFAULT_LOG_BYTES = 8 * 1024 ** 3;
const LEAST_LOG_BYTES = 64 * 1024 ** 2;
const OLDEST: readonly [number, number] = [2, 14];

const codeOf = (error: unknown): number | undefined => (error instanceof JetStreamApiError ? error.code : undefined);

/** Throws ProvisioningError JETSTREAM_MISSING or SERVER_TOO_OLD, LogError LOG_UNAVAILABLE. */
export const checkServer = ({ connection }: Nats): void => {
  // Undefined once the connection is closed.
  const { info } = connection;
  if (!info) throw new LogError('LOG_UNAVAILABLE', 'the connection to the nats-server is closed; connect again');
  const { version, jetstream } = info;
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])) {
    throw new ProvisioningError(
      'SERVER_TOO_OLD',
      `nats-server ${version} is too old: Runledger needs ${OLDEST.join('.')} or later for atomic batches; upgrade it, or point NATS_URL elsewhere`,
    );
  }
  if (!jetstream) {
    throw new ProvisioningError(
      'JETSTREAM_MISSING',
      'the nats-server runs without JetStream; start it with -js, or with a jetstream block in its configuration',
    );
  }
};

const manager = async (nats: Nats): Promise<JetStreamManager> => {
  try {
    return await jetstreamManager(nats.connection);
  } catch (error) {
    const code = codeOf(error);
    if (code !== codes.jetStreamDisabled && code !== codes.jetStreamDisabledForAccount) throw error;
    throw new ProvisioningError('JETSTREAM_MISSING', "this account may not use JetStream; enable it in nats-server's configuration");
  }
};

export const checkStream = (wanted: Wanted, found: StreamInfo): void => {
  const { name } = wanted;
  for (const setting of binding) {
    const want = wanted[setting];
    // Ages are the operator's, but for a log's: it would eat live executions.
    if (want === undefined || (setting === 'max_age' && name !== 'LOG')) continue;
    const have = found.config[setting] ?? unset[setting];
    if (JSON.stringify(want) === JSON.stringify(have)) continue;
    throw new ProvisioningError(
      'STREAM_MISMATCH',
      `stream ${name} has ${setting} ${JSON.stringify(have)} where ${JSON.stringify(want)} is needed; ` +
        `change it with \`nats stream edit ${name}\`, or use another account or server`,
    );
  }
  for (const key of metadataKeys) {
    const [want, have] = [wanted.metadata?.[key], found.config.metadata?.[key]];
    if (want === undefined || want === have) continue;
    throw new ProvisioningError(
      'STREAM_MISMATCH',
      `stream ${name} has metadata ${key} ${JSON.stringify(have ?? null)} where this version needs ${JSON.stringify(want)}: ` +
        'it was not made by this version of Runledger; use another account or server, or move the stream out of the way',
    );
  }
};

export const find = async (jsm: JetStreamManager, name: string): Promise<StreamInfo | undefined> => {
  try {
    return await jsm.streams.info(name);
  } catch (error) {
    if (codeOf(error) === codes.streamNotFound) return undefined;
    throw error;
  }
};

const ensure = async (jsm: JetStreamManager, wanted: Wanted, mayShrink: boolean): Promise<void> => {
  let found = await find(jsm, wanted.name);
  try {
    found ??= await jsm.streams.add({ ...wanted });
  } catch (error) {
    if (codeOf(error) !== codes.streamNameInUse) throw error;
    // Another process was faster; its incarnation id is the one that counts.
    found = await jsm.streams.info(wanted.name);
  }
  checkStream(wanted, found);
  const { max_bytes: most = found.config.max_bytes } = wanted;
  if (mayShrink && found.state.messages === 0 && found.config.max_bytes > most) {
    await jsm.streams.update(wanted.name, { max_bytes: most });
  }
};

/** How long records and output are kept is a setting, and may change. */
const setAge = async (jsm: JetStreamManager, { name, max_age: age }: Wanted): Promise<void> => {
  const { config } = await jsm.streams.info(name);
  if (age !== undefined && config.max_age !== age) await jsm.streams.update(name, { max_age: age });
};

const ensureBuckets = async (nats: Nats, replicas: number): Promise<void> => {
  const kvm = new Kvm(nats.connection);
  for (const { name, options } of buckets(replicas)) {
    try {
      await kvm.create(name, { ...options });
    } catch (error) {
      if (codeOf(error) !== codes.streamNameInUse) throw error;
    }
  }
};

const ensureAll = async (nats: Nats, options: ProvisionOptions): Promise<void> => {
  const jsm = await manager(nats);
  const replicas = options.replicas ?? 1;
  const ages = { auditDays: options.auditDays ?? AUDIT_DAYS, outputDays: options.outputDays || OUTPUT_DAYS };
  const set: Readonly<Record<string, number | undefined>> = { AUDIT: options.auditDays, LOGS: options.outputDays };
  const largest = options.logMaxBytes || DEFAULT_LOG_BYTES;
  for (let logMaxBytes = largest; ; logMaxBytes = Math.floor(logMaxBytes / 2)) {
    try {
      // The server reserves max_bytes. What an earlier round made too large for the others to fit is made smaller again.
      const mayShrink = logMaxBytes < largest;
      for (const wanted of streams(logMaxBytes, replicas, ages)) {
        await ensure(jsm, wanted, mayShrink);
        if (set[wanted.name]) await setAge(jsm, wanted);
      }
      await ensureBuckets(nats, replicas);
      const maxBytes = options.artifactBucketBytes || Math.floor(logMaxBytes / 2);
      for (const tenant of options.tenants ?? []) await makeBucket(nats, tenant, { maxBytes, replicas });
      return;
    } catch (error) {
      if (!isFull(codeOf(error))) throw error;
      if (!options.logMaxBytes && logMaxBytes > LEAST_LOG_BYTES) continue;
      throw new ProvisioningError(
        'STORAGE_TOO_SMALL',
        `the nats-server has no room for a log of ${logMaxBytes} bytes and what goes with it: ${(error as Error).message}; ` +
          'give it more (max_file_store), or set a smaller RUNLEDGER_LOG_MAX_BYTES',
      );
    }
  }
};

/**
 * Makes sure that every stream and bucket is there and as it must be. Any number of processes may call it at once. Throws
 * ProvisioningError, NatsError NATS_FORBIDDEN where this user may not, and LogError LOG_UNAVAILABLE where the broker has not answered for 30 s.
 */
export const provision = async (nats: Nats, options: ProvisionOptions = {}): Promise<void> => {
  checkServer(nats);
  await untilAnswered(nats, 'its streams', () => ensureAll(nats, options));
};
