import { BUCKET_STREAMS, bucketOf, chunkSubject, streamOf } from './artifact-bucket.js';
import type { Nats } from './connection.js';
import { directPages, jetStreamApi, leaderGet } from './read.js';

/** What an object is for, as whoever stored it said. */
export type ObjectInfo = {
  readonly object: string;
  /** Of whose artifact; empty where it was not said. */
  readonly execution: string;
  /** RFC 3339, by the broker's clock. */
  readonly storedAt: string;
};

type StreamInfo = { readonly state?: { readonly last_seq: number; readonly subjects?: Readonly<Record<string, number>> }; readonly total?: number };

const infoOf = (nats: Nats, tenant: string, body?: object): Promise<StreamInfo> => {
  const stream = streamOf(tenant);
  return jetStreamApi<StreamInfo>(nats, stream, `STREAM.INFO.${stream}`, body);
};

/** Tenants that have a bucket of artifacts. Throws LogError LOG_UNAVAILABLE. */
export const bucketTenants = async (nats: Nats): Promise<readonly string[]> => {
  type Names = { readonly streams?: readonly string[] | null; readonly total?: number };
  const names: string[] = [];
  for (;;) {
    const { streams, total = 0 } = await jetStreamApi<Names>(nats, 'names', 'STREAM.NAMES', { offset: names.length, subject: '$O.*.M.*' });
    names.push(...(streams ?? []));
    if (!streams?.length || names.length >= total) break;
  }
  return names.filter((name) => name.startsWith(BUCKET_STREAMS)).map((name) => name.slice(BUCKET_STREAMS.length));
};

/** Whole objects of a tenant, a page at a time, oldest first. Throws LogError LOG_UNAVAILABLE. */
export async function* wholeObjects(nats: Nats, tenant: string): AsyncGenerator<readonly ObjectInfo[]> {
  const { state } = await infoOf(nats, tenant);
  for await (const page of directPages(nats, streamOf(tenant), `$O.${bucketOf(tenant)}.M.*`, { after: 0, upTo: state?.last_seq ?? 0 })) {
    yield page.flatMap(({ data, storedAt }) => {
      try {
        const { name, metadata } = JSON.parse(Buffer.from(data).toString()) as { readonly name: string; readonly metadata?: { readonly execution?: string } };
        return [{ object: name, execution: metadata?.execution ?? '', storedAt }];
      } catch {
        return [];
      }
    });
  }
}

/** Objects of which there are chunks, with when the last one came; those that are whole among them. Throws LogError LOG_UNAVAILABLE. */
export async function* startedObjects(nats: Nats, tenant: string, isWhole: (object: string) => boolean): AsyncGenerator<ObjectInfo> {
  const prefix = chunkSubject(tenant, '');
  for (let offset = 0; ; ) {
    const { state, total = 0 } = await infoOf(nats, tenant, { subjects_filter: `${prefix}*`, offset });
    const subjects = Object.keys(state?.subjects ?? {});
    for (const subject of subjects) {
      const object = subject.slice(prefix.length);
      if (isWhole(object)) continue;
      const last = await leaderGet(nats, streamOf(tenant), { last_by_subj: subject });
      if (last) yield { object, execution: '', storedAt: last.storedAt };
    }
    offset += subjects.length;
    if (subjects.length === 0 || offset >= total) return;
  }
}
