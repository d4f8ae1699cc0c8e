import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readSettings } from '#libs/platform';
import { apps } from './apps.js';
import { makeSecretsKey, secretsKeyFile } from './secrets-key.js';
import { readUpSettings } from './up-settings.js';

let home: string;
beforeEach(() => (home = mkdtempSync(join(tmpdir(), 'runledger-home-'))));
afterEach(() => rmSync(home, { recursive: true }));

it('is made once, for its owner alone, as a key that secrets can be sealed with', () => {
  makeSecretsKey(home);
  const file = secretsKeyFile(home);
  const made = readFileSync(file, 'utf8');
  makeSecretsKey(home);
  expect(readFileSync(file, 'utf8')).toBe(made);
  expect([statSync(file).mode & 0o777, readdirSync(home)]).toEqual([0o600, ['secrets.key']]);
  expect(readSettings({ RUNLEDGER_SECRETS_KEY_FILE: file }).keyring()?.keyId).toMatch(/^[0-9a-f]{16}$/);
});

it('is made anew where an earlier attempt was cut off', () => {
  writeFileSync(`${secretsKeyFile(home)}.new`, 'half');
  makeSecretsKey(home);
  expect(readSettings({ RUNLEDGER_SECRETS_KEY_FILE: secretsKeyFile(home) }).keyring()).toBeDefined();
});

const keyFiles = (env: Record<string, string>): readonly (string | undefined)[] =>
  apps(readUpSettings({ RUNLEDGER_HOME: home, ...env }), () => ({})).map((app) => app.env['RUNLEDGER_SECRETS_KEY_FILE']);

it.each<[string, Record<string, string>, boolean]>([
  ['given to the gateway and the executor where all that it opens lies beside it', {}, true],
  ['not made where one is given', { RUNLEDGER_SECRETS_KEY: randomBytes(32).toString('base64') }, false],
  ['not made for a broker that others may share', { NATS_URL: 'nats://127.0.0.1:1' }, false],
])('is %s', (_what, env, isMade) => {
  expect(keyFiles(env)).toEqual(isMade ? [secretsKeyFile(home), secretsKeyFile(home), undefined] : [undefined, undefined, undefined]);
});
