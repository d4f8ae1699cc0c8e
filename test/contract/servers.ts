import { JetStreamLog, type Nats, type ProvisionOptions, connectNats, provision } from '#libs/jetstream';
import { type NatsServer, type NatsServerOptions, startNatsServer } from '#libs/testing';

export const MIB = 1024 * 1024;

export type Broker = {
  readonly server: NatsServer;
  readonly nats: Nats;
  readonly log: JetStreamLog;
  readonly alarms: string[];
  /** One more client. */
  connect(): Promise<{ readonly nats: Nats; readonly log: JetStreamLog }>;
  close(): Promise<void>;
};

/** A real nats-server with everything that is provisioned, and a client of it. */
export const startBroker = async (
  options: NatsServerOptions = {},
  provisioning: ProvisionOptions = { logMaxBytes: 256 * MIB },
): Promise<Broker> => {
  const server = await startNatsServer(options);
  const clients: Nats[] = [];
  const alarms: string[] = [];
  const connect: Broker['connect'] = async () => {
    const nats = await connectNats({ url: server.url, name: 'test' });
    clients.push(nats);
    return { nats, log: new JetStreamLog(nats, (message) => alarms.push(message)) };
  };
  const { nats, log } = await connect();
  await provision(nats, provisioning);
  return {
    server,
    nats,
    log,
    alarms,
    connect,
    close: async () => {
      await Promise.all(clients.map((client) => client.close()));
      await server.stop();
    },
  };
};
