import { createHash } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { Problem } from './problem.js';

/** What a client named a request with, and what it asked for under that name: SHA-256 of verb and body, base64url. */
export type Idempotency = { readonly key: string; readonly fingerprint: string };

const visible = /^[\x21-\x7e]{1,255}$/;

/**
 * The request's Idempotency-Key, where it has one, with or without the quotes of a structured field. Bodies are the same where their
 * JSON values are, in whatever order their members come. Throws Problem IDEMPOTENCY_KEY_INVALID.
 */
export const idempotencyOf = (request: FastifyRequest, verb: string, body: unknown): Idempotency | undefined => {
  const given = request.raw.headersDistinct['idempotency-key'];
  if (given === undefined) return undefined;
  const key = given.length === 1 ? given[0]?.replace(/^"(.*)"$/, '$1') : undefined;
  if (key === undefined || !visible.test(key)) {
    throw new Problem(400, 'IDEMPOTENCY_KEY_INVALID', 'Idempotency-Key must be given once, 1 to 255 visible ASCII characters without spaces');
  }
  return { key, fingerprint: sha256(`${verb}\0${canonical(body ?? {})}`).toString('base64url') };
};

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest();

/** JSON with the members of every object in one order. */
const canonical = (value: unknown): string =>
  JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
