import { type Live, type StatsStore, bucketOf } from '#libs/projections';
import type { ReadModelFile } from './read-model-file.js';

type LiveRow = { status: string; started_ms: number | null; runner: string; labels: string };

const SEPARATOR = '\u0000';
const keyOf = (...parts: readonly (string | number)[]): string => parts.join(SEPARATOR);
const partsOf = (key: string): string[] => key.split(SEPARATOR);

const add = (sums: Map<string, number>, key: string, n: number): void => void sums.set(key, (sums.get(key) ?? 0) + n);

/** The changes of one batch, gathered: an execution that begins and ends within it leaves no row behind. */
export class StatsBatch {
  /** Executions' and tasks' rows as the batch leaves them; undefined: gone. */
  private readonly lives = new Map<string, Live | undefined>();
  /** Rows this batch has read or made, by execution, to be forgotten together. */
  private readonly tasksOf = new Map<string, Set<string>>();
  /** Executions that have ended and had rows before the batch. */
  private readonly ended = new Set<string>();
  private readonly stored = new Set<string>();
  private readonly counts = new Map<string, number>();
  private readonly durations = new Map<string, { n: number; totalMs: number }>();
  private readonly minutes = new Map<string, number>();
  private readonly bytes = new Map<string, number>();

  constructor(private readonly file: ReadModelFile) {}

  of(tenant: string, execution: string): StatsStore {
    const own = keyOf(tenant, execution);
    const rowKey = (task: string): string => keyOf(tenant, execution, task);
    const remember = (task: string, live: Live | undefined): void => {
      this.lives.set(rowKey(task), live);
      const tasks = this.tasksOf.get(own);
      if (tasks) tasks.add(task);
      else this.tasksOf.set(own, new Set([task]));
    };
    return {
      live: (task) => {
        const key = rowKey(task);
        if (this.lives.has(key)) return this.lives.get(key);
        const live = this.ended.has(own) ? undefined : this.read(tenant, execution, task);
        if (live) this.stored.add(own);
        remember(task, live);
        return live;
      },
      setLive: remember,
      forget: () => {
        for (const task of this.tasksOf.get(own) ?? []) this.lives.set(rowKey(task), undefined);
        this.ended.add(own);
      },
      count: (scope, key, status, change) => add(this.counts, keyOf(tenant, scope, key, status), change),
      duration: (scope, key, ms) => {
        const bucket = keyOf(tenant, scope, key, bucketOf(ms));
        const { n, totalMs } = this.durations.get(bucket) ?? { n: 0, totalMs: 0 };
        this.durations.set(bucket, { n: n + 1, totalMs: totalMs + ms });
      },
      minute: (minute, column) => add(this.minutes, keyOf(tenant, minute, column), 1),
    };
  }

  storage(tenant: string, bytes: number): void {
    add(this.bytes, tenant, bytes);
  }

  write(): void {
    for (const own of this.ended) {
      if (this.stored.has(own)) this.file.prepare('DELETE FROM live WHERE tenant = ? AND execution = ?').run(...partsOf(own));
    }
    for (const [key, live] of this.lives) {
      if (!live) continue;
      const { status, startedMs, runner, labels } = live;
      const values = [...partsOf(key), status, startedMs, runner, JSON.stringify(labels)];
      this.file.prepare('INSERT OR REPLACE INTO live VALUES (?, ?, ?, ?, ?, ?, ?)').run(...values);
    }
    for (const [key, n] of this.counts) {
      if (n === 0) continue;
      const sql = 'INSERT INTO counts VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n';
      this.file.prepare(sql).run(...partsOf(key), n);
      // Where a batch ends must not show in the rows.
      const empty = 'DELETE FROM counts WHERE tenant = ? AND scope = ? AND key = ? AND status = ? AND n = 0';
      if (n < 0) this.file.prepare(empty).run(...partsOf(key));
    }
    for (const [key, { n, totalMs }] of this.durations) {
      const [tenant, scope, name, bucket] = partsOf(key);
      const sql =
        'INSERT INTO durations VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n, total_ms = total_ms + excluded.total_ms';
      this.file.prepare(sql).run(tenant, scope, name, Number(bucket), n, totalMs);
    }
    for (const [tenant, bytes] of this.bytes) {
      this.file.prepare('INSERT INTO storage VALUES (?, ?) ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes').run(tenant, bytes);
    }
    for (const [key, n] of this.minutes) {
      const [tenant, minute, column] = partsOf(key);
      const sql = `INSERT INTO minutes (tenant, minute, ${column}) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET ${column} = ${column} + excluded.${column}`;
      this.file.prepare(sql).run(tenant, minute, n);
    }
  }

  private read(tenant: string, execution: string, task: string): Live | undefined {
    const sql = 'SELECT status, started_ms, runner, labels FROM live WHERE tenant = ? AND execution = ? AND task = ?';
    const row = this.file.prepare(sql).get(tenant, execution, task) as LiveRow | undefined;
    return row && { status: row.status, startedMs: row.started_ms, runner: row.runner, labels: JSON.parse(row.labels) as string[] };
  }
}
