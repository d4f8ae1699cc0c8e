type UpErrorCode =
  | 'SETTING_INVALID'
  | 'HOME_UNUSABLE'
  | 'ALREADY_UP'
  | 'PORT_UNAVAILABLE'
  | 'NATS_SERVER_NOT_FOUND'
  | 'NATS_UNREACHABLE'
  | 'NOT_READY'
  /** Another try would end the same way. */
  | 'MISCONFIGURED';

/** Why `up` can't go on; the message says what to do about it. */
export class UpError extends Error {
  override readonly name = 'UpError';

  constructor(
    readonly code: UpErrorCode,
    message: string,
  ) {
    super(message);
  }
}
