import { types } from 'node:util';
import { type AccessCode, AccessError } from '#libs/access';
import { ArtifactTooLarge, NoRoomForArtifact } from '#libs/artifacts';
import { Refused, type RefusalCode } from '#libs/execution';
import { ArtifactError, type ArtifactErrorCode } from '#libs/jetstream';
import { BrokenHistory, LogError, type LogErrorCode } from '#libs/ledger';
import { SecretError, type SecretErrorCode } from '#libs/secrets';

export type Fault = { readonly path: string; readonly message: string };

/** A refusal as clients see it: problem details (RFC 9457) with a stable code. */
export class Problem extends Error {
  override readonly name = 'Problem';

  constructor(
    readonly status: number,
    readonly code: string,
    /** What, why, and what to do. */
    detail: string,
    readonly extra: {
      readonly problems?: readonly Fault[];
      readonly retryAfterSeconds?: number;
      /** Methods of a path that was asked with another one. */
      readonly allow?: readonly string[];
      /** How to authenticate, for WWW-Authenticate. */
      readonly challenge?: string;
      /** What there is instead of the range that was asked for, for Content-Range. */
      readonly contentRange?: string;
      readonly cause?: unknown;
    } = {},
  ) {
    super(detail, 'cause' in extra ? { cause: extra.cause } : undefined);
  }
}

const ofRefusal: Record<RefusalCode, number> = {
  EXECUTION_EXISTS: 409,
  EXECUTION_NOT_FOUND: 404,
  EXECUTION_TERMINAL: 409,
  EXECUTION_CANCELLING: 409,
  EXECUTION_NOT_ENDED: 409,
  NOTHING_TO_RETRY: 409,
  PLAN_INCOMPLETE: 409,
  TASK_NOT_FOUND: 404,
  EXECUTION_DELETED: 410,
  BULK_NOT_CARRIED_ON: 409,
  IDEMPOTENCY_KEY_REUSED: 409,
  SIGNALS_FULL: 409,
  CLARIFICATION_NOT_FOUND: 404,
  CLARIFICATION_CLOSED: 409,
  ALREADY_ANSWERED: 409,
  NOT_AN_APPROVER: 403,
  SELF_APPROVAL: 403,
  DELEGATION_REFUSED: 409,
  TASK_NOT_STARTABLE: 409,
  ARTIFACT_NOT_FOUND: 404,
  ARTIFACTS_FULL: 409,
  EVENT_UNKNOWN: 500,
};

const challenge = 'Bearer realm="runledger"';
const ofAccess: Record<AccessCode, (error: AccessError) => Problem> = {
  CREDENTIALS_MISSING: ({ code, message }) => new Problem(401, code, message, { challenge }),
  CREDENTIALS_INVALID: (cause) => new Problem(401, cause.code, cause.message, { challenge: `${challenge}, error="invalid_token"`, cause }),
  CREDENTIALS_UNCHECKABLE: (cause) => new Problem(503, cause.code, cause.message, { retryAfterSeconds: 5, cause }),
};

const ofLog: Record<LogErrorCode, number> = {
  OUTCOME_UNKNOWN: 503,
  LOG_FULL: 503,
  LOG_UNAVAILABLE: 503,
  COMMIT_TOO_LARGE: 413,
  LOG_WENT_BACK: 503,
  LOG_MISCONFIGURED: 503,
};

const ofSecret: Record<SecretErrorCode, number> = {
  SECRET_UNKNOWN: 404,
  SECRET_UNREADABLE: 500,
  SECRETS_KEY_MISSING: 503,
  SECRETS_TOO_LARGE: 413,
  SECRETS_FULL: 409,
};

const ofArtifact: Record<ArtifactErrorCode, number> = {
  ARTIFACT_STORE_FULL: 413,
  ARTIFACT_STORE_MISSING: 503,
  ARTIFACT_DAMAGED: 500,
};

/** Bytes of a body, unpacked. Larger than any commit, so that a plan that is too large hears that and not less. */
export const BODY_LIMIT = 8 * 1024 * 1024;

const tooLarge = (): Problem =>
  new Problem(413, 'BODY_TOO_LARGE', `the body is larger than ${BODY_LIMIT} bytes; keep large data in files and refer to them`);

/** A body of another media type than the one that is needed. */
export const unsupported = (needed: string): Problem => new Problem(415, 'MEDIA_TYPE_UNSUPPORTED', `the body must be ${needed}; set Content-Type`);

/** What Fastify and its streams refuse before a route is reached. */
const ofTransport: Readonly<Record<string, () => Problem>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: () => unsupported('application/json'),
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: () => new Problem(400, 'BODY_NOT_JSON', 'the body is not as long as Content-Length says'),
  FST_ERR_CTP_BODY_TOO_LARGE: tooLarge,
  FST_ERR_BAD_URL: () => new Problem(400, 'URL_INVALID', 'the path is not a valid URL; check its % escapes'),
  FST_ERR_MAX_PARAM_LENGTH: () => new Problem(400, 'ID_INVALID', 'a part of the path is too long to be an id'),
  Z_DATA_ERROR: () => new Problem(400, 'BODY_NOT_JSON', 'Content-Encoding says gzip, but the body is something else'),
  Z_BUF_ERROR: () => new Problem(400, 'BODY_NOT_JSON', 'the gzip body ends too early'),
};

export const gatewayStopping = (): Problem => new Problem(503, 'GATEWAY_STOPPING', 'this gateway stops; ask another one, or this one again in a moment', { retryAfterSeconds: 1 });

export const routeNotFound = (message: string): Problem => new Problem(404, 'ROUTE_NOT_FOUND', `${message}; the API is described at /docs`);

const ofClient = (status: number, message: string): Problem => {
  if (status === 404) return routeNotFound(message);
  return status === 413 ? tooLarge() : new Problem(status, 'REQUEST_INVALID', message);
};

/** The one place where errors become answers. Undefined for what is a bug: it must be logged and say nothing. */
export const problemOf = (error: unknown): Problem | undefined => {
  if (error instanceof Problem) return error;
  if (error instanceof Refused) return new Problem(ofRefusal[error.code], error.code, error.message, { cause: error });
  if (error instanceof ArtifactTooLarge || error instanceof NoRoomForArtifact) return new Problem(413, error.code, error.message);
  if (error instanceof ArtifactError) return new Problem(ofArtifact[error.code], error.code, error.message, { cause: error });
  if (error instanceof SecretError) return new Problem(ofSecret[error.code], error.code, error.message, { cause: error });
  if (error instanceof AccessError) return ofAccess[error.code](error);
  if (error instanceof BrokenHistory) return new Problem(500, error.code, `${error.message}; only this execution is halted, restore it from a backup`, { cause: error });
  if (error instanceof LogError) {
    const status = ofLog[error.code];
    return new Problem(status, error.code, error.message, { cause: error, ...(status === 503 && { retryAfterSeconds: 1 }) });
  }
  // Fastify's own only inherit from Error; those of Node's streams may come from another realm.
  if (!(error instanceof Error || types.isNativeError(error))) return undefined;
  const { code, statusCode, getStatus } = error as Error & { code?: string; statusCode?: number; getStatus?: () => number };
  const known = code === undefined ? undefined : ofTransport[code]?.();
  if (known) return known;
  const status = statusCode ?? getStatus?.call(error);
  return status !== undefined && status >= 400 && status < 500 ? ofClient(status, error.message) : undefined;
};
