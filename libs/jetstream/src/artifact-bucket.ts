import { JetStreamApiError, jetstream } from '@nats-io/jetstream';
import { Objm } from '@nats-io/obj';
import { isToken } from '#libs/contracts';
import { codes, isFull } from './codes.js';
import type { Nats } from './connection.js';

const LEAST_BYTES = 64 * 1024 ** 2;

/** What the names of all buckets of artifacts begin with, as streams. */
export const BUCKET_STREAMS = 'OBJ_artifacts_';

/** Throws RangeError for what is no tenant. */
export const bucketOf = (tenant: string): string => {
  if (isToken(tenant)) return `artifacts_${tenant}`;
  throw new RangeError(`not a tenant: ${JSON.stringify(tenant).slice(0, 80)}`);
};

export const streamOf = (tenant: string): string => `OBJ_${bucketOf(tenant)}`;

export const chunkSubject = (tenant: string, object: string): string => `$O.${bucketOf(tenant)}.C.${object}`;

/** Of what tells about an object: its name in base64url, as object stores have it. */
export const metaSubject = (tenant: string, object: string): string => {
  const name = Buffer.from(object).toString('base64url');
  return `$O.${bucketOf(tenant)}.M.${name}${'='.repeat((4 - (name.length % 4)) % 4)}`;
};

export type BucketOptions = {
  /** Bytes at most, reserved by the server. */
  readonly maxBytes: number;
  readonly replicas?: number;
};

/** Makes a tenant's bucket; one that is there stays as it is. What it can't take it refuses: nothing in it gives way to something newer. */
export const makeBucket = async (nats: Nats, tenant: string, { maxBytes, replicas = 1 }: BucketOptions): Promise<void> => {
  try {
    const description = `Artifacts of tenant ${tenant}; which of them there are, the log says.`;
    await new Objm(jetstream(nats.connection)).create(bucketOf(tenant), { description, max_bytes: maxBytes, replicas });
  } catch (error) {
    // Another process was faster.
    if (!(error instanceof JetStreamApiError && error.code === codes.streamNameInUse)) throw error;
  }
};

/** As makeBucket, smaller where the server has no room for that. Throws JetStreamApiError where it has none for 64 MiB. */
export const makeBucketThatFits = async (nats: Nats, tenant: string, { maxBytes, ...options }: BucketOptions): Promise<void> => {
  for (let bytes = maxBytes; ; bytes = Math.max(LEAST_BYTES, Math.floor(bytes / 2))) {
    try {
      return await makeBucket(nats, tenant, { ...options, maxBytes: bytes });
    } catch (error) {
      if (!(error instanceof JetStreamApiError && isFull(error.code)) || bytes <= LEAST_BYTES) throw error;
    }
  }
};
