import { type ArtifactRoom, MAX_DESCRIPTION, artifactOf, keepBytes } from '#libs/artifacts';
import type { ArtifactStore } from '#libs/jetstream';
import { uuid7 } from '#libs/ledger';
import type { RunnerHost } from './runs.js';

/** Keeps files of tasks in the object store. What is returned is to be committed: until then nobody sees them. */
export const keepFiles =
  (store: Pick<ArtifactStore, 'put'>, room: ArtifactRoom, maxBytes: number): NonNullable<RunnerHost['keep']> =>
  async (ref, by, { name, description, handle }) => {
    const claim = await room.claim(ref.tenant);
    const bytes = handle.createReadStream({ autoClose: false, start: 0 }) as AsyncIterable<Uint8Array>;
    const kept = await keepBytes(store, ref, claim.counted(bytes), { name, maxBytes }).finally(() => claim.release());
    const said = description.slice(0, MAX_DESCRIPTION);
    return artifactOf(kept, { artifactId: uuid7(), name, by, ...(said !== '' && { description: said }) });
  };
