import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';

const ALGORITHM = 'aes-256-gcm';
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** 64 bits of the digest: enough to tell an operator's few keys apart, and nothing to search for the key by. */
const ID_LENGTH = 16;

/** What a sealed value belongs to: it can be opened as nothing else. */
type SealedAs = { readonly tenant: string; readonly name: string; readonly version: number };

/** All three as base64 but `keyId`, which is hexadecimal. `data` is the ciphertext and the 16 bytes of its tag. */
export type Sealed = { readonly keyId: string; readonly nonce: string; readonly data: string };

/** Why a text holds no keys; never quotes it. */
export class KeysInvalid extends Error {
  override readonly name = 'KeysInvalid';
}

const idOf = (key: Uint8Array): string => createHash('sha256').update(key).digest('hex').slice(0, ID_LENGTH);

const keyIn = (text: string, index: number): Buffer => {
  const key = Buffer.from(text, 'base64');
  if (/^[A-Za-z0-9+/_-]{43}=?$/.test(text) && key.length === KEY_BYTES) return key;
  throw new KeysInvalid(`key ${index + 1} is not the base64 of ${KEY_BYTES} bytes; make one with \`openssl rand -base64 ${KEY_BYTES}\``);
};

/** A JSON list, so that no two contexts read alike. */
const contextOf = ({ tenant, name, version }: SealedAs, keyId: string): Buffer =>
  Buffer.from(JSON.stringify(['runledger.secret.1', tenant, name, version, keyId]));

/** The master keys of one process: the first seals, all of them open. It shows none of them, however it is printed. */
export class Keyring {
  readonly #keys: ReadonlyMap<string, Buffer>;
  /** The one that seals. */
  readonly keyId: string;

  /** `text`: keys as base64, separated by white space or commas. Throws KeysInvalid. */
  constructor(text: string) {
    const keys = text.split(/[\s,]+/).filter((part) => part !== '').map(keyIn);
    const [first] = keys;
    if (!first) throw new KeysInvalid(`holds no key; make one with \`openssl rand -base64 ${KEY_BYTES}\``);
    this.#keys = new Map(keys.map((key) => [idOf(key), key]));
    this.keyId = idOf(first);
  }

  seal(as: SealedAs, value: string): Sealed {
    const { keyId } = this;
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(ALGORITHM, this.#keys.get(keyId)!, nonce, { authTagLength: TAG_BYTES }).setAAD(contextOf(as, keyId));
    const data = Buffer.concat([cipher.update(value, 'utf8'), cipher.final(), cipher.getAuthTag()]);
    return { keyId, nonce: nonce.toString('base64'), data: data.toString('base64') };
  }

  /** Undefined where no key of this ring sealed it as this, or where it was changed since. */
  open(as: SealedAs, { keyId, nonce, data }: Sealed): string | undefined {
    const key = this.#keys.get(keyId);
    const [iv, bytes] = [Buffer.from(nonce, 'base64'), Buffer.from(data, 'base64')];
    if (!key || iv.length !== NONCE_BYTES || bytes.length < TAG_BYTES) return undefined;
    const decipher = createDecipheriv(ALGORITHM, key, iv, { authTagLength: TAG_BYTES })
      .setAAD(contextOf(as, keyId))
      .setAuthTag(bytes.subarray(-TAG_BYTES));
    try {
      return Buffer.concat([decipher.update(bytes.subarray(0, -TAG_BYTES)), decipher.final()]).toString();
    } catch {
      return undefined;
    }
  }
}
