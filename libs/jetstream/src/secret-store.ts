import { headers } from '@nats-io/transport-node';
import { isToken } from '#libs/contracts';
import { LogError } from '#libs/ledger';
import { type Keyring, SecretError, type Sealed, keyMissing } from '#libs/secrets';
import { isConflict, isFull, toAnswer } from './codes.js';
import type { Nats } from './connection.js';
import { notStored } from './publish.js';
import { directRange, leaderGet } from './read.js';

export type SecretRef = { readonly tenant: string; readonly name: string };

/** All there is to see of a secret. */
export type SecretInfo = {
  readonly name: string;
  /** 1, 2, 3 … with every value it is given; from 1 again after it was deleted. */
  readonly version: number;
  /** Both RFC 3339. */
  readonly createdAt: string;
  readonly updatedAt: string;
};

type Entry = Omit<SecretInfo, 'name'> & Sealed;
type Found = { readonly sequence: number; readonly entry: Entry | undefined };

const STREAM = 'KV_secrets';
const ANSWER_MS = 5_000;
const MAX_TRIES = 16;
const MAX_PER_TENANT = 200;
/** How long those who run tasks wait for a broker that is away. */
const PATIENCE_MS = 30_000;
const PAUSE_MS = 250;

const bucketSubject = '$KV.secrets';

const subjectOf = ({ tenant, name }: SecretRef): string => {
  if (isToken(tenant) && isToken(name)) return `${bucketSubject}.${tenant}.${name}`;
  throw new RangeError(`not the address of a secret: ${JSON.stringify([tenant, name]).slice(0, 160)}`);
};

const isText = (value: unknown): value is string => typeof value === 'string';

/** Undefined for what Runledger has not written. */
const entryIn = (data: Uint8Array): Entry | undefined => {
  try {
    const entry = JSON.parse(Buffer.from(data).toString()) as Partial<Entry>;
    const { version, createdAt, updatedAt, keyId, nonce, data: sealed } = entry;
    const isWhole = Number.isSafeInteger(version) && [createdAt, updatedAt, keyId, nonce, sealed].every(isText);
    return isWhole ? (entry as Entry) : undefined;
  } catch {
    return undefined;
  }
};

const infoOf = (name: string, { version, createdAt, updatedAt }: Entry): SecretInfo => ({ name, version, createdAt, updatedAt });

/**
 * Secrets by tenant and name: bucket `secrets`, sealed before they leave this process. provision() has made the bucket. Everything
 * throws LogError LOG_UNAVAILABLE while the broker is away, at once but for `values`.
 */
export class SecretStore {
  /** Without a keyring nothing can be stored or read; what is there can be listed and deleted. */
  constructor(
    private readonly nats: Nats,
    private readonly keyring: Keyring | undefined,
  ) {}

