import { fileURLToPath } from 'node:url';
import type { ProcessSpec } from './process-spec.js';
import { secretsKeyFile } from './secrets-key.js';
import type { UpSettings } from './up-settings.js';

/** The apps of Runledger, in the order in which they are started. */
export function apps(settings: UpSettings, natsEnvironment: (app: string) => Readonly<Record<string, string>>): ProcessSpec[] {
  return ['gateway', 'executor', 'projector'].map((name) => ({
    name,
    command: process.execPath,
    // Relative to the compiled file of this source.
    args: ['--enable-source-maps', fileURLToPath(new URL(`../../../${name}/src/main.js`, import.meta.url))],
    env: {
      ...natsEnvironment(name),
      RUNLEDGER_HOME: settings.home,
      RUNLEDGER_HOST: settings.host,
      RUNLEDGER_PORT: String(settings.port),
      RUNLEDGER_SUPERVISED: '1',
      // The others have no use for it.
      ...(settings.makesSecretsKey && name !== 'projector' && { RUNLEDGER_SECRETS_KEY_FILE: secretsKeyFile(settings.home) }),
    },
    readiness: 'ipc',
    stopMs: settings.stopMs,
  }));
}
