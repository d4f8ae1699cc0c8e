import { chunkSubject, metaSubject, streamOf } from './artifact-bucket.js';
import { ArtifactError } from './artifact-error.js';
import type { Nats } from './connection.js';
import { PAGE_BYTES, directPage, leaderGet } from './read.js';

/** Tells the place of a chunk among those of its object: 0, 1, 2 … */
export const CHUNK_HEADER = 'Runledger-Chunk';

const PAGE = 64;
/** A download that has begun is better slow than cut off. */
const WAIT_MS = 30_000;

/** Bytes from `from` up to and without `to`. */
export type ByteRange = { readonly from: number; readonly to: number };

type Chunk = { readonly sequence: number; readonly index: number; readonly data: Uint8Array };

type Source = { readonly nats: Nats; readonly tenant: string; readonly object: string };

const damaged = ({ object }: Source, why: string): ArtifactError =>
  new ArtifactError('ARTIFACT_DAMAGED', `the bytes of object ${object} are not as they were stored: ${why}; restore the bucket from a backup, or delete the artifact`);

/** Chunks in order, from a sequence on. Throws LogError LOG_UNAVAILABLE. */
const page = async ({ nats, tenant, object }: Source, seq: number, batch: number): Promise<readonly Chunk[]> => {
  const query = { seq, next_by_subj: chunkSubject(tenant, object), batch, max_bytes: PAGE_BYTES };
  const { messages } = await directPage(nats, streamOf(tenant), query, { slots: nats.reads.files, waitMs: WAIT_MS });
  if (messages.length > 0) return messages.map(({ sequence, data, header }) => ({ sequence, data, index: Number(header(CHUNK_HEADER) ?? Number.NaN) }));
  // What answers direct gets may be behind; the leader never is.
  const next = await leaderGet(nats, streamOf(tenant), { seq, next_by_subj: query.next_by_subj });
  const index = /^Runledger-Chunk: *(\d+)/im.exec(next?.headers ?? '')?.[1];
  return next ? [{ sequence: next.sequence, data: next.data, index: Number(index ?? Number.NaN) }] : [];
};

/**
 * Where a chunk stands. Each is at least one sequence behind the one before it, and further behind by what others have stored meanwhile:
 * so many steps are skipped at a time as are certain, which is all of them where nothing was stored in between.
 */
const locate = async (source: Source, wanted: number): Promise<number> => {
  for (let seq = 1; ; ) {
    const [found] = await page(source, seq, 1);
    if (!found || !(found.index <= wanted)) throw damaged(source, `chunk ${wanted} is missing`);
    if (found.index === wanted) return found.sequence;
    seq = found.sequence + (wanted - found.index);
  }
};

type Meta = { readonly size: number; readonly chunks: number; readonly chunkBytes: number };

const metaOf = async (source: Source): Promise<Meta> => {
  const { nats, tenant, object } = source;
  const found = await leaderGet(nats, streamOf(tenant), { last_by_subj: metaSubject(tenant, object) });
  if (!found) throw damaged(source, 'they are not there');
  type Info = { readonly size: number; readonly chunks: number; readonly options: { readonly max_chunk_size: number } };
  const { size, chunks, options } = JSON.parse(Buffer.from(found.data).toString()) as Info;
  return { size, chunks, chunkBytes: options.max_chunk_size };
};

/** Nothing is read of what lies before the range, and a page at most of what lies behind it, or behind what is taken. */
export async function* readObject(nats: Nats, ref: { readonly tenant: string; readonly object: string }, range?: ByteRange): AsyncGenerator<Uint8Array> {
  const source = { nats, ...ref };
  const { size, chunks, chunkBytes } = await metaOf(source);
  const [from, to] = [range?.from ?? 0, Math.min(range?.to ?? size, size)];
  if (from >= to) return;
  const first = Math.floor(from / chunkBytes);
  const last = Math.min(chunks, Math.ceil(to / chunkBytes)) - 1;
  const ahead = (seq: number, after: number): Promise<readonly Chunk[]> => {
    const reading = page(source, seq, Math.min(PAGE, last - after));
    // Nobody may come back for it.
    reading.catch(() => undefined);
    return reading;
  };
  let due = first;
  for (let next = ahead(first === 0 ? 1 : await locate(source, first), first - 1); due <= last; ) {
    const read = await next;
    const end = read[read.length - 1];
    if (!end) throw damaged(source, `it ends before chunk ${due} of ${chunks}`);
    if (end.index < last) next = ahead(end.sequence + 1, end.index);
    for (const { index, data } of read) {
      const begin = index * chunkBytes;
      if (index !== due || data.length !== Math.min(chunkBytes, size - begin)) throw damaged(source, `chunk ${due} of ${chunks} is missing`);
      due += 1;
      yield data.subarray(Math.max(0, from - begin), Math.min(data.length, to - begin));
    }
  }
}
