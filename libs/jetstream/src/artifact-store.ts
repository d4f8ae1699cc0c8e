import { createHash } from 'node:crypto';
import { headers } from '@nats-io/transport-node';
import { LogError } from '#libs/ledger';
import { type BucketOptions, chunkSubject, makeBucketThatFits, metaSubject, streamOf } from './artifact-bucket.js';
import { ArtifactError } from './artifact-error.js';
import { CHUNK_HEADER, type ByteRange, readObject } from './artifact-read.js';
import { type ObjectInfo, bucketTenants, startedObjects, wholeObjects } from './artifact-sweep.js';
import { isFull, toAnswer } from './codes.js';
import type { Nats } from './connection.js';
import { NatsError } from './nats-error.js';
import { notStored } from './publish.js';
import { purgeSubject } from './purge.js';
import { jetStreamApi } from './read.js';
import { untilAnswered } from './until-answered.js';

const CHUNK_BYTES = 128 * 1024;
/** Chunks on their way at a time: what an upload holds in memory, and what a slow disk makes it wait for. */
const WINDOW = 8;
const ANSWER_MS = 10_000;

/** What has been stored; SHA-256 in lower-case hex. */
export type StoredBytes = { readonly size: number; readonly sha256: string };

/** An object and what its bytes are for: by it they are recognised when nothing in the log names them. */
type ObjectRef = { readonly tenant: string; readonly object: string };

/** Pieces of exactly CHUNK_BYTES, but for the last. */
async function* chunksOf(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let parts: Uint8Array[] = [];
  let length = 0;
  for await (let piece of bytes) {
    while (piece.length > 0) {
      const part = piece.subarray(0, CHUNK_BYTES - length);
      piece = piece.subarray(part.length);
      parts.push(part);
      length += part.length;
      if (length < CHUNK_BYTES) continue;
      yield Buffer.concat(parts);
      [parts, length] = [[], 0];
    }
  }
  if (length > 0) yield Buffer.concat(parts);
}

/**
 * Bytes of artifacts: a bucket per tenant, in the format of NATS object stores, so that `nats object get` reads them, too. Object names
 * are made up for each, never given by anybody, and never used twice. Which artifacts there are the log says, not this.
 */
export class ArtifactStore {
  constructor(
    private readonly nats: Nats,
    /** Of a bucket that has to be made; 0 or without it half of what the log may have. */
    private readonly bucket: Partial<BucketOptions> = {},
  ) {}

  /**
   * Resolves once all of it is on disk. Where it can't be, or `bytes` throws, as much as possible of it is removed again; sweeping finds
   * the rest. Holds a MiB at most. Throws ArtifactError ARTIFACT_STORE_FULL or ARTIFACT_STORE_MISSING, LogError LOG_UNAVAILABLE, and what
   * `bytes` throws.
   */
  async put(ref: ObjectRef, bytes: AsyncIterable<Uint8Array>, metadata: Readonly<Record<string, string>> = {}): Promise<StoredBytes> {
    const hash = createHash('sha256');
    const sending = new Set<Promise<void>>();
    let failure: unknown;
    let [size, chunks] = [0, 0];
    try {
      for await (const chunk of chunksOf(bytes)) {
        hash.update(chunk);
        size += chunk.length;
        const sent = this.sendChunk(ref, chunk, chunks++)
          .catch((error: unknown) => void (failure ??= error))
          .finally(() => sending.delete(sent));
        sending.add(sent);
        // The first one finds out whether there is a bucket.
        if (chunks === 1 || sending.size >= WINDOW) await Promise.race(sending);
        if (failure) throw failure;
      }
      await Promise.all(sending);
      if (failure) throw failure;
      const digest = hash.digest();
      await this.sendMeta(ref, { size, chunks, digest, metadata });
      return { size, sha256: digest.toString('hex') };
    } catch (error) {
      await Promise.all(sending);
      await this.delete(ref).catch(() => undefined);
      throw error;
    }
  }

  /** Reads no more than a page beyond what is taken. Throws ArtifactError ARTIFACT_DAMAGED, LogError LOG_UNAVAILABLE. */
  read(ref: ObjectRef, range?: ByteRange): AsyncGenerator<Uint8Array> {
    return readObject(this.nats, ref, range);
  }

