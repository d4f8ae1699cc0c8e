import { type Environment, type NatsSettings, type Settings, readSettings } from '#libs/platform';
import { UpError } from './up-error.js';


export type UpSettings = {
  /** Absolute. */
  readonly home: string;
  /** Servers that are already there; undefined: one is started on natsPort. */
  readonly externalNats: string | undefined;
  /** 0: any free one. */
  readonly natsPort: number;
  /** As whom, and how, to go to `externalNats`. */
  readonly nats: NatsSettings;
  readonly provisioning: Settings['provisioning'];
  readonly host: string;
  readonly port: number;
  /** Whether `up` makes the master key of secrets: none is given, and all that it opens lies in the home beside it. */
  readonly makesSecretsKey: boolean;
  /** How long an app may take to stop. */
  readonly stopMs: number;
  readonly verbose: boolean;
};

/** Checks the apps' settings too, before anything is started. Throws UpError or SettingsError, both SETTING_INVALID. */
export function readUpSettings(env: Environment): UpSettings {
  const natsPort = integer(env, 'RUNLEDGER_NATS_PORT', 4222, 0, 65_535);
  const externalNats = env['NATS_URL'] || undefined;
  const { home, host, port, executor, keyring, nats, provisioning } = readSettings(env);
  return {
    home,
    externalNats,
    natsPort,
    nats,
    provisioning,
    host,
    port,
    makesSecretsKey: keyring() === undefined && externalNats === undefined,
    // An executor needs its grace period for the commands it ends, and then some to commit how they ended.
    stopMs: integer(env, 'RUNLEDGER_STOP_MS', executor.graceMs + 10_000, 0, 3_600_000),
    verbose: env['RUNLEDGER_LOG'] === 'verbose',
  };
}

function integer(env: Environment, name: string, fallback: number, min: number, max: number): number {
  const text = env[name];
  if (text === undefined || text === '') return fallback;
  const value = Number(text);
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  const message = `${name}=${text} is not an integer from ${min} to ${max}; unset it for the default ${fallback}`;
  throw new UpError('SETTING_INVALID', message);
}
