import { createServer } from 'node:net';
import { UpError } from './up-error.js';

export type WantedPort = {
  readonly host: string;
  readonly port: number;
  readonly wantedBy: string;
  readonly setting: string;
};

/** Rejects with UpError PORT_UNAVAILABLE, naming the setting, when one can't be listened on. */
export async function requirePorts(wanted: readonly WantedPort[]): Promise<void> {
  for (const { host, port, wantedBy, setting } of wanted) {
    const code = await listenError(host, port);
    if (code === undefined) continue;
    const why = code === 'EADDRINUSE' ? 'is in use' : `can't be listened on (${code})`;
    const message = `port ${port} on ${host} ${why}, and ${wantedBy} needs it: free it, or set ${setting}`;
    throw new UpError('PORT_UNAVAILABLE', message);
  }
}

/** One on loopback that nobody listens on now. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

function listenError(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}
