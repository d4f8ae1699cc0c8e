import { connect, createServer } from 'node:net';

/** True when nothing listens there and a server could. */
export const isFree = (host: string, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });

/** The INFO a nats-server greets with; undefined when nothing that speaks NATS answers in time. */
export const natsInfo = (host: string, port: number, withinMs = 1_000): Promise<Record<string, unknown> | undefined> =>
  new Promise((resolve) => {
    const socket = connect({ host, port });
    let greeting = '';
    const finish = (info: Record<string, unknown> | undefined): void => {
      socket.destroy();
      resolve(info);
    };
    socket.setTimeout(withinMs, () => finish(undefined));
    socket.once('error', () => finish(undefined));
    socket.once('close', () => resolve(undefined));
    socket.on('data', (bytes: Buffer) => {
      greeting += bytes.toString();
      const end = greeting.indexOf('\r\n');
      if (end < 0) return;
      try {
        finish(JSON.parse(greeting.slice(greeting.indexOf('{'), end)) as Record<string, unknown>);
      } catch {
        finish(undefined);
      }
    });
  });
