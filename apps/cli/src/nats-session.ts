import { resolve } from 'node:path';
import { JetStreamLog, type Nats, NatsError, connectNats, seedFile } from '#libs/jetstream';
import { BrokenHistory, LogError } from '#libs/ledger';
import { type Environment, type NatsSettings, SettingsError, readNatsSettings } from '#libs/platform';
import { CliError, misuse } from './cli-error.js';
import { EXIT } from './exit-codes.js';
import { notedNatsUrl, userFolder } from './home-nats.js';

/** Where no credentials are given, and the server is the one that `up` has started on this machine: as its operator. */
const natsAccess = (url: string | undefined, env: Environment): NatsSettings => {
  const settings = readNatsSettings({ ...env, NATS_URL: url });
  const home = resolve(env['RUNLEDGER_HOME'] || '.runledger');
  const noted = notedNatsUrl(home);
  if (settings.credentials || noted === undefined || (url !== undefined && url !== noted)) return settings;
  return readNatsSettings({ NATS_URL: noted, RUNLEDGER_NATS_NKEY_SEED_FILE: seedFile(userFolder(home), 'operator') });
};

/** Reads the log itself for the time of `work`. Throws CliError: unavailable, or failed for a history that can't be folded. */
export const withLog = async <T>(url: string | undefined, work: (log: JetStreamLog, nats: Nats) => Promise<T>): Promise<T> => {
  let nats: Nats;
  try {
    nats = await connectNats({ ...natsAccess(url, process.env), user: 'operator', name: 'runledger-cli' });
  } catch (error) {
    if (error instanceof SettingsError) throw misuse(error.message);
    if (!(error instanceof NatsError)) throw error;
    if (error.code !== 'NATS_UNREACHABLE') throw new CliError(EXIT.refused, error.code, error.message);
    throw new CliError(EXIT.unavailable, error.code, `${error.message}; or set --nats, or start it: runledger up`);
  }
  try {
    return await work(new JetStreamLog(nats), nats);
  } catch (error) {
    if (error instanceof LogError) throw new CliError(EXIT.unavailable, error.code, error.message);
    if (error instanceof BrokenHistory) throw new CliError(EXIT.failed, error.code, `${error.message}; see runledger verify`);
    throw error;
  } finally {
    await nats.close();
  }
};
