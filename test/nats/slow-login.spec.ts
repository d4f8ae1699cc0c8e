import { type Server, connect, createServer } from 'node:net';
import { connectNats } from '#libs/jetstream';
import { type NatsServer, startNatsServer } from '#libs/testing';

let server: NatsServer;
let slow: Server;
let isSlow = true;
beforeAll(async () => {
  server = await startNatsServer();
  // What a server says to a client that has not introduced itself in time.
  slow = createServer((client) => {
    if (!isSlow) return void client.pipe(connect(server.port, '127.0.0.1')).pipe(client);
    client.write('INFO {"server_id":"slow","version":"2.14.0","max_payload":1048576,"headers":true}\r\n');
    client.once('data', () => client.end("-ERR 'Authentication Timeout'\r\n"));
  });
  await new Promise<void>((resolve) => slow.listen(0, '127.0.0.1', resolve));
}, 30_000);
afterAll(async () => {
  slow.close();
  await server.stop();
});

it('a login that took too long, on a machine that is busy, is no refusal of the credentials: it is tried again', async () => {
  const { port } = slow.address() as { port: number };
  const access = { url: `nats://127.0.0.1:${port}`, name: 'test' };
  await expect(connectNats(access)).rejects.toMatchObject({ code: 'NATS_UNREACHABLE', retryable: true });
  const nats = await connectNats({ ...access, wait: true, tell: () => (isSlow = false) });
  expect(nats.connected).toBe(true);
  await nats.close();
});
