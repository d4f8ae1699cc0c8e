import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { NatsBinary } from './nats-binary.js';
import type { ProcessSpec } from './process-spec.js';
import { UpError } from './up-error.js';

export const NATS = 'nats-server';

const PROBE_MS = 5_000;

/** Also writes its configuration into the folder, with who may do what. Every write is synced: an acknowledged commit survives a power cut. */
export function natsProcess(binary: NatsBinary, folder: string, port: number, authorization: string): ProcessSpec {
  const config = join(folder, 'nats-server.conf');
  writeFileSync(
    config,
    [
      'server_name: runledger',
      `listen: "127.0.0.1:${port}"`,
      'jetstream {',
      `  store_dir: ${JSON.stringify(join(folder, 'data'))}`,
      '  sync_interval: always',
      '}',
      authorization,
    ].join('\n'),
  );
  return {
    name: NATS,
    command: binary.file,
    args: ['-c', config],
    env: {},
    readiness: { natsPort: port },
    stopMs: 10_000,
  };
}

/** The first line that a NATS server sends. Rejects when there is none within 5 s. */
export function natsInfo(host: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let greeting = '';
    const socket = connect(port, host).setEncoding('utf8');
    const timer = setTimeout(() => socket.destroy(new Error(`no answer within ${PROBE_MS} ms`)), PROBE_MS);
    socket.once('error', reject);
    socket.once('close', () => {
      clearTimeout(timer);
      reject(new Error('the connection was closed'));
    });
    socket.on('data', (text: string) => {
      greeting += text;
      const end = greeting.indexOf('\r\n');
      if (end < 0) return;
      resolve(greeting.slice(0, end));
      socket.destroy();
    });
  });
}

/** Rejects with UpError NATS_UNREACHABLE when none of the servers, given by comma, takes a connection. */
export async function requireNats(natsUrl: string): Promise<void> {
  const reasons: string[] = [];
  for (const part of natsUrl.split(',')) {
    try {
      const { hostname, port } = new URL(part.includes('://') ? part.trim() : `nats://${part.trim()}`);
      await connection(hostname.replace(/^\[|\]$/g, ''), Number(port || 4222));
      return;
    } catch (error) {
      reasons.push((error as NodeJS.ErrnoException).code ?? (error as Error).message);
    }
  }
  const message = `no NATS server answers at NATS_URL=${withoutCredentials(natsUrl)} (${reasons.join(', ')})`;
  throw new UpError('NATS_UNREACHABLE', `${message}; unset it to have one started here`);
}

function connection(host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, timeout: PROBE_MS });
    socket.once('timeout', () => socket.destroy(new Error(`no answer within ${PROBE_MS} ms`)));
    socket.once('error', reject);
    socket.once('connect', () => {
      resolve();
      socket.destroy();
    });
  });
}

export function withoutCredentials(natsUrl: string): string {
  return natsUrl.replace(/[^/,\s]+@/g, '');
}
