import type { ExecutionRef } from '#libs/contracts';
import type { ArtifactStore, StoredBytes } from '#libs/jetstream';
import { uuid7 } from '#libs/ledger';
import { HEAD_BYTES, mediaTypeOf } from './media-type.js';

/** There are more bytes than are taken. */
export class ArtifactTooLarge extends Error {
  override readonly name = 'ArtifactTooLarge';
  readonly code = 'ARTIFACT_TOO_LARGE';
  readonly retryable = false;

  constructor(readonly maxBytes: number) {
    super(`the file has more than ${maxBytes} bytes; split it, or ask whoever runs this server for more`);
  }
}

/** Bytes that are stored, and that nothing names yet. */
export type Kept = StoredBytes & {
  readonly object: string;
  readonly mimeType: string;
  /** Milliseconds since the epoch. Bytes that no event names soon after are swept. */
  readonly keptAt: number;
};

/** Bytes that are stored longer than this and named by nothing may be swept: nothing names them any more. */
const NAMED_WITHIN_MS = 5 * 60_000;

/** Whether an event may still name the bytes. */
export const mayBeNamed = ({ keptAt }: Kept): boolean => Date.now() - keptAt <= NAMED_WITHIN_MS;

type Keeping = {
  readonly name: string;
  readonly maxBytes: number;
};

/**
 * Stores bytes as they come, for an artifact of the execution. Until an event names them nobody sees them. Throws ArtifactTooLarge as
 * soon as it is certain, what ArtifactStore.put throws, and what `bytes` throws; then nothing of them stays.
 */
export const keepBytes = async (store: Pick<ArtifactStore, 'put'>, { tenant, execution }: ExecutionRef, bytes: AsyncIterable<Uint8Array>, { name, maxBytes }: Keeping): Promise<Kept> => {
  const object = uuid7();
  const head: Uint8Array[] = [];
  let headBytes = 0;
  let size = 0;
  async function* watched(): AsyncGenerator<Uint8Array> {
    for await (const piece of bytes) {
      size += piece.length;
      if (size > maxBytes) throw new ArtifactTooLarge(maxBytes);
      if (headBytes < HEAD_BYTES) {
        const part = piece.subarray(0, HEAD_BYTES - headBytes);
        // Of a larger buffer only this is held on to.
        head.push(Uint8Array.from(part));
        headBytes += part.length;
      }
      yield piece;
    }
  }
  const stored = await store.put({ tenant, object }, watched(), { execution });
  const mimeType = await mediaTypeOf(Buffer.concat(head), size <= HEAD_BYTES, name);
  return { ...stored, object, mimeType, keptAt: Date.now() };
};
