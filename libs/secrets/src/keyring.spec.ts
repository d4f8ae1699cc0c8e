import { createHash, randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { Keyring, KeysInvalid } from './index.js';

const newKey = (): string => randomBytes(32).toString('base64');
const key = newKey();
const as = { tenant: 'acme', name: 'token', version: 1 };

it('opens what it sealed, whatever the text', () => {
  const keyring = new Keyring(key);
  fc.assert(fc.property(fc.string({ unit: 'grapheme' }), (value) => keyring.open(as, keyring.seal(as, value)) === value));
});

it('names a key by the beginning of its digest', () => {
  expect(new Keyring(key).keyId).toBe(createHash('sha256').update(Buffer.from(key, 'base64')).digest('hex').slice(0, 16));
});

it('uses a nonce of 96 bits once', () => {
  const keyring = new Keyring(key);
  const nonces = Array.from({ length: 1_000 }, () => keyring.seal(as, 'value').nonce);
  expect(new Set(nonces).size).toBe(1_000);
  expect(Buffer.from(nonces[0]!, 'base64')).toHaveLength(12);
});

it.each([
  ['another tenant', { ...as, tenant: 'other' }],
  ['another name', { ...as, name: 'other' }],
  ['another version', { ...as, version: 2 }],
  ['a tenant and a name that read alike', { ...as, tenant: 'acm', name: 'etoken' }],
])('opens nothing as that of %s', (_what, other) => {
  const keyring = new Keyring(key);
  expect(keyring.open(other, keyring.seal(as, 'value'))).toBeUndefined();
});

it('opens nothing of which a single bit was changed', () => {
  const keyring = new Keyring(key);
  const sealed = keyring.seal(as, 'value');
  for (const field of ['nonce', 'data'] as const) {
    const bytes = Buffer.from(sealed[field], 'base64');
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const changed = Buffer.from(bytes);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      expect(keyring.open(as, { ...sealed, [field]: changed.toString('base64') })).toBeUndefined();
    }
  }
  for (const data of ['', 'AAAA', sealed.data.slice(0, 8)]) expect(keyring.open(as, { ...sealed, data })).toBeUndefined();
});

describe('several keys', () => {
  it('seal with the first and open with any', () => {
    const [first, second] = [key, newKey()];
    const old = new Keyring(second);
    const rotated = new Keyring(`${first}\n${second}\n`);
    expect(rotated.open(as, old.seal(as, 'value'))).toBe('value');
    expect(rotated.seal(as, 'value').keyId).toBe(new Keyring(first).keyId);
    expect(old.open(as, rotated.seal(as, 'value'))).toBeUndefined();
  });
});

it.each([
  ['nothing', ' \n', 'holds no key'],
  ['a key that is too short', randomBytes(31).toString('base64'), 'key 1 is not the base64 of 32 bytes'],
  ['a key that is too long', randomBytes(33).toString('base64'), 'key 1 is not the base64 of 32 bytes'],
  ['hexadecimal', randomBytes(32).toString('hex'), 'key 1 is not the base64 of 32 bytes'],
  ['a second one that is none', `${key},correct-horse`, 'key 2 is not the base64 of 32 bytes'],
])('refuses %s and does not quote it', (_what, text, message) => {
  expect(() => new Keyring(text)).toThrow(KeysInvalid);
  try {
    new Keyring(text);
  } catch (error) {
    expect((error as Error).message).toContain(message);
    expect(text.trim() !== '' && (error as Error).message.includes(text.trim())).toBe(false);
    expect((error as Error).message).not.toContain('correct-horse');
  }
});

it('shows no key when it is printed', () => {
  const shown = `${JSON.stringify(new Keyring(key))} ${inspect(new Keyring(key), { depth: 9, showHidden: true })}`;
  expect(shown).not.toContain(key);
  expect(shown).not.toContain(Buffer.from(key, 'base64').toString('hex'));
});
