import { randomUUID } from 'node:crypto';
import { createServer } from 'node:net';
import { TimeoutError } from '@nats-io/transport-node';
import { SHARDS } from '#libs/contracts';
import { Checkpoints, JetStreamLog, Members, type Nats, ProvisioningError, connectNats, provision } from '#libs/jetstream';
import { type NatsServer, natsServers, startNatsServer } from '#libs/testing';
import { MIB } from './servers.js';

const api = async <Answer>(nats: Nats, call: string, body: unknown = ''): Promise<Answer> => {
  const reply = await nats.replies.request(`$JS.API.${call}`, body === '' ? '' : JSON.stringify(body), 5_000);
  if (typeof reply === 'string') throw new Error(`${call}: ${reply}`);
  const answer = reply.json<Answer & { error?: { description: string } }>();
  if (answer.error) throw new Error(`${call}: ${answer.error.description}`);
  return answer;
};

type Info = { readonly config: Record<string, unknown> & { readonly max_bytes: number; readonly metadata?: Record<string, string> } };

const names = ['LOG', 'FEED', 'LOGS', 'KV_members', 'KV_checkpoints', 'KV_secrets'];
const configs = (nats: Nats): Promise<Info['config'][]> =>
  Promise.all(names.map(async (name) => (await api<Info>(nats, `STREAM.INFO.${name}`)).config));

describe.each(natsServers())('provisioning on $name', ({ name: version }) => {
  let server: NatsServer | undefined;
  const clients: Nats[] = [];
  const connect = async (url: string): Promise<Nats> => {
    const nats = await connectNats({ url, name: 'test' });
    clients.push(nats);
    return nats;
  };
  const start = async (options: Parameters<typeof startNatsServer>[0] = {}): Promise<Nats> => {
    server = await startNatsServer({ version, ...options });
    return await connect(server.url);
  };
  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.close()));
    await server?.stop();
  });

  it('makes every stream and bucket as it must be, and leaves them alone the next time', async () => {
    const nats = await start();
    await provision(nats, { logMaxBytes: 256 * MIB });
    const made = await configs(nats);
    const [log, feed, output, members] = made;
    expect(log).toMatchObject({
      storage: 'file', retention: 'limits', discard: 'new', max_bytes: 256 * MIB, max_age: 0, allow_direct: true, allow_atomic: true,
      deny_delete: true, metadata: { 'runledger.format': '1', 'runledger.shards': String(SHARDS) },
    });
    expect(log).not.toMatchObject({ allow_rollup_hdrs: true });
    expect(log).not.toMatchObject({ deny_purge: true });
    expect(feed).toMatchObject({ discard: 'old', max_bytes: 128 * MIB, allow_atomic: true });
    expect(output).toMatchObject({ discard: 'old', max_bytes: 64 * MIB, persist_mode: 'async' });
    expect(members).toMatchObject({ max_age: 3_000_000_000, allow_msg_ttl: true });

    await provision(nats, { logMaxBytes: 512 * MIB });
    expect(await configs(nats)).toEqual(made);
  });

  it('gives output the age that it is told to, and otherwise leaves it the one that it has', async () => {
    const nats = await start();
    const ageAfter = async (options: Parameters<typeof provision>[1]): Promise<unknown> => {
      await provision(nats, { logMaxBytes: 256 * MIB, ...options });
      return Number((await api<Info>(nats, 'STREAM.INFO.LOGS')).config['max_age']) / (86_400 * 1e9);
    };
    expect([await ageAfter({}), await ageAfter({ outputDays: 3 }), await ageAfter({ outputDays: 0 }), await ageAfter({})]).toEqual([14, 3, 3, 3]);
  });

  it('may be done by many at once, who all get the same log', async () => {
    const first = await start();
    const others = await Promise.all(Array.from({ length: 7 }, () => connect(server!.url)));
    await Promise.all([first, ...others].map((nats) => provision(nats, { logMaxBytes: 256 * MIB })));
    const heads = await Promise.all([first, ...others].map((nats) => new JetStreamLog(nats).head()));
    expect(new Set(heads.map(({ incarnation }) => incarnation)).size).toBe(1);
    expect(heads[0]?.incarnation).toMatch(/^[0-9a-f-]{36}$/);
  });

  /** A connection whose next requests find the broker silent, as while it restarts. */
  const silentFor = (nats: Nats, requests: number): Nats => {
    let left = requests;
    const connection = new Proxy(nats.connection, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== 'function') return value;
        if (name !== 'request') return value.bind(target) as unknown;
        return (...asked: Parameters<typeof target.request>) =>
          left-- > 0 ? Promise.reject(new TimeoutError()) : target.request(...asked);
      },
    });
    return { ...nats, connection };
  };

  it('waits for a broker that does not answer, and says so where it never does', async () => {
    const nats = await start();
    await provision(silentFor(nats, 2), { logMaxBytes: 256 * MIB });
    expect(await configs(nats)).toHaveLength(names.length);
    await Checkpoints.open(silentFor(nats, 1));
    const member = await Members.join(silentFor(nats, 1), { incarnation: randomUUID(), details: {} });
    await member.leave();
    const given = provision(silentFor(nats, Infinity));
    await nats.close();
    await expect(given).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE', message: expect.stringContaining('did not answer') });
  });

  it.each([
    ['discard', 'old', '"new"'],
    ['max_age', 3_600_000_000_000, '0'],
    ['allow_direct', false, 'true'],
    ['max_msgs_per_subject', 5, '-1'],
    ['subjects', ['log.*.acme.>'], '["log.>"]'],
  ])('refuses a log whose %s is %j, naming it', async (setting, found, wanted) => {
    const nats = await start();
    await provision(nats, { logMaxBytes: 256 * MIB });
    const { config } = await api<Info>(nats, 'STREAM.INFO.LOG');
    await api(nats, 'STREAM.UPDATE.LOG', { ...config, [setting]: found });
    const refused = await provision(nats).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(ProvisioningError);
    expect(refused).toMatchObject({ code: 'STREAM_MISMATCH' });
    for (const part of ['LOG', setting, JSON.stringify(found), wanted, 'nats stream edit']) expect(String(refused)).toContain(part);
  });

  it('refuses a log of another number of shards, or of another make', async () => {
    const nats = await start();
    await api(nats, 'STREAM.CREATE.LOG', { name: 'LOG', subjects: ['log.>'], storage: 'file', retention: 'limits', discard: 'new', max_bytes: MIB, allow_direct: true, allow_atomic: true });
    await expect(provision(nats)).rejects.toThrow(/LOG has metadata runledger\.format null/);
    const { config } = await api<Info>(nats, 'STREAM.INFO.LOG');
    await api(nats, 'STREAM.UPDATE.LOG', { ...config, metadata: { 'runledger.format': '1', 'runledger.shards': '16', id: randomUUID() } });
    await expect(provision(nats)).rejects.toThrow(/runledger\.shards "16" where this version needs "64"/);
  });

  it('takes what room there is, and refuses when that is too little or less than was asked for', async () => {
    const nats = await start({ maxFileStore: '2GB' });
    await provision(nats);
    const sizes = (await configs(nats)).map(({ max_bytes }) => max_bytes);
    expect(Math.min(...sizes)).toBeGreaterThan(0);
    expect(sizes.reduce((sum, size) => sum + size)).toBeLessThanOrEqual(2_000_000_000);
    expect(sizes[0]).toBeGreaterThanOrEqual(512 * MIB);

    await server!.stop();
    const small = await start({ maxFileStore: '64MB' });
    await expect(provision(small)).rejects.toMatchObject({ code: 'STORAGE_TOO_SMALL' });
    await expect(provision(small, { logMaxBytes: 256 * MIB })).rejects.toMatchObject({
      code: 'STORAGE_TOO_SMALL',
      message: expect.stringContaining('RUNLEDGER_LOG_MAX_BYTES'),
    });
  });
});

