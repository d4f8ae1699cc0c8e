import { DeliverPolicy, jetstream } from '@nats-io/jetstream';
import { type NatsConnection, connect, nkeys } from '@nats-io/transport-node';
import { FeedStream, NatsError, type NatsUser, authorization, awaitStreams, connectNats, connectionOptions, passwordUsers, provision, serverUsers } from '#libs/jetstream';
import { eventually, natsServers, startNatsServer } from '#libs/testing';
import { type Guarded, startGuarded } from './users.js';

const event = (tenant: string, n: number) => ({ subject: `events.${tenant}.e.execution.completed`, body: `{"n":${n}}`, position: `${n}.0`, commit: 'c' });

describe.each(natsServers())('with users of their own on $name', ({ name: version }) => {
  let guarded: Guarded;
  const connections: NatsConnection[] = [];
  afterEach(async () => {
    await Promise.all(connections.splice(0).map((connection) => connection.close()));
    await guarded.stop();
  });

  it.each<NatsUser>(['gateway', 'executor', 'projector'])('%s makes no stream, but waits for who may, and says so once', async (user) => {
    guarded = await startGuarded(version, [], false);
    const told: string[] = [];
    const ready = awaitStreams(await guarded.as(user), user, { waiting: (message) => told.push(message) });
    await eventually(() => told.length > 0, { what: 'the message' });
    expect(told[0]).toMatch(/waiting for LOG, .*runledger provision/);
    await provision(await guarded.as('provisioner'), { logMaxBytes: 256 * 1024 ** 2 });
    await ready;
    expect(told).toHaveLength(1);
    await expect(provision(await guarded.as(user))).rejects.toMatchObject({ code: 'NATS_FORBIDDEN', retryable: false, message: expect.stringContaining('runledger nats-config') });
  });

  it('the observer reads the whole feed, by pulling and by being pushed, and is refused nothing on the way', async () => {
    guarded = await startGuarded(version);
    const published = await new FeedStream(await guarded.as('projector')).publish([event('acme', 1), event('other', 2)], 0);
    expect(published).toEqual({ lastSequence: 2 });
    const connection = await connect(connectionOptions({ url: guarded.server.url, credentials: guarded.credentials('observer') }, 'observer', 'test'));
    connections.push(connection);
    const errors: unknown[] = [];
    void (async () => {
      for await (const status of connection.status()) if (status.type === 'error') errors.push(status.error);
    })();
    const js = jetstream(connection);
    const subjects: string[][] = [];
    for (const consumer of [
      await js.consumers.get('FEED', { filter_subjects: 'events.>' }),
      await js.consumers.getPushConsumer('FEED', { filter_subjects: 'events.>', deliver_policy: DeliverPolicy.All }),
      await js.consumers.get('FEED'),
    ]) {
      const heard: string[] = [];
      for await (const { subject } of await consumer.consume()) if (heard.push(subject) === 2) break;
      subjects.push(heard);
    }
    expect(subjects).toEqual(Array.from({ length: 3 }, () => ['events.acme.e.execution.completed', 'events.other.e.execution.completed']));
    expect(errors).toEqual([]);
  });

  it("a tenant's observer hears its tenant's events as they are published, and no others", async () => {
    guarded = await startGuarded(version, ['acme']);
    const connection = await connect(connectionOptions({ url: guarded.server.url, credentials: guarded.credentials('observer-acme') }, undefined, 'test'));
    connections.push(connection);
    const heard: string[] = [];
    connection.subscribe('events.acme.>', { callback: (_, { subject }) => void heard.push(subject) });
    await connection.flush();
    await new FeedStream(await guarded.as('projector')).publish([event('other', 1), event('acme', 2), event('other', 3)], 0);
    await eventually(() => heard.length > 0, { what: 'the event' });
    await connection.flush();
    expect(heard).toEqual(['events.acme.e.execution.completed']);
  });

  it('what a user is refused is said, with what to do about it', async () => {
    guarded = await startGuarded(version);
    const nats = await guarded.as('executor');
    nats.connection.publish('events.acme.e.execution.completed', '{}');
    await eventually(() => nats.refusals.length > 0, { what: 'the refusal' });
    expect(nats.refusals).toEqual([expect.stringMatching(/does not let this user publish to events\.acme\.e\.execution\.completed; .*runledger nats-config/)]);
  });

  it('an answer reaches who has asked, who alone may hear it', async () => {
    guarded = await startGuarded(version);
    const projector = await guarded.as('projector');
    projector.connection.subscribe('runledger.query.stats', { callback: (_, question) => void question.respond('{}') });
    await projector.connection.flush();
    for (const user of ['gateway', 'operator']) {
      const reply = await (await guarded.as(user)).replies.request('runledger.query.stats', '{}', 2_000);
      expect(typeof reply === 'string' ? reply : reply.string()).toBe('{}');
    }
  });
});

