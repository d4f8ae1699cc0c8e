import { randomUUID } from 'node:crypto';
import {
  type JetStreamManager,
  PersistMode,
  type StreamConfig,
  type StreamInfo,
  JetStreamApiError,
  jetstreamManager,
} from '@nats-io/jetstream';
import { SHARDS } from '#libs/contracts';
import { codes, isFull } from './codes.js';
import type { Nats } from './connection.js';

export type ProvisioningCode = 'JETSTREAM_MISSING' | 'SERVER_TOO_OLD' | 'STREAM_MISMATCH';

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
  /** Bytes at most for LOG; default 8 GiB, less where the server has no room for that. FEED gets half of it, LOGS a quarter. */
  readonly logMaxBytes?: number;
  readonly replicas?: number;
};

const DAY_NS = 24 * 3_600 * 1_000_000_000;
const DEFAULT_LOG_BYTES = 8 * 1024 ** 3;
const LEAST_LOG_BYTES = 64 * 1024 ** 2;
const FORMAT = '1';
const OLDEST: readonly [number, number] = [2, 14];

type Wanted = Partial<StreamConfig> & { readonly name: string };

const streams = (logMaxBytes: number, replicas: number): readonly Wanted[] => [
  {
    name: 'LOG',
    description: 'Every commit of every execution; the only truth.',
    subjects: ['log.>'],
    storage: 'file',
    retention: 'limits',
    // Old would eat live executions, and let an id be born again.
    discard: 'new',
    max_bytes: logMaxBytes,
    num_replicas: replicas,
    allow_direct: true,
    allow_atomic: true,
    allow_rollup_hdrs: false,
    deny_delete: true,
    metadata: { 'runledger.format': FORMAT, 'runledger.shards': String(SHARDS), 'runledger.incarnation': randomUUID() },
  },
  {
    name: 'FEED',
    description: 'One CloudEvent per committed event, in log order; rebuildable from LOG.',
    subjects: ['events.>'],
    storage: 'file',
    retention: 'limits',
    discard: 'old',
    max_bytes: Math.floor(logMaxBytes / 2),
    max_age: 30 * DAY_NS,
    num_replicas: replicas,
    allow_direct: true,
    allow_atomic: true,
  },
  {
    name: 'LOGS',
    description: 'Output of tasks, in chunks.',
    subjects: ['output.>'],
    storage: 'file',
    retention: 'limits',
    discard: 'old',
    max_bytes: Math.floor(logMaxBytes / 4),
    max_age: 14 * DAY_NS,
    num_replicas: replicas,
    allow_direct: true,
    // It may lose its last moments with the power; a command's output is not what recovery goes by.
    ...(replicas === 1 && { persist_mode: PersistMode.Async }),
  },
];

const checkServer = (nats: Nats): void => {
  const { version = '0.0.0', jetstream } = nats.connection.info ?? {};
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
    const code = error instanceof JetStreamApiError ? error.code : 0;
    if (code === codes.jetStreamDisabled || code === codes.jetStreamDisabledForAccount) {
      throw new ProvisioningError('JETSTREAM_MISSING', "this account may not use JetStream; enable it in nats-server's configuration");
    }
    throw error;
  }
};

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

/** What must be as wanted for Runledger to be right; sizes and ages are the operator's. */
const checked = ['subjects', 'storage', 'retention', 'discard', 'allow_direct', 'allow_atomic'] as const;

const checkStream = (wanted: Wanted, found: StreamInfo): void => {
  for (const setting of checked) {
    const [want, have] = [wanted[setting], found.config[setting]];
    if (want === undefined || same(want, have)) continue;
    throw new ProvisioningError(
      'STREAM_MISMATCH',
      `stream ${wanted.name} has ${setting} ${JSON.stringify(have)} where ${JSON.stringify(want)} is needed; ` +
        'change it with `nats stream edit`, or use another account or server',
    );
  }
  for (const key of ['runledger.format', 'runledger.shards']) {
    const [want, have] = [wanted.metadata?.[key], found.config.metadata?.[key]];
    if (want === undefined || want === have) continue;
    throw new ProvisioningError(
      'STREAM_MISMATCH',
      `stream ${wanted.name} says ${key}=${have ?? 'nothing'} where this version needs ${want}: it is not a log of this version`,
    );
  }
};

const ensure = async (jsm: JetStreamManager, wanted: Wanted): Promise<void> => {
  let found: StreamInfo | undefined;
  try {
    found = await jsm.streams.info(wanted.name);
  } catch (error) {
    if (!(error instanceof JetStreamApiError) || error.code !== codes.streamNotFound) throw error;
  }
  if (!found) {
    try {
      await jsm.streams.add({ ...wanted });
      return;
    } catch (error) {
      // Another process was faster; its incarnation id is the one that counts.
      if (!(error instanceof JetStreamApiError) || error.code !== codes.streamNameInUse) throw error;
      found = await jsm.streams.info(wanted.name);
    }
  }
  checkStream(wanted, found);
};

/** Makes sure that every stream is there and as it must be. Any number of processes may call it at once. Throws ProvisioningError. */
export const provision = async (nats: Nats, options: ProvisionOptions = {}): Promise<void> => {
  checkServer(nats);
  const jsm = await manager(nats);
  for (let logMaxBytes = options.logMaxBytes || DEFAULT_LOG_BYTES; ; logMaxBytes = Math.floor(logMaxBytes / 2)) {
    try {
      for (const wanted of streams(logMaxBytes, options.replicas ?? 1)) await ensure(jsm, wanted);
      return;
    } catch (error) {
      // The server reserves max_bytes: a smaller disk gets smaller streams, unless their size was asked for.
      const full = error instanceof JetStreamApiError && isFull(error.code);
      if (!full || options.logMaxBytes || logMaxBytes < LEAST_LOG_BYTES) throw error;
    }
  }
};
