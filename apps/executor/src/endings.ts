import type { ChildEnd } from '#libs/execution';
import type { StoredCommit } from '#libs/ledger';

/** What a parent is told of a child whose result is gone. */
export const childDeleted = (message: string): ChildEnd => ({ status: 'lost', reason: { code: 'CHILD_DELETED', message, retryable: false } });

/** How its execution ended, where the commit says so. */
export const endIn = ({ commit }: StoredCommit): ChildEnd | undefined => {
  for (const { type, data } of commit.events) {
    if (type === 'ExecutionCompleted') return { status: 'completed', result: data.result };
    if (type === 'ExecutionFailed') return { status: 'failed', reason: data.reason };
    if (type === 'ExecutionCancelled') return { status: 'cancelled' };
    // How it ended was to be read before.
    if (type === 'ExecutionDeleted') return childDeleted(`execution was deleted as ${data.status} before its end was seen`);
  }
  return undefined;
};
