import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Keyring } from '#libs/secrets';
import { readSettings } from './index.js';

const folder = mkdtempSync(join(tmpdir(), 'runledger-key-'));
const file = join(folder, 'key');
const key = randomBytes(32).toString('base64');
const old = randomBytes(32).toString('base64');
beforeAll(() => writeFileSync(file, `${key}\n${old}\n`));
afterAll(() => rmSync(folder, { recursive: true }));

const keyIdOf = (env: Record<string, string>): string | undefined => readSettings(env).keyring()?.keyId;
const { keyId } = new Keyring(key);

it.each([
  ['no key', {}, undefined],
  ['empty settings', { RUNLEDGER_SECRETS_KEY: '', RUNLEDGER_SECRETS_KEY_FILE: '' }, undefined],
  ['a key', { RUNLEDGER_SECRETS_KEY: key }, keyId],
  ['several, of which the first counts', { RUNLEDGER_SECRETS_KEY: `${key},${old}` }, keyId],
  ['a file', { RUNLEDGER_SECRETS_KEY_FILE: file }, keyId],
])('%s', (_what, env, expected) => {
  expect(keyIdOf(env)).toBe(expected);
});

it.each([
  ['both', { RUNLEDGER_SECRETS_KEY: key, RUNLEDGER_SECRETS_KEY_FILE: file }, 'are both set'],
  ['a file that is not there', { RUNLEDGER_SECRETS_KEY_FILE: join(folder, 'gone') }, "can't be read: ENOENT"],
  ['a key that is none', { RUNLEDGER_SECRETS_KEY: 'hunter22' }, 'key 1 is not the base64 of 32 bytes'],
])('refuses %s, and quotes no key', (_what, env, message) => {
  expect(() => keyIdOf(env)).toThrow(expect.objectContaining({ code: 'SETTING_INVALID', message: expect.stringContaining(message) as string }) as Error);
  expect(() => keyIdOf(env)).not.toThrow(new RegExp(`hunter22|${key.slice(0, 8).replace(/[+/]/g, '.')}`));
});

it('are read by none but those who ask for them', () => {
  expect(() => readSettings({ RUNLEDGER_SECRETS_KEY_FILE: join(folder, 'gone') })).not.toThrow();
});

it('are no part of settings that are printed', () => {
  expect(JSON.stringify(readSettings({ RUNLEDGER_SECRETS_KEY: key }))).not.toContain(key);
});
