/** Bytes of one secret as UTF-8. */
const MAX_SECRET_BYTES = 16 * 1024;
/** Of all secrets that one attempt refers to: each byte is searched for in all its forms. */
export const MAX_ATTEMPT_BYTES = 64 * 1024;
/** What is shorter can't be told from ordinary output. */
const MIN_SECRET_LENGTH = 4;

/** Why a text can't be a secret; undefined when it can. Says nothing about what is in it. */
export const secretValueFault = (value: unknown): string | undefined => {
  if (typeof value !== 'string') return 'must be a string';
  if (value.trim().length < MIN_SECRET_LENGTH) {
    return `needs at least ${MIN_SECRET_LENGTH} characters beside white space around it: what is shorter can not be told from ordinary output`;
  }
  const bytes = Buffer.byteLength(value);
  if (bytes > MAX_SECRET_BYTES) return `has ${bytes} bytes; at most ${MAX_SECRET_BYTES} are allowed`;
  if (value.includes('\0')) return 'must not contain a NUL character, which neither environments nor headers can carry';
  return /\p{Surrogate}/u.test(value) ? 'holds half a character (a lone surrogate)' : undefined;
};
