export type SecretErrorCode =
  /** No secret of this tenant has the name. */
  | 'SECRET_UNKNOWN'
  /** It is stored, but none of this process's keys opens it, or its bytes were changed. */
  | 'SECRET_UNREADABLE'
  /** This process was started without a master key. */
  | 'SECRETS_KEY_MISSING'
  /** One attempt refers to more bytes of secrets than are searched for in what it says. */
  | 'SECRETS_TOO_LARGE'
  /** A tenant has as many as it may, or their bucket is full. */
  | 'SECRETS_FULL';

/** What was asked of secrets can't be done, now or later. The message names the secret, never its value. */
export class SecretError extends Error {
  override readonly name = 'SecretError';
  readonly retryable = false;

  constructor(
    readonly code: SecretErrorCode,
    message: string,
  ) {
    super(message);
  }
}

export const keyMissing = (): SecretError =>
  new SecretError(
    'SECRETS_KEY_MISSING',
    'secrets need a master key: make one with `openssl rand -base64 32`, put it into a file, and name that file in RUNLEDGER_SECRETS_KEY_FILE ' +
      'of every gateway and executor',
  );
