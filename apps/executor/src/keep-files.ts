import { Readable } from 'node:stream';
import { type ArtifactRoom, ArtifactTooLarge, MAX_DESCRIPTION, artifactOf, keepBytes } from '#libs/artifacts';
import type { ArtifactStore } from '#libs/jetstream';
import { uuid7 } from '#libs/ledger';
import type { RunnerHost } from './runs.js';

/**
 * Keeps files of tasks in the object store, of each what it had when it was opened: one that is written to without end has an end here.
 * What is returned is to be committed: until then nobody sees them.
 */
export const keepFiles =
  (store: Pick<ArtifactStore, 'put'>, room: ArtifactRoom, maxBytes: number): NonNullable<RunnerHost['keep']> =>
  async (ref, by, { name, description, bytes: length, handle }) => {
    if (length > maxBytes) throw new ArtifactTooLarge(maxBytes);
    const claim = await room.claim(ref.tenant);
    const bytes = length === 0 ? Readable.from([]) : handle.createReadStream({ autoClose: false, start: 0, end: length - 1 });
    const kept = await keepBytes(store, ref, claim.counted(bytes as AsyncIterable<Uint8Array>), { name, maxBytes }).finally(() => claim.release());
    const said = description.slice(0, MAX_DESCRIPTION);
    return artifactOf(kept, { artifactId: uuid7(), name, by, ...(said !== '' && { description: said }) });
  };