describe('who gets in', () => {
  const names = serverUsers();
  const env = Object.fromEntries(names.map((name) => [`RUNLEDGER_NATS_PASSWORD_${name.toUpperCase()}`, `password-of-${name}`]));

  it('is who has a password, in a setting or in the URL, and nobody else', async () => {
    const server = await startNatsServer({ config: authorization(passwordUsers(names)), env });
    try {
      const { url } = server;
      const given = { url, credentials: { user: 'gateway', password: 'password-of-gateway' } };
      const inUrl = { url: url.replace('//', '//gateway:password-of%2Dgateway@') };
      for (const access of [given, inUrl]) await (await connectNats({ ...access, user: 'gateway', name: 'test' })).close();
      const wrong: unknown = await connectNats({ url, credentials: { user: 'gateway', password: 'hunter2' }, name: 'test', wait: true }).catch((error: unknown) => error);
      expect(wrong).toBeInstanceOf(NatsError);
      expect(wrong).toMatchObject({ code: 'NATS_UNAUTHORIZED', retryable: false, message: expect.stringContaining('RUNLEDGER_NATS_PASSWORD_FILE') });
      expect(String(wrong)).not.toContain('hunter2');
      await expect(connectNats({ url, name: 'test' })).rejects.toMatchObject({ code: 'NATS_UNAUTHORIZED' });
    } finally {
      await server.stop();
    }
  });

  it('is who has the JWT of an operator, with the seed that goes with it', async () => {
    const [operator, account, system, user] = [nkeys.createOperator(), nkeys.createAccount(), nkeys.createAccount(), nkeys.createUser()];
    const encode = (part: object | Uint8Array): string => Buffer.from(part instanceof Uint8Array ? part : JSON.stringify(part)).toString('base64url');
    const token = (issuer: nkeys.KeyPair, subject: nkeys.KeyPair, claims: object): string => {
      const body = `${encode({ typ: 'JWT', alg: 'ed25519-nkey' })}.${encode({ iat: 1, iss: issuer.getPublicKey(), sub: subject.getPublicKey(), name: 'test', nats: { version: 2, ...claims } })}`;
      return `${body}.${encode(issuer.sign(Buffer.from(body)))}`;
    };
    const unlimited = { subs: -1, data: -1, payload: -1, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1 };
    const accounts = [account, system].map((each) => `${each.getPublicKey()}: ${token(operator, each, { type: 'account', limits: unlimited })}`);
    const server = await startNatsServer({
      config: `operator: ${token(operator, operator, { type: 'operator' })}, system_account: ${system.getPublicKey()}, resolver: MEMORY, resolver_preload: { ${accounts.join(', ')} }`,
    });
    try {
      const jwt = token(account, user, { type: 'user', pub: {}, sub: {}, subs: -1, data: -1, payload: -1 });
      const creds = (seed: Uint8Array): string =>
        `-----BEGIN NATS USER JWT-----\n${jwt}\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n${new TextDecoder().decode(seed)}\n------END USER NKEY SEED------\n`;
      await (await connectNats({ url: server.url, credentials: { creds: creds(user.getSeed()) }, name: 'test' })).close();
      const other = connectNats({ url: server.url, credentials: { creds: creds(nkeys.createUser().getSeed()) }, name: 'test' });
      await expect(other).rejects.toMatchObject({ code: 'NATS_UNAUTHORIZED', message: expect.stringContaining('RUNLEDGER_NATS_CREDS_FILE') });
    } finally {
      await server.stop();
    }
  });

  it('is told when nobody is there, once where it waits', async () => {
    await expect(connectNats({ url: 'nats://127.0.0.1:1', name: 'test' })).rejects.toMatchObject({ code: 'NATS_UNREACHABLE', retryable: true });
    const first = await startNatsServer();
    await first.stop();
    const told: string[] = [];
    const waiting = connectNats({ url: first.url, name: 'test', wait: true, tell: ({ message }) => told.push(message) });
    await eventually(() => told.length > 0, { what: 'the reason' });
    const second = await startNatsServer({ port: first.port });
    await (await waiting).close();
    await second.stop();
    expect(told).toEqual([expect.stringContaining('NATS_URL')]);
  });
});
