import { ENDED_TENANTS, EXPIRED, QUERIES, REBUILD, SELECT } from '#libs/contracts';
import { inboxPrefix } from './access.js';
import { streamNames } from './streams.js';

export const natsUsers = ['provisioner', 'gateway', 'executor', 'projector', 'operator', 'observer'] as const;

/** Who connects to the broker: the provisioning user, the apps, the command line, and whoever follows the feed. */
export type NatsUser = (typeof natsUsers)[number];

/** What a user of the broker may do; nothing else. Subjects, with wildcards. */
export type Permissions = {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
  /** Of `publish`, what is refused all the same. */
  readonly deny?: readonly string[];
  /** May answer whoever asks it, once. */
  readonly answers?: boolean;
};

const api = (...calls: readonly string[]): readonly string[] => calls.map((call) => `$JS.API.${call}`);
const direct = (stream: string): readonly string[] => api(`DIRECT.GET.${stream}`);
const leader = (stream: string): readonly string[] => api(`STREAM.MSG.GET.${stream}`);
const consumers = (stream: string, filter = ''): readonly string[] =>
  api(`CONSUMER.CREATE.${stream}.*${filter}`, `CONSUMER.DELETE.${stream}.*`);
const follow = (stream: string): readonly string[] => [...consumers(stream), ...api(`CONSUMER.MSG.NEXT.${stream}.*`)];
/** nats.js lists and watches the keys of a bucket by consumers that push, with flow control. */
const entries = (bucket: string): readonly string[] => [
  ...leader(`KV_${bucket}`),
  ...consumers(`KV_${bucket}`, `.$KV.${bucket}.>`),
  ...api(`CONSUMER.INFO.KV_${bucket}.*`),
  `$JS.FC.KV_${bucket}.>`,
];
/**
 * What is done with buckets of artifacts, of which every tenant has one: streams whose names no wildcard of NATS tells from others'.
 * All streams are meant, but for those that a user is not given otherwise.
 */
const bucketCalls = (user: NatsUser): readonly string[] => {
  switch (user) {
    case 'gateway':
      return ['STREAM.MSG.GET', 'STREAM.PURGE', 'DIRECT.GET'];
    case 'executor':
      return ['STREAM.MSG.GET', 'STREAM.PURGE', 'DIRECT.GET', 'STREAM.INFO'];
    case 'provisioner':
    case 'projector':
    case 'operator':
    case 'observer':
      return [];
  }
};

const write = (bucket: string): string => `$KV.${bucket}.>`;

/** The streams that a user works with: these it looks at, to see that they are there and as they must be. */
export const streamsOf = (user: NatsUser): readonly string[] => {
  switch (user) {
    case 'provisioner':
      return streamNames;
    case 'gateway':
      return ['LOG', 'FEED', 'LOGS', 'AUDIT', 'RATES', 'KV_keys', 'KV_members', 'KV_secrets'];
    case 'executor':
      return ['LOG', 'FEED', 'LOGS', 'KV_members', 'KV_checkpoints', 'KV_secrets'];
    case 'projector':
      return ['LOG', 'FEED'];
    case 'operator':
      return ['LOG', 'KV_keys'];
    case 'observer':
      return ['FEED'];
  }
};

const publishesOf = (user: NatsUser): readonly (string | readonly string[])[] => {
  switch (user) {
    case 'provisioner':
      // A tenant's bucket is a stream of any name.
      return [api('STREAM.CREATE.*', 'STREAM.INFO.*'), ...streamNames.map((stream) => api(`STREAM.UPDATE.${stream}`))];
    case 'gateway':
      return [
        'log.>',
        direct('LOG'),
        leader('LOG'),
        direct('LOGS'),
        leader('LOGS'),
        // What it hands on to those who follow: it reads the feed, and never publishes.
        direct('FEED'),
        leader('FEED'),
        follow('FEED'),
        'audit.*',
        direct('AUDIT'),
        'rates.>',
        write('keys'),
        entries('keys'),
        entries('members'),
        // It stores secrets under the next version, and lists them; all it sees is sealed.
        write('secrets'),
        direct('KV_secrets'),
        leader('KV_secrets'),
        // Artifacts: it stores, reads and removes their bytes.
        '$O.*.*.*',
        QUERIES,
        REBUILD,
      ];
    case 'executor':
      return [
        // Artifacts, as the gateway; and it finds those whose time has come, and bytes that nothing names.
        '$O.*.*.*',
        api('STREAM.NAMES'),
        'runledger.query.artifacts.due',
        'runledger.query.artifacts.known',
        'runledger.query.artifacts.usage',
        'log.>',
        direct('LOG'),
        leader('LOG'),
        follow('LOG'),
        'output.>',
        // For artifacts of all output.
        direct('LOGS'),
        leader('LOGS'),
        // It cleans up behind deletions, once the feed has told of them.
        api('STREAM.PURGE.LOG', 'STREAM.PURGE.FEED', 'STREAM.PURGE.LOGS'),
        leader('FEED'),
        // For retention: what has ended long ago.
        ENDED_TENANTS,
        EXPIRED,
        write('members'),
        entries('members'),
        write('checkpoints'),
        leader('KV_checkpoints'),
        leader('KV_secrets'),
        // Whom a bulk operation is about.
        SELECT,
      ];
    case 'projector':
      // A query too: of its health check, to itself.
      return ['events.>', leader('FEED'), direct('LOG'), leader('LOG'), follow('LOG'), QUERIES];
    case 'operator':
      return [direct('LOG'), leader('LOG'), write('keys'), entries('keys'), QUERIES];
    case 'observer':
      return [
        // The second is what Go's client makes a consumer by that has no name.
        api('STREAM.NAMES', 'CONSUMER.CREATE.FEED', 'CONSUMER.INFO.FEED.*'),
        follow('FEED'),
        consumers('FEED', '.events.>'),
        '$JS.ACK.FEED.>',
        '$JS.FC.FEED.>',
      ];
  }
};

const listensOf = (user: NatsUser): readonly string[] => {
  if (user === 'executor') return ['$KV.members.*'];
  return user === 'projector' ? [QUERIES, REBUILD] : [];
};

/** The least that works. */
export const permissionsOf = (user: NatsUser): Permissions => {
  const given = new Set([...api('INFO'), ...streamsOf(user).flatMap((stream) => api(`STREAM.INFO.${stream}`)), ...publishesOf(user).flat()]);
  const deny = bucketCalls(user).flatMap((call) => streamNames.flatMap((stream) => api(`${call}.${stream}`)).filter((subject) => !given.has(subject)));
  return {
    publish: [...given, ...bucketCalls(user).flatMap((call) => api(`${call}.*`))],
    subscribe: [`${inboxPrefix(user)}.>`, ...listensOf(user)],
    ...(deny.length > 0 && { deny }),
    answers: user === 'projector',
  };
};

/**
 * The feed of one tenant as it is published, for somebody who is not trusted with more: nothing can be sent. Whoever may ask JetStream
 * anything can have its answer sent to any subject, as nats-server does not check where an answer is to go.
 */
export const tenantObserver = (tenant: string): Permissions => ({ publish: [], subscribe: [`events.${tenant}.>`] });
