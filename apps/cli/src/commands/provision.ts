import { NatsError, ProvisioningError, connectNats, provision } from '#libs/jetstream';
import { LogError } from '#libs/ledger';
import { type Environment, SettingsError, readSettings } from '#libs/platform';
import { EXIT, type ExitCode } from '../exit-codes.js';

/** Tenants beside those that the settings name. */
export type ProvisionCommand = { readonly tenant?: readonly string[] };

/** Waits for the broker; what is there already is left as it is, where it is as it must be. */
export const provisionStreams = async (env: Environment, { tenant = [] }: ProvisionCommand = {}): Promise<ExitCode> => {
  try {
    const { nats: access, provisioning } = readSettings({ ...env, RUNLEDGER_HOST: '' });
    const nats = await connectNats({ ...access, user: 'provisioner', name: 'runledger provision', wait: true });
    try {
      await provision(nats, { ...provisioning, tenants: [...new Set([...provisioning.tenants, ...tenant])] });
    } finally {
      await nats.close();
    }
    process.stderr.write('runledger: every stream is there, and as it must be\n');
    return EXIT.ok;
  } catch (error) {
    const isKnown = error instanceof NatsError || error instanceof ProvisioningError || error instanceof LogError || error instanceof SettingsError;
    if (!isKnown) throw error;
    process.stderr.write(`runledger: ${error.message} [${error.code}]\n`);
    if (error instanceof SettingsError) return EXIT.misuse;
    return error.retryable ? EXIT.unavailable : EXIT.misconfigured;
  }
};
