import { MemoryLog } from '#libs/ledger';
import { JetStreamLog, type Nats, connectNats, provision } from '#libs/jetstream';
import { type NatsServer, natsServers, startNatsServer } from '#libs/testing';
import { logContract } from './log-contract.js';
import { MIB } from './servers.js';

logContract('in memory', () => {
  const log = new MemoryLog();
  return Promise.resolve({
    log,
    other: log,
    write: (subject, body) => {
      log.write(subject, body);
      return Promise.resolve();
    },
    close: () => Promise.resolve(),
  });
});

describe.each(natsServers())('on $name', ({ name: version }) => {
  let server: NatsServer;
  beforeAll(async () => {
    server = await startNatsServer({ version });
  });
  afterAll(() => server.stop());

  logContract('JetStream', async () => {
    const clients: Nats[] = [];
    const connect = async (): Promise<Nats> => {
      const nats = await connectNats({ url: server.url, name: 'test' });
      clients.push(nats);
      return nats;
    };
    const [nats, other] = [await connect(), await connect()];
    await nats.replies.request('$JS.API.STREAM.DELETE.LOG', '', 5_000);
    await provision(nats, { logMaxBytes: 256 * MIB });
    const alarms: string[] = [];
    return {
      log: new JetStreamLog(nats, (message) => alarms.push(message)),
      other: new JetStreamLog(other, (message) => alarms.push(message)),
      write: async (subject, body) => {
        await nats.replies.request(subject, body, 5_000);
      },
      close: async () => {
        await Promise.all(clients.map((client) => client.close()));
        expect(alarms).toEqual([]);
      },
    };
  });
});
