import {
  type ConnectOptions,
  NatsError,
  ProvisioningError,
  authorization,
  connectNats,
  provision,
  seedFile,
  serverUsers,
  userKeys,
} from '#libs/jetstream';
import { LogError } from '#libs/ledger';
import { type Environment, readNatsSettings } from '#libs/platform';
import { noteNatsUrl, userFolder } from '../home-nats.js';
import type { Home } from './home.js';
import { findNatsServer, thisMachine, type NatsBinary } from './nats-binary.js';
import { natsProcess, requireNats } from './nats-process.js';
import { freePort } from './ports.js';
import type { ProcessSpec } from './process-spec.js';
import { UpError } from './up-error.js';
import type { UpSettings } from './up-settings.js';

/** What the apps run on. */
export type Broker = {
  readonly url: string;
  /** Undefined when the broker is somebody else's, as are the next three. */
  readonly binary: NatsBinary | undefined;
  readonly process: ProcessSpec | undefined;
  /** File with the key of who may read the feed. */
  readonly observer: string | undefined;
  /** Makes the streams. Rejects with UpError MISCONFIGURED or NOT_READY. */
  readonly prepare: () => Promise<void>;
  /** By which an app, or the provisioner, gets in. */
  readonly environmentOf: (user: string) => Readonly<Record<string, string>>;
};

/** Rejects with UpError when it can't be had. */
export async function broker(settings: UpSettings, home: Home, env: Environment): Promise<Broker> {
  const { externalNats } = settings;
  if (externalNats === undefined) return await embedded(settings, home, env);
  await requireNats(externalNats);
  noteNatsUrl(home.folder, undefined);
  return {
    url: externalNats,
    binary: undefined,
    process: undefined,
    observer: undefined,
    // The same user for everything, who then has to be allowed all of it.
    prepare: () => makeStreams({ ...settings.nats, name: 'runledger up' }, settings),
    environmentOf: () => ({ NATS_URL: externalNats }),
  };
}

/** Only who has a key of a user gets in, also from this machine; each app gets its own. */
async function embedded(settings: UpSettings, home: Home, env: Environment): Promise<Broker> {
  const binary = await findNatsServer(thisMachine(env['PATH']));
  const port = settings.natsPort === 0 ? await freePort() : settings.natsPort;
  const url = `nats://127.0.0.1:${port}`;
  const folder = userFolder(home.folder);
  const keys = userKeys(folder, serverUsers());
  noteNatsUrl(home.folder, url);
  const environmentOf = (user: string): Record<string, string> => ({
    ...Object.fromEntries(Object.keys(env).filter((name) => name.startsWith('RUNLEDGER_NATS_')).map((name) => [name, ''])),
    NATS_URL: url,
    RUNLEDGER_NATS_NKEY_SEED_FILE: seedFile(folder, user),
  });
  return {
    url,
    binary,
    process: natsProcess(binary, home.nats, port, authorization(keys)),
    observer: seedFile(folder, 'observer'),
    prepare: () => makeStreams({ ...readNatsSettings(environmentOf('provisioner')), user: 'provisioner', name: 'runledger up' }, settings),
    environmentOf,
  };
}

async function makeStreams(options: ConnectOptions, { provisioning }: UpSettings): Promise<void> {
  try {
    const nats = await connectNats(options);
    try {
      await provision(nats, provisioning);
    } finally {
      await nats.close();
    }
  } catch (error) {
    // The apps then look for themselves whether all is there, and wait for who may make it.
    if (error instanceof NatsError && error.code === 'NATS_FORBIDDEN') return;
    if (!(error instanceof NatsError || error instanceof ProvisioningError || error instanceof LogError)) throw error;
    throw new UpError('retryable' in error && !error.retryable ? 'MISCONFIGURED' : 'NOT_READY', error.message);
  }
}
