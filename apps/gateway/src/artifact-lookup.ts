import type { LogStore } from '#libs/ledger';
import type { ArtifactRef, StoredArtifact } from '#libs/projections';
import type { ReadModels } from './read-models.js';

/** Artifacts by their id. */
export class ArtifactLookup {
  constructor(
    private readonly readModels: Pick<ReadModels, 'artifact'>,
    private readonly log: Pick<LogStore, 'head'>,
  ) {}

  /**
   * Undefined where there is none. Somebody may know the id of one that the projection does not know yet: then it is asked again once it
   * knows what the log holds now. Throws Problem PROJECTION_UNAVAILABLE, PROJECTION_BEHIND.
   */
  async find(ref: ArtifactRef, minSeq = 0): Promise<StoredArtifact | undefined> {
    const { found, asOfSeq } = await this.readModels.artifact({ ...ref, minSeq });
    if (found) return found;
    const { sequence } = await this.log.head();
    return sequence > asOfSeq ? (await this.readModels.artifact({ ...ref, minSeq: sequence })).found : undefined;
  }
}
