export type AccessCode =
  /** None came. */
  | 'CREDENTIALS_MISSING'
  /** What came is no token, or not one of ours: unknown, forged, expired, revoked, for somebody else. */
  | 'CREDENTIALS_INVALID'
  /** It can't be checked now. */
  | 'CREDENTIALS_UNCHECKABLE';

/** Why credentials were not accepted; the message says what to do and tells nothing about what would have been right. */
export class AccessError extends Error {
  override readonly name = 'AccessError';

  constructor(
    readonly code: AccessCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }

  get retryable(): boolean {
    return this.code === 'CREDENTIALS_UNCHECKABLE';
  }
}
