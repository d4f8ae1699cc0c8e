import { ENDED_TENANTS, EXPIRED, type ExecutionStatus, REBUILD, SELECT, type Selection, type TaskStatus } from '#libs/contracts';
import type { ClarificationView, ExecutionSummary } from './views.js';

// What the gateway asks the projector, over NATS request/reply; subjects are these names, below QUERIES but for the rebuild.
export const queries = {
  execution: 'runledger.query.status.execution',
  list: 'runledger.query.status.list',
  select: SELECT,
  tasks: 'runledger.query.status.tasks',
  clarifications: 'runledger.query.status.clarifications',
  pending: 'runledger.query.status.pending',
  heads: 'runledger.query.status.heads',
  tenants: ENDED_TENANTS,
  expired: EXPIRED,
  stats: 'runledger.query.stats',
  usage: 'runledger.query.usage',
  projections: 'runledger.query.projections',
  rebuild: REBUILD,
} as const;

/** Every query may ask to be answered only once its projection knows this log sequence; it is refused as PROJECTION_BEHIND after `waitMs`. */
export type AtLeast = { readonly minSeq?: number; readonly waitMs?: number };

/** Instead of an answer: the query itself can't be answered. CURSOR_INVALID, PROJECTION_BEHIND, PROJECTION_UNKNOWN. */
export type QueryRefusal = { readonly refused: { readonly code: string; readonly message: string } };

/** Every answer says up to which log sequence it knows. `found` is undefined where there is no such execution. */
export type Answer<T> = { readonly asOfSeq: number; readonly found: T | undefined };

/** Clarifications that wait for an answer. `labels`: of their executions. */
export type PendingQuery = {
  readonly tenant: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** 1 to 200. */
  readonly limit: number;
  readonly cursor?: string;
};

/** Those that have waited longest first. */
export type PendingAnswer = { readonly asOfSeq: number; readonly clarifications: readonly ClarificationView[]; readonly next: string | null };

export type ListQuery = Selection & {
  readonly tenant: string;
  /** 1 to 1000. */
  readonly limit: number;
  /** As an earlier answer gave it. */
  readonly cursor?: string;
};

/** Newest first; `next` is the cursor of the following page, null on the last. */
export type ListAnswer = {
  readonly asOfSeq: number;
  readonly executions: readonly ExecutionSummary[];
  readonly next: string | null;
};

/** Ids in the order of lists, and on the first page how many there are of each status. */
export type SelectAnswer = {
  readonly asOfSeq: number;
  readonly ids: readonly string[];
  readonly counts: Readonly<Partial<Record<ExecutionStatus, number>>> | null;
  readonly next: string | null;
};

/** Milliseconds; null where nothing ended. Percentiles are right to 10 %. */
export type Durations = {
  readonly count: number;
  readonly mean: number | null;
  readonly p50: number | null;
  readonly p95: number | null;
  readonly p99: number | null;
};

export type StatsAnswer = {
  readonly asOfSeq: number;
  readonly executions: { readonly total: number; readonly byStatus: Readonly<Record<ExecutionStatus, number>>; readonly durations: Durations };
  readonly tasks: { readonly byStatus: Readonly<Record<TaskStatus, number>>; readonly durations: Durations };
  /** Tasks, per runner. */
  readonly byRunner: Readonly<Record<string, { readonly byStatus: Readonly<Record<TaskStatus, number>>; readonly durations: Durations }>>;
  /** Executions, per label `key=value`; the 100 most frequent. */
  readonly byLabel: Readonly<Record<string, { readonly byStatus: Readonly<Record<ExecutionStatus, number>> }>>;
  /** Bytes of all its commits in the log. */
  readonly storage: { readonly bytes: number };
  /** The last 60 minutes that saw something, newest last. */
  readonly throughput: readonly {
    readonly minute: string;
    readonly requested: number;
    readonly completed: number;
    readonly failed: number;
    readonly cancelled: number;
  }[];
};

/** What a tenant has that limits are about: executions that have not ended, their tasks that are pending, bytes of all its commits. */
export type UsageAnswer = {
  readonly asOfSeq: number;
  readonly activeExecutions: number;
  readonly queuedTasks: number;
  readonly storageBytes: number;
};

/** The last commit of an execution, as the status projection knows it; `hash` is of its bytes, SHA-256 in base64url. */
export type Head = {
  readonly tenant: string;
  readonly execution: string;
  readonly version: number;
  readonly sequence: number;
  readonly hash: string;
};

/** Heads in the order of tenant and execution, from behind `after`. `limit`: from 1; an answer holds 3,000 at most. */
export type HeadsQuery = { readonly after?: Pick<Head, 'tenant' | 'execution'>; readonly limit: number };
export type HeadsAnswer = { readonly asOfSeq: number; readonly heads: readonly Head[]; readonly more: boolean };

/** Tenants that have executions which have ended. */
export type TenantsAnswer = { readonly asOfSeq: number; readonly tenants: readonly string[] };

/** Executions that have ended before a time (RFC 3339), or are not among the last `keep` that have. `limit`: 1 to 1000. */
export type ExpiredQuery = AtLeast & { readonly tenant: string; readonly endedBefore?: string; readonly keep?: number; readonly limit: number };

/** Ids, of those that ended first. */
export type ExpiredAnswer = { readonly asOfSeq: number; readonly executions: readonly string[] };

/** The rebuilds are beside the live rows: `replaying` the log, `comparing` digests, `swapping` files. */
export type RebuildPhase = 'replaying' | 'comparing' | 'swapping' | 'done' | 'failed';

/** One rebuild of a projection from the start of the log. */
export type Rebuild = {
  readonly id: string;
  readonly phase: RebuildPhase;
  /** RFC 3339. */
  readonly startedAt: string;
  readonly endedAt: string | null;
  /** Log sequence it has come to, and the one it compares at. */
  readonly sequence: number;
  readonly target: number;
  /** SHA-256 over all rows at `target`, base64url: of the rows that were live, and of the rebuilt ones. Null until compared. */
  readonly digest: { readonly live: string; readonly rebuilt: string } | null;
  /** Tables whose rows differed; the rebuilt ones are live now. */
  readonly differs: readonly string[];
  readonly error: string | null;
};

/** The log no longer holds what the projection had read: it was restored to an earlier state, or lost its tail. */
export type Loss = {
  readonly incarnation: string;
  /** What the projection had reached, and the hash of the commit there. */
  readonly sequence: number;
  readonly hash: string;
  readonly foundAt: string;
  readonly why: string;
};

export type ProjectionInfo = {
  readonly name: string;
  readonly asOfSeq: number;
  /** Of the last commit applied: its place in the log and its hash. Null before the first. */
  readonly position: { readonly incarnation: string; readonly sequence: number; readonly hash: string } | null;
  /** The one under way, or the last. */
  readonly rebuild: Rebuild | null;
  /** Kept until a rebuild that somebody asked for. */
  readonly losses: readonly Loss[];
};

export type ProjectionsAnswer = { readonly projections: readonly ProjectionInfo[] };

/** `id` names the request: the same one again begins nothing. */
export type RebuildQuery = { readonly projection: string; readonly id: string };
