import { parseLogSubject } from '#libs/contracts';
import { type StoredCommit, hashOf, parseCommit } from '#libs/ledger';
import type { StoredMessage } from './read.js';

/** A message of LOG as the commit it is, or why it is none. */
export const toStored = (raw: StoredMessage): StoredCommit | { readonly unreadable: string } => {
  const ref = parseLogSubject(raw.subject);
  if (!ref) return { unreadable: 'its subject is none of an execution' };
  const commit = parseCommit(raw.data);
  if ('unreadable' in commit) return commit;
  const { sequence, storedAt } = raw;
  return { ref, sequence, storedAt, hash: hashOf(raw.data), bytes: raw.data.length, commit };
};
