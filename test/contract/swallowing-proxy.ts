import { type Server, type Socket, connect, createServer } from 'node:net';

/** A TCP proxy before a broker that can hold what the broker answers, as a partition in one direction does. */
export type Proxy = {
  readonly url: string;
  /** From now on requests get through and answers don't. */
  swallow(): void;
  /** Ends every connection; new ones are served in full. */
  cut(): void;
  close(): Promise<void>;
};

export const startProxy = async (port: number): Promise<Proxy> => {
  const sockets = new Set<Socket>();
  let swallowing = false;
  const server: Server = createServer((client) => {
    const broker = connect(port, '127.0.0.1');
    for (const socket of [client, broker]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        broker.destroy();
      });
    }
    client.on('data', (data) => broker.write(data));
    broker.on('data', (data) => {
      if (!swallowing) client.write(data);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const destroyAll = (): void => sockets.forEach((socket) => socket.destroy());
  return {
    url: `nats://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`,
    swallow: () => {
      swallowing = true;
    },
    cut: () => {
      swallowing = false;
      destroyAll();
    },
    close: async () => {
      destroyAll();
      await new Promise((resolve) => server.close(resolve));
    },
  };
};
