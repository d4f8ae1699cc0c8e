import { type ExecutionStatus, type TaskStatus, isTombstone } from '#libs/contracts';
import type { StoredCommit } from '#libs/ledger';
import { type Durations, type Scope, type StatsAnswer, type UsageAnswer, countEvent, msOf } from '#libs/projections';
import type { ReadModelFile } from './read-model-file.js';
import { StatsBatch } from './stats-batch.js';

export const statsSchema = `
CREATE TABLE counted (
  tenant TEXT NOT NULL, execution TEXT NOT NULL, task TEXT NOT NULL, status TEXT NOT NULL, requested_ms INTEGER NOT NULL,
  started_ms INTEGER, ended_ms INTEGER, runner TEXT NOT NULL, labels TEXT NOT NULL,
  PRIMARY KEY (tenant, execution, task)) WITHOUT ROWID;
CREATE TABLE counts (
  tenant TEXT NOT NULL, scope TEXT NOT NULL, key TEXT NOT NULL, status TEXT NOT NULL, n INTEGER NOT NULL,
  PRIMARY KEY (tenant, scope, key, status)) WITHOUT ROWID;
CREATE TABLE durations (
  tenant TEXT NOT NULL, scope TEXT NOT NULL, key TEXT NOT NULL, bucket INTEGER NOT NULL, n INTEGER NOT NULL, total_ms INTEGER NOT NULL,
  PRIMARY KEY (tenant, scope, key, bucket)) WITHOUT ROWID;
CREATE TABLE minutes (
  tenant TEXT NOT NULL, minute TEXT NOT NULL, requested INTEGER NOT NULL DEFAULT 0, completed INTEGER NOT NULL DEFAULT 0,
  failed INTEGER NOT NULL DEFAULT 0, cancelled INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant, minute)) WITHOUT ROWID;
CREATE TABLE sizes (
  tenant TEXT NOT NULL, execution TEXT NOT NULL, bytes INTEGER NOT NULL, PRIMARY KEY (tenant, execution)) WITHOUT ROWID;
CREATE TABLE storage (tenant TEXT NOT NULL, bytes INTEGER NOT NULL, PRIMARY KEY (tenant)) WITHOUT ROWID;
`;

const executionZeros: Readonly<Record<ExecutionStatus, number>> = {
  pending: 0,
  running: 0,
  paused: 0,
  cancelling: 0,
  completed: 0,
  failed: 0,
  cancelled: 0,
};
const taskZeros: Readonly<Record<TaskStatus, number>> = {
  pending: 0,
  assigned: 0,
  running: 0,
  completed: 0,
  failed: 0,
  skipped: 0,
  cancelled: 0,
};

const MAX_LABELS = 100;
const MINUTES = 60;

type CountRow = { key: string; status: string; n: number };
type DurationRow = { key: string; bucket: number; n: number; total_ms: number };

/** Counts, durations and throughput of what has not been deleted. */
export class StatsModel {
  constructor(private readonly file: ReadModelFile) {}

  /** To be called within the file's transaction. What a batch changes often is written once. */
  apply(batch: readonly StoredCommit[]): void {
    const changes = new StatsBatch(this.file);
    for (const { ref, bytes, commit } of batch) {
      const { tenant, execution } = ref;
      const store = changes.of(tenant, execution);
      // What follows no beginning is counted nowhere.
      if (commit.version === 1 || isTombstone(commit) || store.counted('')) for (const event of commit.events) countEvent(store, event);
      changes.storage(tenant, execution, bytes);
    }
    changes.write();
  }

