import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readNatsSettings } from './nats-settings.js';

const SEED = `SU${'A'.repeat(56)}`;
const CREDS = `-----BEGIN NATS USER JWT-----\nabc\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n${SEED}\n------END USER NKEY SEED------\n`;

describe('settings of NATS', () => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'runledger-nats-settings-'))));
  afterEach(() => rmSync(folder, { recursive: true }));

  const file = (content: string): string => {
    const path = join(folder, 'file');
    writeFileSync(path, content);
    return path;
  };

  it('are a server on this machine, without credentials, where nothing is set or all is empty', () => {
    const empty = Object.fromEntries(['NATS_URL', 'RUNLEDGER_NATS_USER', 'RUNLEDGER_NATS_TLS_CA_FILE', 'RUNLEDGER_NATS_PASSWORD'].map((name) => [name, '']));
    for (const env of [{}, empty]) expect(readNatsSettings(env)).toEqual({ url: 'nats://127.0.0.1:4222', credentials: undefined, tls: undefined });
  });

  it('take a password from a variable, or from a file without its last line break', () => {
    const user = { RUNLEDGER_NATS_USER: 'gateway' };
    const credentials = { user: 'gateway', password: 'p w' };
    expect(readNatsSettings({ ...user, RUNLEDGER_NATS_PASSWORD: 'p w' })).toMatchObject({ credentials });
    expect(readNatsSettings({ ...user, RUNLEDGER_NATS_PASSWORD_FILE: file('p w\n') })).toMatchObject({ credentials });
  });

  it('take a seed or a JWT from their files, and leave those of TLS to the connection', () => {
    expect(readNatsSettings({ RUNLEDGER_NATS_NKEY_SEED_FILE: file(`${SEED}\n`) })).toMatchObject({ credentials: { seed: SEED } });
    expect(readNatsSettings({ RUNLEDGER_NATS_CREDS_FILE: file(CREDS) })).toMatchObject({ credentials: { creds: CREDS } });
    const path = file('pem');
    const tls = { RUNLEDGER_NATS_TLS_CA_FILE: path, RUNLEDGER_NATS_TLS_CERT_FILE: path, RUNLEDGER_NATS_TLS_KEY_FILE: path };
    expect(readNatsSettings(tls)).toMatchObject({ tls: { caFile: path, certFile: path, keyFile: path } });
  });

  it.each<[string, Record<string, string>, RegExp]>([
    ['a user without a password', { RUNLEDGER_NATS_USER: 'a' }, /RUNLEDGER_NATS_PASSWORD_FILE/],
    ['a password without a user', { RUNLEDGER_NATS_PASSWORD: 'hunter2' }, /RUNLEDGER_NATS_USER/],
    ['two passwords', { RUNLEDGER_NATS_USER: 'a', RUNLEDGER_NATS_PASSWORD: 'hunter2', RUNLEDGER_NATS_PASSWORD_FILE: 'f' }, /give one/],
    ['two ways to say who', { RUNLEDGER_NATS_USER: 'a', RUNLEDGER_NATS_PASSWORD: 'hunter2', RUNLEDGER_NATS_CREDS_FILE: 'f' }, /RUNLEDGER_NATS_USER and RUNLEDGER_NATS_CREDS_FILE/],
    ['a certificate without its key', { RUNLEDGER_NATS_TLS_CERT_FILE: import.meta.filename }, /RUNLEDGER_NATS_TLS_KEY_FILE/],
    ['a file that is not there', { RUNLEDGER_NATS_TLS_CA_FILE: '/nowhere/ca.pem' }, /RUNLEDGER_NATS_TLS_CA_FILE=\/nowhere\/ca\.pem can't be read/],
    ['a seed that is none', { RUNLEDGER_NATS_NKEY_SEED_FILE: import.meta.filename }, /begins with SU/],
    ['credentials that are none', { RUNLEDGER_NATS_CREDS_FILE: join(import.meta.dirname, 'index.ts') }, /JWT/],
  ])('refuse %s, and keep secrets to themselves', (_, env, why) => {
    expect(() => readNatsSettings(env)).toThrow(why);
    expect(() => readNatsSettings(env)).toThrow(expect.not.objectContaining({ message: expect.stringContaining('hunter2') as string }));
  });
});
