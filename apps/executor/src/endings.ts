import type { ChildEnd } from '#libs/execution';
import type { StoredCommit } from '#libs/ledger';

/** How its execution ended, where the commit says so. */
export const endIn = ({ commit }: StoredCommit): ChildEnd | undefined => {
  for (const { type, data } of commit.events) {
    if (type === 'ExecutionCompleted') return { status: 'completed', result: data.result };
    if (type === 'ExecutionFailed') return { status: 'failed', reason: data.reason };
    if (type === 'ExecutionCancelled') return { status: 'cancelled' };
  }
  return undefined;
};
