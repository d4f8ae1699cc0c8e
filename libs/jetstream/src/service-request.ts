import { nuid } from '@nats-io/transport-node';
import type { Nats } from './connection.js';

/**
 * Asks a service over NATS request/reply, in the envelope of Nest's transport, and answers what it answered; undefined when none did in
 * time. Throws an Error with the service's own words.
 */
export const requestService = async <Answer>(nats: Nats, pattern: string, query: unknown, timeoutMs = 5_000): Promise<Answer | undefined> => {
  const reply = await nats.replies.request(pattern, JSON.stringify({ pattern, data: query, id: nuid.next() }), timeoutMs);
  if (reply === 'silent' || reply === 'unheard') return undefined;
  const { err, response } = reply.json<{ readonly err?: unknown; readonly response?: Answer }>();
  if (err !== undefined) throw new Error(`${pattern} answered: ${typeof err === 'string' ? err : JSON.stringify(err)}`);
  return response;
};
