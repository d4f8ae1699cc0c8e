import { randomUUID } from 'node:crypto';
import { PersistMode, type StreamConfig } from '@nats-io/jetstream';
import { SHARDS } from '#libs/contracts';

export type Wanted = Partial<StreamConfig> & { readonly name: string };

/** Version of what the streams hold; a log of another version is refused. */
const FORMAT = '1';
const NANOSECONDS = 1_000_000;
const HOUR = 3_600_000 * NANOSECONDS;
const DAY = 24 * HOUR;

/** A member's key lapses after this time without a beat, in milliseconds. */
export const MEMBER_TTL_MS = 3_000;

/** Settings that must be as wanted for Runledger to be right. Other sizes and ages are the operator's. */
export const binding = [
  'subjects',
  'storage',
  'retention',
  'discard',
  'allow_direct',
  'allow_atomic',
  'allow_rollup_hdrs',
  'allow_msg_schedules',
  'allow_msg_counter',
  'deny_purge',
  'max_age',
  'max_msgs',
  'max_msgs_per_subject',
] as const satisfies readonly (keyof StreamConfig)[];

/** What holds of a setting that a stream's configuration does not name. */
export const unset: Partial<Record<(typeof binding)[number], unknown>> = {
  allow_direct: false,
  allow_atomic: false,
  allow_rollup_hdrs: false,
  allow_msg_schedules: false,
  allow_msg_counter: false,
  deny_purge: false,
};

export const metadataKeys = ['runledger.format', 'runledger.shards'] as const;

export const AUDIT_DAYS = 90;
export const OUTPUT_DAYS = 14;

/** Days that streams keep what they hold, where that is a setting. */
export type Ages = { readonly auditDays: number; readonly outputDays: number };

/** Every stream, the log first: it is to get its room. */
export const streams = (logMaxBytes: number, replicas: number, { auditDays, outputDays }: Ages = { auditDays: AUDIT_DAYS, outputDays: OUTPUT_DAYS }): readonly Wanted[] => [
  {
    name: 'LOG',
    description: 'Every commit of every execution; the only truth.',
    subjects: ['log.>'],
    storage: 'file',
    retention: 'limits',
    // Old would eat live executions, and let an id be born again; so would an age or a count.
    discard: 'new',
    max_bytes: logMaxBytes,
    max_age: 0,
    max_msgs: -1,
    max_msgs_per_subject: -1,
    num_replicas: replicas,
    allow_direct: true,
    allow_atomic: true,
    // Both would let a publisher purge.
    allow_rollup_hdrs: false,
    allow_msg_schedules: false,
    deny_delete: true,
    // Retention purges a deleted execution's subject but for its last message.
    deny_purge: false,
    metadata: {
      'runledger.format': FORMAT,
      'runledger.shards': String(SHARDS),
      // Tells this log from one that is made anew, or restored elsewhere, under the same name.
      'runledger.incarnation': randomUUID(),
    },
  },
  {
    name: 'FEED',
    description: 'One CloudEvent per committed event, in log order; rebuildable from LOG.',
    subjects: ['events.>'],
    storage: 'file',
    retention: 'limits',
    discard: 'old',
    // No age: its publisher goes on from the last message, which an age would remove from a feed that rests.
    max_bytes: Math.floor(logMaxBytes / 2),
    num_replicas: replicas,
    allow_direct: true,
    allow_atomic: true,
    metadata: { 'runledger.format': FORMAT },
  },
  {
    name: 'LOGS',
    description: 'Output of tasks, in chunks.',
    subjects: ['output.>'],
    storage: 'file',
    retention: 'limits',
    discard: 'old',
    max_bytes: Math.floor(logMaxBytes / 4),
    max_age: outputDays * DAY,
    num_replicas: replicas,
    allow_direct: true,
    // It may lose its last moments with the power: recovery does not go by a command's output.
    ...(replicas === 1 && { persist_mode: PersistMode.Async }),
    metadata: { 'runledger.format': FORMAT },
  },
  {
    name: 'AUDIT',
    description: 'Requests that were to change something, or were refused for who asks.',
    subjects: ['audit.*'],
    storage: 'file',
    retention: 'limits',
    discard: 'old',
    max_bytes: Math.floor(logMaxBytes / 32),
    max_age: auditDays * DAY,
    num_replicas: replicas,
    allow_direct: true,
    deny_delete: true,
    deny_purge: true,
    duplicate_window: 60_000 * NANOSECONDS,
    // Records come after their answers anyway, and must not make commits wait for the disk. Who changed what stands in LOG, too.
    ...(replicas === 1 && { persist_mode: PersistMode.Async }),
    metadata: { 'runledger.format': FORMAT },
  },
  {
    name: 'RATES',
    description: 'Requests of tenants, counted by window of time; worth nothing once that is over.',
    subjects: ['rates.>'],
    // In memory it would be gone with a restart of a single server, and nothing would be counted until the next provisioning.
    storage: 'file',
    retention: 'limits',
    discard: 'old',
    max_bytes: 8 * 1024 ** 2,
    max_age: 2 * HOUR,
    // Of a counter its last message is its value.
    max_msgs_per_subject: 1,
    num_replicas: replicas,
    allow_direct: true,
    allow_msg_counter: true,
    ...(replicas === 1 && { persist_mode: PersistMode.Async }),
    metadata: { 'runledger.format': FORMAT },
  },
];

/** Buckets as nats.js makes them; their limits are small against the log's. */
export const buckets = (replicas: number) =>
  [
    // Markers let a watcher hear of a key that lapsed, which the time limit alone does silently.
    { name: 'members', options: { ttl: MEMBER_TTL_MS, markerTTL: 10_000, history: 1, max_bytes: 4 * 1024 ** 2, replicas } },
    { name: 'keys', options: { history: 1, max_bytes: 64 * 1024 ** 2, replicas } },
    { name: 'secrets', options: { history: 1, max_bytes: 16 * 1024 ** 2, allow_direct: true, replicas } },
    { name: 'checkpoints', options: { history: 1, max_bytes: 64 * 1024 ** 2, replicas } },
  ] as const;

/** Every stream, those of the buckets included. */
export const streamNames: readonly string[] = [...streams(0, 1).map(({ name }) => name), ...buckets(1).map(({ name }) => `KV_${name}`)];
