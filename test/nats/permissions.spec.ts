import { type NatsConnection, PermissionViolationError, connect } from '@nats-io/transport-node';
import { connectionOptions, natsUsers, serverUsers } from '#libs/jetstream';
import { natsServers } from '#libs/testing';
import { type Guarded, startGuarded } from './users.js';

const api = (call: string): string => `$JS.API.${call}`;

/** Who may send what, of everything there is to be sent. */
const sending: readonly (readonly [subject: string, ...users: string[]])[] = [
  ['log.1.acme.e', 'gateway', 'executor'],
  ['output.acme.e.t', 'executor'],
  ['events.acme.e.execution.completed', 'projector'],
  ['audit.acme', 'gateway'],
  ['rates.w.acme', 'gateway'],
  ['$KV.keys.k', 'gateway', 'operator'],
  ['$KV.secrets.acme.s', 'gateway'],
  ['$KV.members.m', 'executor'],
  ['$KV.checkpoints.c', 'executor'],
  ['$O.artifacts_acme.C.o', 'gateway', 'executor'],
  ['$O.artifacts_acme.M.bw==', 'gateway', 'executor'],
  [api('STREAM.CREATE.OBJ_artifacts_acme'), 'provisioner'],
  [api('STREAM.INFO.OBJ_artifacts_acme'), 'provisioner', 'executor'],
  [api('STREAM.MSG.GET.OBJ_artifacts_acme'), 'gateway', 'executor'],
  [api('DIRECT.GET.OBJ_artifacts_acme'), 'gateway', 'executor'],
  [api('STREAM.PURGE.OBJ_artifacts_acme'), 'gateway', 'executor'],
  [api('STREAM.DELETE.OBJ_artifacts_acme')],
  [api('STREAM.UPDATE.OBJ_artifacts_acme')],
  [api('STREAM.NAMES'), 'executor', 'observer'],
  [api('STREAM.INFO.AUDIT'), 'provisioner', 'gateway'],
  [api('STREAM.INFO.KV_keys'), 'provisioner', 'gateway', 'operator'],
  [api('STREAM.MSG.GET.AUDIT')],
  ['runledger.query.stats', 'gateway', 'projector', 'operator'],
  ['runledger.query.status.select', 'gateway', 'executor', 'projector', 'operator'],
  ['runledger.query.status.list', 'gateway', 'projector', 'operator'],
  ['runledger.query.artifacts.due', 'gateway', 'executor', 'projector', 'operator'],
  ['runledger.query.artifacts.usage', 'gateway', 'executor', 'projector', 'operator'],
  ['runledger.query.artifacts.list', 'gateway', 'projector', 'operator'],
  ['runledger.query.status.tenants', 'gateway', 'executor', 'projector', 'operator'],
  ['runledger.query.status.expired', 'gateway', 'executor', 'projector', 'operator'],
  ['runledger.projections.rebuild', 'gateway'],
  // Answers are given by allow_responses, to whoever has asked.
  ['_INBOX_gateway.a.b'],
  ['_INBOX_operator.a.b'],
  [api('STREAM.INFO.LOG'), 'provisioner', 'gateway', 'executor', 'projector', 'operator'],
  [api('DIRECT.GET.LOG'), 'gateway', 'executor', 'projector', 'operator'],
  [api('STREAM.MSG.GET.LOG'), 'gateway', 'executor', 'projector', 'operator'],
  [api('CONSUMER.CREATE.LOG.c'), 'executor', 'projector'],
  [api('CONSUMER.MSG.NEXT.LOG.c'), 'executor', 'projector'],
  [api('DIRECT.GET.LOGS'), 'gateway', 'executor'],
  [api('STREAM.MSG.GET.LOGS'), 'gateway', 'executor'],
  [api('CONSUMER.CREATE.LOGS.c')],
  [api('STREAM.MSG.GET.FEED'), 'executor', 'projector', 'gateway'],
  [api('CONSUMER.CREATE.FEED.c.events.acme.>'), 'observer'],
  [api('CONSUMER.MSG.NEXT.FEED.c'), 'observer', 'gateway'],
  [api('DIRECT.GET.AUDIT'), 'gateway'],
  [api('CONSUMER.CREATE.AUDIT.c')],
  [api('STREAM.MSG.GET.KV_keys'), 'gateway', 'operator'],
  [api('CONSUMER.CREATE.KV_keys.c.$KV.keys.>'), 'gateway', 'operator'],
  [api('DIRECT.GET.KV_keys')],
  [api('STREAM.MSG.GET.KV_secrets'), 'gateway', 'executor'],
  [api('DIRECT.GET.KV_secrets'), 'gateway'],
  [api('CONSUMER.CREATE.KV_secrets.c')],
  [api('CONSUMER.CREATE.KV_secrets.c.$KV.secrets.>')],
  ...['LOG', 'FEED', 'LOGS', 'AUDIT', 'RATES', 'KV_keys', 'KV_secrets', 'KV_members', 'KV_checkpoints'].flatMap((stream) => [
    [api(`STREAM.CREATE.${stream}`), 'provisioner'] as const,
    [api(`STREAM.UPDATE.${stream}`), 'provisioner'] as const,
    [api(`STREAM.DELETE.${stream}`)] as const,
    [api(`STREAM.PURGE.${stream}`), ...(['LOG', 'FEED', 'LOGS'].includes(stream) ? ['executor'] : [])] as const,
    [api(`STREAM.MSG.DELETE.${stream}`)] as const,
    [api(`STREAM.SNAPSHOT.${stream}`)] as const,
    [api(`STREAM.RESTORE.${stream}`)] as const,
  ]),
  [api('STREAM.UPDATE.MINE')],
  [api('STREAM.LIST')],
  [api('CONSUMER.LIST.LOG')],
  [api('ACCOUNT.PURGE.$G')],
  ['$SYS.REQ.SERVER.PING'],
  ['anything.else'],
];