describe('a server that will not do', () => {
  const greeted = async (info: Record<string, unknown>, check: (nats: Nats) => Promise<void>): Promise<void> => {
    const greeting = { server_id: 'X', version: '2.14.0', host: '127.0.0.1', port: 0, headers: true, max_payload: MIB, proto: 1, ...info };
    const fake = createServer((socket) => {
      socket.write(`INFO ${JSON.stringify(greeting)}\r\n`);
      socket.on('error', () => undefined);
      socket.on('data', (data) => {
        if (data.toString().includes('PING')) socket.write('PONG\r\n');
      });
    });
    await new Promise<void>((resolve) => fake.listen(0, '127.0.0.1', resolve));
    const address = fake.address();
    const nats = await connectNats({ url: `nats://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`, name: 'test' });
    try {
      await check(nats);
    } finally {
      await nats.close();
      await new Promise((resolve) => fake.close(resolve));
    }
  };

  it('is one that is too old', () =>
    greeted({ version: '2.12.9', jetstream: true }, async (nats) => {
      const refused = provision(nats);
      await expect(refused).rejects.toMatchObject({ code: 'SERVER_TOO_OLD' });
      await expect(refused).rejects.toThrow(/2\.12\.9 .* 2\.14/);
    }));

  it('is not taken for one that is too old once the connection is closed', () =>
    greeted({ jetstream: true }, async (nats) => {
      await nats.close();
      await expect(provision(nats)).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE', message: expect.stringContaining('closed') });
    }));

  it('is one without JetStream', () =>
    greeted({}, async (nats) => {
      await expect(provision(nats)).rejects.toMatchObject({ code: 'JETSTREAM_MISSING', message: expect.stringContaining('-js') });
    }));
});
