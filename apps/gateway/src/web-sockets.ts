import { IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type WebSocket, WebSocketServer } from 'ws';

/** What a client sends, bytes; a larger message ends the connection with 1009. */
const MESSAGE_BYTES = 1024 * 1024;

type Offer = { readonly socket: Socket; readonly head: Buffer };

const isWebSocket = ({ upgrade = '' }: IncomingMessage['headers']): boolean => upgrade.toLowerCase() === 'websocket';

/**
 * A request that offers another protocol than WebSocket, as Java's client does with h2c each time, is an ordinary one: Node would hand
 * it over, too, and its body would be lost.
 */
export class Incoming extends IncomingMessage {
  private offersUpgrade: boolean | undefined;

  get upgrade(): boolean {
    return this.offersUpgrade === true && (this.method === 'CONNECT' || isWebSocket(this.headers));
  }

  set upgrade(offered: boolean | undefined) {
    this.offersUpgrade = offered;
  }
}

/**
 * WebSockets on the routes of the HTTP server. The request for one takes the way of any other: its path, parameters, credentials and
 * limits are seen to alike, and it is refused with the same answers. A route that serves them asks `offers`, and then `accept`s.
 */
export class WebSockets {
  private readonly offered = new WeakMap<IncomingMessage, Offer>();
  private readonly server = new WebSocketServer({ noServer: true, clientTracking: false, maxPayload: MESSAGE_BYTES, perMessageDeflate: false });

  /** `route`: what answers ordinary requests. */
  attach(server: Server, route: (request: IncomingMessage, response: ServerResponse) => void): void {
    server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
      socket.on('error', () => socket.destroy());
      this.offered.set(request, { socket, head });
      const response = new ServerResponse(request);
      response.shouldKeepAlive = false;
      response.assignSocket(socket);
      // Answered like any other request, it was refused: nobody reads on.
      response.once('finish', () => socket.end());
      route(request, response);
    });
  }

  offers({ raw }: FastifyRequest): boolean {
    return this.offered.has(raw);
  }

  /** Where the handshake is none, that is answered, and nothing comes back. */
  accept({ raw }: FastifyRequest, reply: FastifyReply): Promise<{ readonly webSocket: WebSocket; readonly socket: Socket } | undefined> {
    const offer = this.offered.get(raw);
    if (!offer) return Promise.resolve(undefined);
    const { socket, head } = offer;
    void reply.hijack();
    // Gone meanwhile: nobody would say so any more.
    if (socket.closed) return Promise.resolve(undefined);
    reply.raw.detachSocket(socket);
    return new Promise((resolve) => {
      socket.once('close', () => resolve(undefined));
      this.server.handleUpgrade(raw, socket, head, (webSocket) => {
        // What breaks a connection also ends it, and that is heard of.
        webSocket.on('error', () => undefined);
        resolve({ webSocket, socket });
      });
    });
  }
}