  /** Resolves once it is stored. Throws SecretError SECRETS_KEY_MISSING or SECRETS_FULL, LogError OUTCOME_UNKNOWN. */
  async put(ref: SecretRef, value: string): Promise<SecretInfo> {
    const { keyring } = this;
    if (!keyring) throw keyMissing();
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const { sequence, entry: last } = await this.find(ref);
      if (!last) await this.requireRoom(ref.tenant);
      const version = (last?.version ?? 0) + 1;
      const updatedAt = new Date().toISOString();
      const sealed = keyring.seal({ ...ref, version }, value);
      const entry: Entry = { version, createdAt: last?.createdAt ?? updatedAt, updatedAt, ...sealed };
      if (await this.write(ref, entry, sequence)) return infoOf(ref.name, entry);
    }
    throw notStored(`${MAX_TRIES} others stored a value meanwhile`);
  }

  /** By name. */
  async list(tenant: string): Promise<readonly SecretInfo[]> {
    const found = await this.all(tenant);
    return found.map(({ ref, entry }) => infoOf(ref.name, entry)).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** False where there is none. Throws LogError OUTCOME_UNKNOWN. */
  async delete(ref: SecretRef): Promise<boolean> {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const { sequence, entry } = await this.find(ref);
      if (!entry) return false;
      if (await this.write(ref, undefined, sequence)) return true;
    }
    throw notStored(`${MAX_TRIES} others stored a value meanwhile`);
  }

  /**
   * What each of these names stands for now. Waits up to 30 s for a broker that is away. Throws SecretError SECRETS_KEY_MISSING,
   * SECRET_UNKNOWN or SECRET_UNREADABLE.
   */
  async values(tenant: string, names: readonly string[]): Promise<ReadonlyMap<string, string>> {
    for (const until = Date.now() + PATIENCE_MS; ; ) {
      try {
        const values = names.map(async (name) => [name, await this.value({ tenant, name })] as const);
        return new Map(await Promise.all(values));
      } catch (error) {
        if (!(error instanceof LogError) || Date.now() >= until) throw error;
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      }
    }
  }

  /**
   * Seals anew what is sealed with another key than the first, so that the others can be retired. Says how many were, and which no
   * key opens.
   */
  async reseal(): Promise<{ readonly resealed: number; readonly unreadable: readonly SecretRef[] }> {
    const { keyring } = this;
    if (!keyring) throw keyMissing();
    let resealed = 0;
    const unreadable: SecretRef[] = [];
    for (const { ref, sequence, entry } of await this.all('*')) {
      if (entry.keyId === keyring.keyId) continue;
      const as = { ...ref, version: entry.version };
      const value = keyring.open(as, entry);
      if (value === undefined) unreadable.push(ref);
      // Whoever was faster has stored something newer, or done the same.
      else if (await this.write(ref, { ...entry, ...keyring.seal(as, value) }, sequence)) resealed += 1;
    }
    return { resealed, unreadable };
  }

  private async value(ref: SecretRef): Promise<string> {
    if (!this.keyring) throw keyMissing();
    const { entry } = await this.find(ref);
    if (!entry) {
      throw new SecretError('SECRET_UNKNOWN', `no secret has the name ${ref.name}; store it with PUT /api/v1/secrets/${ref.name}, and run this again`);
    }
    const value = this.keyring.open({ ...ref, version: entry.version }, entry);
    if (value !== undefined) return value;
    throw new SecretError(
      'SECRET_UNREADABLE',
      `secret ${ref.name} was sealed with key ${entry.keyId}, which this executor does not have, or was changed since; ` +
        'add that key to RUNLEDGER_SECRETS_KEY_FILE, or store the secret anew',
    );
  }

  private async requireRoom(tenant: string): Promise<void> {
    const { length } = await this.all(tenant);
    if (length >= MAX_PER_TENANT) throw new SecretError('SECRETS_FULL', `there are ${length} secrets, as many as a tenant may have; delete some`);
  }

  /** From the leader: what was stored a moment ago counts. */
  private async find(ref: SecretRef): Promise<Found> {
    const last = await leaderGet(this.nats, STREAM, { last_by_subj: subjectOf(ref) });
    if (!last) return { sequence: 0, entry: undefined };
    return { sequence: last.sequence, entry: /^KV-Operation:/im.test(last.headers) ? undefined : entryIn(last.data) };
  }

  /** `tenant`: one, or * for all. */
  private async all(tenant: string): Promise<readonly { readonly ref: SecretRef; readonly sequence: number; readonly entry: Entry }[]> {
    const { messages } = await directRange(this.nats, STREAM, `${bucketSubject}.${tenant}.*`, { from: 1 });
    return messages.flatMap(({ subject, sequence, data, header }) => {
      const [owner = '', name = ''] = subject.split('.').slice(2);
      const entry = header('KV-Operation') === undefined ? entryIn(data) : undefined;
      return entry ? [{ ref: { tenant: owner, name }, sequence, entry }] : [];
    });
  }

  /** False where something else was stored since `expected`. Undefined deletes. */
  private async write(ref: SecretRef, entry: Entry | undefined, expected: number): Promise<boolean> {
    const all = headers();
    all.set('Nats-Expected-Last-Subject-Sequence', String(expected));
    if (!entry) all.set('KV-Operation', 'DEL');
    const reply = await this.nats.replies.request(subjectOf(ref), entry ? JSON.stringify(entry) : '', ANSWER_MS, all);
    const answer = toAnswer(reply);
    if (answer === 'unheard') throw notStored('the broker is away');
    if (answer === 'silent') throw new LogError('OUTCOME_UNKNOWN', 'the broker did not say whether it was stored; send the same again');
    const { error } = answer;
    if (!error) return true;
    if (isConflict(error.err_code)) return false;
    if (isFull(error.err_code)) throw new SecretError('SECRETS_FULL', 'bucket secrets is full; delete some, or give stream KV_secrets more max_bytes');
    throw notStored(error.description ?? 'no reason given');
  }
}
