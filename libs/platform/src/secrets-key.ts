import { readFileSync } from 'node:fs';
import { Keyring, KeysInvalid } from '#libs/secrets';
import { SettingsError } from './settings-error.js';

/**
 * The master keys of secrets from RUNLEDGER_SECRETS_KEY_FILE or RUNLEDGER_SECRETS_KEY; undefined where neither is set. Throws
 * SettingsError, which quotes no key.
 */
export const readKeyring = (env: Readonly<Record<string, string | undefined>>): Keyring | undefined => {
  const { RUNLEDGER_SECRETS_KEY_FILE: file, RUNLEDGER_SECRETS_KEY: text } = env;
  if (file && text) throw new SettingsError('RUNLEDGER_SECRETS_KEY_FILE and RUNLEDGER_SECRETS_KEY are both set; keys come from one of them');
  if (!file && !text) return undefined;
  const setting = file ? `RUNLEDGER_SECRETS_KEY_FILE=${file}` : 'RUNLEDGER_SECRETS_KEY';
  try {
    return new Keyring(file ? readFileSync(file, 'utf8') : (text ?? ''));
  } catch (error) {
    throw new SettingsError(`${setting}${error instanceof KeysInvalid ? ': ' : " can't be read: "}${(error as Error).message}`);
  }
};
