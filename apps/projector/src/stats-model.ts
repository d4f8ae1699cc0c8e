import type { ExecutionStatus, TaskStatus } from '#libs/contracts';
import type { StoredCommit } from '#libs/ledger';
import { type Durations, type Live, type Scope, type StatsAnswer, type StatsStore, bucketOf, countEvent, msOf } from '#libs/projections';
import type { ReadModelFile } from './database.js';

export const statsSchema = `
CREATE TABLE live (
  tenant TEXT NOT NULL, execution TEXT NOT NULL, task TEXT NOT NULL, status TEXT NOT NULL, started_ms INTEGER,
  runner TEXT NOT NULL, labels TEXT NOT NULL,
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

type LiveRow = { status: string; started_ms: number | null; runner: string; labels: string };
type CountRow = { key: string; status: string; n: number };
type DurationRow = { key: string; bucket: number; n: number; total_ms: number };

/** Counts, durations and throughput. */
export class StatsModel {
  constructor(private readonly file: ReadModelFile) {}

  /** To be called within the file's transaction. */
  apply({ ref, commit }: StoredCommit): void {
    const store = this.storeOf(ref.tenant, ref.execution);
    // What comes after an execution's end changes no count.
    if (commit.version > 1 && !store.live('')) return;
    for (const event of commit.events) countEvent(store, event);
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
      throughput: this.throughput(tenant),
    };
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

  private storeOf(tenant: string, execution: string): StatsStore {
    const { file } = this;
    return {
      live: (task) => {
        const sql = 'SELECT status, started_ms, runner, labels FROM live WHERE tenant = ? AND execution = ? AND task = ?';
        const row = file.prepare(sql).get(tenant, execution, task) as LiveRow | undefined;
        return row && { status: row.status, startedMs: row.started_ms, runner: row.runner, labels: JSON.parse(row.labels) as string[] };
      },
      setLive: (task, { status, startedMs, runner, labels }: Live) => {
        const values = [tenant, execution, task, status, startedMs, runner, JSON.stringify(labels)];
        file.prepare('INSERT OR REPLACE INTO live VALUES (?, ?, ?, ?, ?, ?, ?)').run(...values);
      },
      forget: () => void file.prepare('DELETE FROM live WHERE tenant = ? AND execution = ?').run(tenant, execution),
      count: (scope, key, status, change) => {
        const sql = 'INSERT INTO counts VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n';
        file.prepare(sql).run(tenant, scope, key, status, change);
      },
      duration: (scope, key, ms) => {
        const sql =
          'INSERT INTO durations VALUES (?, ?, ?, ?, 1, ?) ON CONFLICT DO UPDATE SET n = n + 1, total_ms = total_ms + excluded.total_ms';
        file.prepare(sql).run(tenant, scope, key, bucketOf(ms), ms);
      },
      minute: (minute, column) => {
        const sql = `INSERT INTO minutes (tenant, minute, ${column}) VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET ${column} = ${column} + 1`;
        file.prepare(sql).run(tenant, minute);
      },
    };
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
