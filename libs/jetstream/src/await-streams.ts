import { setTimeout as pause } from 'node:timers/promises';
import { jetstreamManager } from '@nats-io/jetstream';
import type { Nats } from './connection.js';
import { NatsError } from './nats-error.js';
import { type ProvisionOptions, checkServer, checkStream, find, provision } from './provision.js';
import { streams } from './streams.js';
import { untilAnswered } from './until-answered.js';
import { type NatsUser, streamsOf } from './users.js';

const WAIT_MS = 500;

/** Names of what is missing. Throws ProvisioningError for what is there, but not as it must be. */
const missing = async (nats: Nats, names: readonly string[]): Promise<readonly string[]> => {
  // Without asking JetStream for an account's limits first.
  const jsm = await jetstreamManager(nats.connection, { checkAPI: false });
  const wanted = new Map(streams(0, 1).map((stream) => [stream.name, stream]));
  const absent: string[] = [];
  for (const name of names) {
    const found = await find(jsm, name);
    const as = wanted.get(name);
    if (!found) absent.push(name);
    else if (as) checkStream(as, found);
  }
  return absent;
};

/** False where this user may not. */
const mayProvision = async (nats: Nats, options: ProvisionOptions): Promise<boolean> => {
  try {
    await provision(nats, options);
    return true;
  } catch (error) {
    if (error instanceof NatsError && error.code === 'NATS_FORBIDDEN') return false;
    throw error;
  }
};

type AwaitOptions = ProvisionOptions & {
  /** Told once when it has to wait, with what for. */
  readonly waiting?: (message: string) => void;
};

/**
 * Resolves once all streams that `user` works with are there. Where some are not, it makes them if it may, as the only user of a
 * server may; otherwise it waits for who may. Throws ProvisioningError, and LogError LOG_UNAVAILABLE where the broker has not answered for 30 s.
 */
export const awaitStreams = async (nats: Nats, user: NatsUser, { waiting, ...options }: AwaitOptions = {}): Promise<void> => {
  checkServer(nats);
  for (let told = false; ; ) {
    const absent = await untilAnswered(nats, 'its streams', () => missing(nats, streamsOf(user)));
    if (absent.length === 0) return;
    if (!told) {
      if (await mayProvision(nats, options)) continue;
      waiting?.(`waiting for ${absent.join(', ')}: not there, and user ${user} may not make streams; run \`runledger provision\` as the provisioning user`);
      told = true;
    }
    await pause(WAIT_MS);
  }
};
