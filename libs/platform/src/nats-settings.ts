import { readFileSync } from 'node:fs';
import type { Environment } from './setting-readers.js';
import { SettingsError } from './settings-error.js';

/** Where the broker is, and as whom to go there. Files are read at start; those of TLS again at each connect. */
export type NatsSettings = {
  /** May hold user:password, for who sets nothing else. */
  readonly url: string;
  readonly credentials:
    | { readonly user: string; readonly password: string }
    | { readonly creds: string }
    | { readonly seed: string }
    | undefined;
  /** Undefined: TLS only where the URL says tls://, or the server asks for it. */
  readonly tls: { readonly caFile?: string; readonly certFile?: string; readonly keyFile?: string } | undefined;
};

const content = (name: string, file: string): string => {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new SettingsError(`${name}=${file} can't be read: ${(error as Error).message}`);
  }
};

const password = (env: Environment): string => {
  const [given, file] = [env['RUNLEDGER_NATS_PASSWORD'], env['RUNLEDGER_NATS_PASSWORD_FILE']];
  if (given && file) throw new SettingsError('RUNLEDGER_NATS_PASSWORD and RUNLEDGER_NATS_PASSWORD_FILE are both set; give one');
  if (given) return given;
  if (file) return content('RUNLEDGER_NATS_PASSWORD_FILE', file);
  throw new SettingsError('RUNLEDGER_NATS_USER is set without a password; set RUNLEDGER_NATS_PASSWORD_FILE, or RUNLEDGER_NATS_PASSWORD');
};

const credentialsOf = (env: Environment): NatsSettings['credentials'] => {
  const names = ['RUNLEDGER_NATS_USER', 'RUNLEDGER_NATS_CREDS_FILE', 'RUNLEDGER_NATS_NKEY_SEED_FILE'] as const;
  const given = names.filter((name) => env[name]);
  if (given.length > 1) throw new SettingsError(`${given.join(' and ')} are all set; only one of them can say who this is`);
  const [name] = given;
  if (name === undefined) {
    const lost = ['RUNLEDGER_NATS_PASSWORD', 'RUNLEDGER_NATS_PASSWORD_FILE'].find((each) => env[each]);
    if (lost !== undefined) throw new SettingsError(`${lost} is set without RUNLEDGER_NATS_USER; say whose password it is`);
    return undefined;
  }
  const value = env[name] ?? '';
  if (name === 'RUNLEDGER_NATS_USER') return { user: value, password: password(env) };
  const text = content(name, value);
  if (name === 'RUNLEDGER_NATS_NKEY_SEED_FILE') {
    if (/^SU[A-Z2-7]{56}$/.test(text)) return { seed: text };
    throw new SettingsError(`RUNLEDGER_NATS_NKEY_SEED_FILE=${value} holds no user's seed, which begins with SU`);
  }
  if (/BEGIN NATS USER JWT[^]*BEGIN USER NKEY SEED/.test(text)) return { creds: `${text}\n` };
  throw new SettingsError(`RUNLEDGER_NATS_CREDS_FILE=${value} holds no user's JWT and seed`);
};

const tlsOf = (env: Environment): NatsSettings['tls'] => {
  const file = (name: string): string | undefined => {
    const value = env[name] || undefined;
    if (value !== undefined) content(name, value);
    return value;
  };
  const caFile = file('RUNLEDGER_NATS_TLS_CA_FILE');
  const certFile = file('RUNLEDGER_NATS_TLS_CERT_FILE');
  const keyFile = file('RUNLEDGER_NATS_TLS_KEY_FILE');
  if ((certFile === undefined) !== (keyFile === undefined)) {
    throw new SettingsError('RUNLEDGER_NATS_TLS_CERT_FILE and RUNLEDGER_NATS_TLS_KEY_FILE go together; set both, or none');
  }
  if (caFile === undefined && certFile === undefined) return undefined;
  return { ...(caFile !== undefined && { caFile }), ...(certFile !== undefined && { certFile }), ...(keyFile !== undefined && { keyFile }) };
};

/** Throws SettingsError, which never names a secret. */
export const readNatsSettings = (env: Environment): NatsSettings => ({
  url: env['NATS_URL'] || 'nats://127.0.0.1:4222',
  credentials: credentialsOf(env),
  tls: tlsOf(env),
});