  /** Also of what is there in part, or not at all. Throws LogError LOG_UNAVAILABLE. */
  async delete({ tenant, object }: ObjectRef): Promise<void> {
    await purgeSubject(this.nats, streamOf(tenant), metaSubject(tenant, object));
    await purgeSubject(this.nats, streamOf(tenant), chunkSubject(tenant, object));
  }

  /** Those that have a bucket. Throws LogError LOG_UNAVAILABLE, and so do the next two. */
  tenants(): Promise<readonly string[]> {
    return bucketTenants(this.nats);
  }

  /** What is stored whole, a page at a time, oldest first. */
  wholeObjects(tenant: string): AsyncGenerator<readonly ObjectInfo[]> {
    return wholeObjects(this.nats, tenant);
  }

  /** What is stored in part: being uploaded, or cut off. */
  startedObjects(tenant: string, isWhole: (object: string) => boolean): AsyncGenerator<ObjectInfo> {
    return startedObjects(this.nats, tenant, isWhole);
  }

  private async sendChunk({ tenant, object }: ObjectRef, chunk: Uint8Array, index: number): Promise<void> {
    await this.publish(tenant, chunkSubject(tenant, object), chunk, { [CHUNK_HEADER]: String(index) });
  }

  private async sendMeta(
    { tenant, object }: ObjectRef,
    { size, chunks, digest, metadata }: { readonly size: number; readonly chunks: number; readonly digest: Buffer; readonly metadata: Readonly<Record<string, string>> },
  ): Promise<void> {
    const encoded = digest.toString('base64').replaceAll('+', '-').replaceAll('/', '_');
    const info = {
      name: object,
      bucket: `artifacts_${tenant}`,
      nuid: object,
      size,
      chunks,
      digest: `SHA-256=${encoded}`,
      mtime: new Date().toISOString(),
      deleted: false,
      options: { max_chunk_size: CHUNK_BYTES },
      metadata,
    };
    await this.publish(tenant, metaSubject(tenant, object), JSON.stringify(info), { 'Nats-Rollup': 'sub' });
  }

  private async publish(tenant: string, subject: string, body: Uint8Array | string, header: Readonly<Record<string, string>>): Promise<void> {
    const all = headers();
    for (const [name, value] of Object.entries(header)) all.set(name, value);
    const send = async () => toAnswer(await this.nats.replies.request(subject, body, ANSWER_MS, all));
    let answer = await send();
    if (answer === 'unheard' && this.nats.connected) {
      await this.make(tenant);
      answer = await send();
    }
    if (answer === 'unheard') throw notStored('the broker is away');
    if (answer === 'silent') throw notStored('the broker did not say that it has it all');
    const { error } = answer;
    if (!error) return;
    if (!isFull(error.err_code)) throw notStored(error.description ?? 'no reason given');
    throw new ArtifactError('ARTIFACT_STORE_FULL', `bucket artifacts_${tenant} is full; delete artifacts, or give stream ${streamOf(tenant)} more max_bytes`);
  }

  private async make(tenant: string): Promise<void> {
    const { maxBytes = 0, ...options } = this.bucket;
    try {
      const size = maxBytes || (await this.halfTheLog());
      await untilAnswered(this.nats, 'a bucket for artifacts', () => makeBucketThatFits(this.nats, tenant, { ...options, maxBytes: size }));
    } catch (error) {
      if (error instanceof LogError) throw error;
      const isForbidden = error instanceof NatsError && error.code === 'NATS_FORBIDDEN';
      const why = isForbidden ? 'this process may not make one' : `it can't be made: ${(error as Error).message}`;
      throw new ArtifactError('ARTIFACT_STORE_MISSING', `tenant ${tenant} has no bucket for artifacts, and ${why}; run \`runledger provision --tenant ${tenant}\` as the provisioning user`, { cause: error });
    }
  }

  private async halfTheLog(): Promise<number> {
    type Info = { readonly config?: { readonly max_bytes: number } };
    const { config } = await jetStreamApi<Info>(this.nats, 'LOG', 'STREAM.INFO.LOG', undefined);
    return Math.floor((config?.max_bytes ?? 0) / 2);
  }
}
