import { once } from 'node:events';
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { WebSockets } from './web-sockets.js';

it('accepts nobody who has gone since the request came, and says so', async () => {
  const webSockets = new WebSockets();
  const server = createServer();
  const routed = new Promise<readonly [IncomingMessage, ServerResponse]>((resolve) => webSockets.attach(server, (request, response) => resolve([request, response])));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  client.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n');
  const [request, response] = await routed;
  client.resetAndDestroy();
  await new Promise((resolve) => request.socket.once('close', resolve));
  const reply = { raw: response, hijack: () => undefined } as unknown as FastifyReply;
  expect(await webSockets.accept({ raw: request } as unknown as FastifyRequest, reply)).toBeUndefined();
  server.close();
});
