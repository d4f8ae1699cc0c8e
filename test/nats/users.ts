import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Nats, type NatsCredentials, authorization, connectNats, natsUsers, provision, seedFile, serverUsers, userKeys } from '#libs/jetstream';
import { type NatsServer, type NatsVersion, startNatsServer } from '#libs/testing';
import { MIB } from '../contract/servers.js';

/** A nats-server that knows Runledger's users, and an observer of each of these tenants, and nobody else; its streams are there. */
export type Guarded = {
  readonly server: NatsServer;
  seedFile(name: string): string;
  credentials(name: string): NatsCredentials;
  /** What it was refused is in `refusals`. */
  as(name: string): Promise<Nats & { readonly refusals: readonly string[] }>;
  stop(): Promise<void>;
};

export const startGuarded = async (version: NatsVersion, tenants: readonly string[] = [], isProvisioned = true): Promise<Guarded> => {
  const folder = mkdtempSync(join(tmpdir(), 'runledger-users-'));
  const server = await startNatsServer({ version, syncAlways: false, config: authorization(userKeys(folder, serverUsers(tenants))) });
  const clients: Nats[] = [];
  const credentials = (name: string): NatsCredentials => ({ seed: readFileSync(seedFile(folder, name), 'utf8') });
  const as: Guarded['as'] = async (name) => {
    const refusals: string[] = [];
    const user = natsUsers.find((known) => known === name);
    const nats = await connectNats({
      url: server.url,
      credentials: credentials(name),
      name: 'test',
      ...(user && { user }),
      tell: ({ message }) => refusals.push(message),
    });
    clients.push(nats);
    return Object.assign(nats, { refusals });
  };
  if (isProvisioned) await provision(await as('provisioner'), { logMaxBytes: 256 * MIB });
  return {
    server,
    seedFile: (name) => seedFile(folder, name),
    credentials,
    as,
    stop: async () => {
      await Promise.all(clients.map((client) => client.close()));
      await server.stop();
      rmSync(folder, { recursive: true });
    },
  };
};
