import { LogError } from '#libs/ledger';
import type { Nats } from './connection.js';
import { jetStreamApi } from './read.js';

type Purged = { readonly success?: boolean; readonly error?: { readonly description?: string } };

/**
 * Removes the messages on a subject (wildcards allowed) that stand before a sequence, or all of them. Again changes nothing. Throws
 * LogError LOG_UNAVAILABLE.
 */
export const purgeSubject = async (nats: Nats, stream: string, subject: string, before?: number): Promise<void> => {
  const { success, error } = await jetStreamApi<Purged>(nats, stream, `STREAM.PURGE.${stream}`, { filter: subject, ...(before !== undefined && { seq: before }) });
  if (success !== true) throw new LogError('LOG_UNAVAILABLE', `stream ${stream} was not purged: ${error?.description ?? 'no reason given'}`);
};