  read(tenant: string): Omit<StatsAnswer, 'asOfSeq'> {
    const counts = (scope: Scope): Map<string, Record<string, number>> => this.counts(tenant, scope);
    const durations = (scope: Scope): Map<string, Durations> => this.durations(tenant, scope);
    const executions = { ...executionZeros, ...counts('execution').get('') };
    const runnerDurations = durations('runner');
    return {
      executions: {
        total: Object.values(executions).reduce((sum, n) => sum + n, 0),
        byStatus: executions,
        durations: durations('execution').get('') ?? noDurations,
      },
      tasks: { byStatus: { ...taskZeros, ...counts('task').get('') }, durations: durations('task').get('') ?? noDurations },
      byRunner: Object.fromEntries(
        [...counts('runner')].map(([runner, byStatus]) => [
          runner,
          { byStatus: { ...taskZeros, ...byStatus }, durations: runnerDurations.get(runner) ?? noDurations },
        ]),
      ),
      byLabel: Object.fromEntries(
        [...counts('label')]
          .map(([label, byStatus]) => ({ label, byStatus, n: Object.values(byStatus).reduce((sum, n) => sum + n, 0) }))
          .toSorted((a, b) => b.n - a.n)
          .slice(0, MAX_LABELS)
          .map(({ label, byStatus }) => [label, { byStatus: { ...executionZeros, ...byStatus } }]),
      ),
      storage: { bytes: this.bytes(tenant) },
      throughput: this.throughput(tenant),
    };
  }

  /** What limits are about: as quick as it is often asked for. */
  usage(tenant: string): Omit<UsageAnswer, 'asOfSeq'> {
    const sql = `SELECT
      coalesce(sum(CASE WHEN scope = 'execution' THEN n END), 0) AS activeExecutions, coalesce(sum(CASE WHEN scope = 'task' THEN n END), 0) AS queuedTasks
      FROM counts WHERE tenant = ? AND key = '' AND (
        (scope = 'execution' AND status IN ('pending', 'running', 'paused', 'cancelling')) OR (scope = 'task' AND status IN ('pending', 'assigned')))`;
    const { activeExecutions, queuedTasks } = this.file.prepare(sql).get(tenant) as Pick<UsageAnswer, 'activeExecutions' | 'queuedTasks'>;
    return { activeExecutions, queuedTasks, storageBytes: this.bytes(tenant) };
  }

  private bytes(tenant: string): number {
    const row = this.file.prepare('SELECT bytes FROM storage WHERE tenant = ?').get(tenant) as { bytes: number } | undefined;
    return row?.bytes ?? 0;
  }

  private counts(tenant: string, scope: Scope): Map<string, Record<string, number>> {
    const rows = this.file.prepare('SELECT key, status, n FROM counts WHERE tenant = ? AND scope = ?').all(tenant, scope) as CountRow[];
    const byKey = new Map<string, Record<string, number>>();
    for (const { key, status, n } of rows) {
      const known = byKey.get(key) ?? {};
      known[status] = n;
      byKey.set(key, known);
    }
    return byKey;
  }

  private durations(tenant: string, scope: Scope): Map<string, Durations> {
    const sql = 'SELECT key, bucket, n, total_ms FROM durations WHERE tenant = ? AND scope = ? ORDER BY key, bucket';
    const rows = this.file.prepare(sql).all(tenant, scope) as DurationRow[];
    const byKey = new Map<string, DurationRow[]>();
    for (const row of rows) byKey.set(row.key, [...(byKey.get(row.key) ?? []), row]);
    return new Map([...byKey].map(([key, buckets]) => [key, summarise(buckets)]));
  }

  private throughput(tenant: string): StatsAnswer['throughput'] {
    const sql = 'SELECT minute, requested, completed, failed, cancelled FROM minutes WHERE tenant = ? ORDER BY minute DESC LIMIT ?';
    return (this.file.prepare(sql).all(tenant, MINUTES) as StatsAnswer['throughput'][number][]).toReversed();
  }
}

const noDurations: Durations = { count: 0, mean: null, p50: null, p95: null, p99: null };

const summarise = (buckets: readonly DurationRow[]): Durations => {
  const count = buckets.reduce((sum, { n }) => sum + n, 0);
  const total = buckets.reduce((sum, row) => sum + row.total_ms, 0);
  const percentile = (p: number): number => {
    let seen = 0;
    for (const { bucket, n } of buckets) {
      seen += n;
      if (seen >= count * p) return msOf(bucket);
    }
    return msOf(buckets[buckets.length - 1]?.bucket ?? 0);
  };
  return { count, mean: Math.round(total / count), p50: percentile(0.5), p95: percentile(0.95), p99: percentile(0.99) };
};
