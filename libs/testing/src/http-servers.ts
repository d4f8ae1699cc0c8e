import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** HTTP servers on the loopback address, each on a port of its own. */
export class HttpServers {
  private readonly servers: Server[] = [];

  /** Resolves with its origin, such as `http://127.0.0.1:40123`, once it listens. */
  async serve(listener: (...asked: Parameters<RequestListener>) => unknown): Promise<string> {
    const server = createServer((message, response) => void listener(message, response)).listen(0, '127.0.0.1');
    this.servers.push(server);
    await once(server, 'listening');
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  /** Stops all of them, whoever is still connected. */
  stop(): void {
    for (const server of this.servers.splice(0)) {
      server.close();
      server.closeAllConnections();
    }
  }
}
