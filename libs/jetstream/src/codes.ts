import type { Reply } from './replies.js';

// Error codes of the JetStream API, as nats-server's errors.json lists them.
export const codes = {
  insufficientResources: 10023,
  messageNotFound: 10037,
  jetStreamDisabledForAccount: 10039,
  storageExceeded: 10047,
  streamNameInUse: 10058,
  streamNotFound: 10059,
  wrongLastSequence: 10071,
  jetStreamDisabled: 10076,
  /** The stream could not store: max_bytes, or the disk. */
  storeFailed: 10077,
  wrongLastSequenceConstant: 10164,
} as const;

export const isConflict = (code: number | undefined): boolean =>
  code === codes.wrongLastSequence || code === codes.wrongLastSequenceConstant;

export const isFull = (code: number | undefined): boolean =>
  code === codes.storeFailed || code === codes.storageExceeded || code === codes.insufficientResources;

/** JetStream's answer to a publish. */
export type PublishAnswer = {
  readonly stream?: string;
  readonly seq?: number;
  readonly duplicate?: boolean;
  readonly batch?: string;
  readonly count?: number;
  /** The new value of a counter. */
  readonly val?: string;
  readonly error?: { readonly code: number; readonly err_code?: number; readonly description?: string };
};

/** An answer, or that none came; one that can't be read tells as little as silence. */
export const toAnswer = (reply: Reply): PublishAnswer | 'silent' | 'unheard' => {
  if (reply === 'silent' || reply === 'unheard') return reply;
  try {
    const answer = reply.json<PublishAnswer>();
    return answer.error !== undefined || Number.isInteger(answer.seq) ? answer : 'silent';
  } catch {
    return 'silent';
  }
};
