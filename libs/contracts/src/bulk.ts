import type { CancelMode } from './events.js';
import type { ExecutionStatus } from './statuses.js';

/** Runner of the one task that a bulk operation is. No client's plan may name it. */
export const BULK = 'bulk';

export type BulkAction = 'pause' | 'resume' | 'cancel' | 'retry' | 'delete';

/** Executions of one tenant, by all of these. Times are RFC 3339 and filter by the request: from <= t < until. */
export type Selection = {
  readonly status?: readonly ExecutionStatus[];
  readonly labels?: Readonly<Record<string, string>>;
  /** Exact, or with a trailing `*` a prefix. */
  readonly name?: string;
  readonly from?: string;
  readonly until?: string;
  /** Those that carry on this execution. */
  readonly origin?: string;
  /** The execution whose attempts they are. */
  readonly parent?: string;
  /** False: those that no other execution carries on. */
  readonly carriedOn?: false;
  /** False: those that are no task of another execution. */
  readonly child?: false;
};

/** Input of that task, as the gateway makes it. The tenant is that of the execution. */
export type BulkInput = {
  readonly action: BulkAction;
  readonly filter: Selection;
  readonly ratePerSecond: number;
  /** Of a cancel. */
  readonly mode?: CancelMode;
  readonly reason?: string;
  /** Who asked for it, for the events of those that it is done to. */
  readonly actor: string;
  readonly correlationId: string;
};
