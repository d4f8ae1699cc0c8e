export type ArtifactErrorCode =
  /** The tenant's bucket has no room for it. */
  | 'ARTIFACT_STORE_FULL'
  /** The tenant has no bucket, and this user of the broker may not make one. */
  | 'ARTIFACT_STORE_MISSING'
  /** The log says that it is there, but its bytes are not, or not all of them. */
  | 'ARTIFACT_DAMAGED';

/** Bytes of an artifact can't be stored or read. */
export class ArtifactError extends Error {
  override readonly name = 'ArtifactError';
  readonly retryable = false;

  constructor(
    readonly code: ArtifactErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
