import { AuthorizationError, PermissionViolationError, TimeoutError } from '@nats-io/transport-node';

type NatsErrorCode =
  /** No server there, or none that speaks NATS. */
  | 'NATS_UNREACHABLE'
  /** The server does not take these credentials, or wants some. */
  | 'NATS_UNAUTHORIZED'
  | 'NATS_TLS_FAILED'
  /** This user may not do what was to be done. */
  | 'NATS_FORBIDDEN';

/** Why there is no working with the broker; the message says what to change. */
export class NatsError extends Error {
  override readonly name = 'NatsError';
  readonly retryable: boolean;

  constructor(
    readonly code: NatsErrorCode,
    message: string,
    cause?: unknown,
  ) {
    super(message, { cause });
    this.retryable = code === 'NATS_UNREACHABLE';
  }
}

const unauthorized =
  'check RUNLEDGER_NATS_USER with RUNLEDGER_NATS_PASSWORD or RUNLEDGER_NATS_PASSWORD_FILE, or RUNLEDGER_NATS_NKEY_SEED_FILE, or RUNLEDGER_NATS_CREDS_FILE, ' +
  "or user:password in NATS_URL, against the server's users";

const tlsAdvice = (code: string, message: string): string | undefined => {
  if (/ALTNAME/.test(code)) return "its certificate is for another name; put that name into NATS_URL, or NATS_URL's into the certificate";
  if (/EXPIRED|NOT_YET_VALID/.test(code)) return 'its certificate is not valid today; renew it, or set the clock right';
  if (/SELF_SIGNED|UNABLE_TO|LEAF_SIGNATURE/.test(code)) return 'nobody known has signed its certificate; set RUNLEDGER_NATS_TLS_CA_FILE to the certificate of who did';
  if (/does not support 'tls'/.test(message)) return 'it does no TLS, and nothing is sent in the clear; give it a tls block, or take tls:// and the RUNLEDGER_NATS_TLS_ settings away';
  if (/doesn't exist/.test(message)) return 'a file that a RUNLEDGER_NATS_TLS_ setting names is not there';
  return /^ERR_(SSL|TLS|OSSL)|^CERT_/.test(code) ? 'see the RUNLEDGER_NATS_TLS_ settings' : undefined;
};

/** What a failed connect means. Messages of nats.js hold addresses, never credentials. */
export const toNatsError = (error: unknown): NatsError => {
  type Coded = Error & { readonly code?: string };
  const { message, code, cause } = error as Coded;
  // Too busy, it or this process, to have heard the credentials in time.
  if (error instanceof AuthorizationError && /timeout/i.test(message)) return new NatsError('NATS_UNREACHABLE', `the nats-server gave up waiting for this client (${message}); try again`, error);
  if (error instanceof AuthorizationError) return new NatsError('NATS_UNAUTHORIZED', `the nats-server refuses these credentials (${message}); ${unauthorized}`, error);
  const advice = tlsAdvice(code ?? (cause as Coded | undefined)?.code ?? '', message);
  if (advice !== undefined) return new NatsError('NATS_TLS_FAILED', `no TLS connection to the nats-server (${message}): ${advice}`, error);
  // What a server says of a missing certificate, nats.js doesn't pass on.
  const silent = error instanceof TimeoutError ? '; one that wants a certificate of this client is silent like this, too: RUNLEDGER_NATS_TLS_CERT_FILE' : '';
  return new NatsError('NATS_UNREACHABLE', `no nats-server answers there (${message}); see whether it is up, and what NATS_URL says${silent}`, error);
};

/** What a refusal of the broker means. */
export const forbidden = ({ operation, subject }: PermissionViolationError): NatsError =>
  new NatsError(
    'NATS_FORBIDDEN',
    `the nats-server does not let this user ${operation === 'publish' ? 'publish to' : 'subscribe to'} ${subject}; ` +
      'give it the permissions that `runledger nats-config` prints, or connect as the user they are meant for',
  );
