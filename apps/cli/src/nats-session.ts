import { JetStreamLog, type Nats, connectNats } from '#libs/jetstream';
import { BrokenHistory, LogError } from '#libs/ledger';
import { CliError } from './cli-error.js';
import { EXIT } from './exit-codes.js';

/** Reads the log itself for the time of `work`. Throws CliError: unavailable, or failed for a history that can't be folded. */
export const withLog = async <T>(url: string, work: (log: JetStreamLog, nats: Nats) => Promise<T>): Promise<T> => {
  let nats: Nats;
  try {
    nats = await connectNats({ url, name: 'runledger-cli' });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new CliError(EXIT.unavailable, 'NATS_UNREACHABLE', `no NATS server answers at the address given (${why}); set --nats or NATS_URL, or start it: runledger up`);
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