const listening: readonly (readonly [subject: string, ...users: string[]])[] = [
  ...natsUsers.map((user) => [`_INBOX_${user}.>`, user] as const),
  ['_INBOX.>'],
  ['$KV.members.*', 'executor'],
  ['runledger.query.>', 'projector'],
  ['runledger.projections.rebuild', 'projector'],
  ['events.acme.>', 'observer-acme'],
  ['events.acme.e.execution.completed', 'observer-acme'],
  ['events.other.>'],
  ...['>', '*.>', 'log.>', 'events.>', 'output.>', 'audit.>', 'rates.>', '$KV.>', '$KV.keys.>', '$KV.secrets.>', '$JS.>', '$JS.API.>', '$SYS.>'].map((subject) => [subject] as const),
];

describe.each(natsServers())('users of $name', ({ name: version }) => {
  let guarded: Guarded;
  const connections: NatsConnection[] = [];
  beforeAll(async () => {
    guarded = await startGuarded(version, ['acme']);
  });
  afterAll(async () => {
    await Promise.all(connections.map((connection) => connection.close()));
    await guarded.stop();
  });

  const refusedTo = async (name: string, operation: 'publish' | 'subscription', attempt: (connection: NatsConnection) => void): Promise<ReadonlySet<string>> => {
    const connection = await connect(connectionOptions({ url: guarded.server.url, credentials: guarded.credentials(name) }, undefined, 'test'));
    connections.push(connection);
    const refused = new Set<string>();
    const read = (async () => {
      for await (const status of connection.status()) {
        const { error } = status as { readonly error?: unknown };
        if (error instanceof PermissionViolationError && error.operation === operation) refused.add(error.subject);
      }
    })();
    attempt(connection);
    await connection.flush();
    await connection.close();
    await read;
    return refused;
  };

  it.each(serverUsers(['acme']))('%s sends what the table says, and nothing else', async (name) => {
    const refused = await refusedTo(name, 'publish', (connection) => {
      for (const [subject] of sending) connection.publish(subject);
    });
    const may = sending.filter(([subject]) => !refused.has(subject)).map(([subject]) => subject);
    expect(may).toEqual(sending.filter(([, ...users]) => users.includes(name)).map(([subject]) => subject));
  });

  it.each(serverUsers(['acme']))('%s listens to what the table says, and to nothing else', async (name) => {
    const refused = await refusedTo(name, 'subscription', (connection) => {
      for (const [subject] of listening) connection.subscribe(subject, { callback: () => undefined });
    });
    const may = listening.filter(([subject]) => !refused.has(subject)).map(([subject]) => subject);
    expect(may).toEqual(listening.filter(([, ...users]) => users.includes(name)).map(([subject]) => subject));
  });
});
