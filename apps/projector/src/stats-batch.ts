import { type Counted, type StatsStore, bucketOf } from '#libs/projections';
import type { ReadModelFile } from './read-model-file.js';

type CountedRow = {
  readonly task: string;
  readonly status: string;
  readonly requested_ms: number;
  readonly started_ms: number | null;
  readonly ended_ms: number | null;
  readonly runner: string;
  readonly labels: string;
};

const SEPARATOR = '\u0000';
const keyOf = (...parts: readonly (string | number)[]): string => parts.join(SEPARATOR);
const partsOf = (key: string): string[] => key.split(SEPARATOR);

const add = (sums: Map<string, number>, key: string, n: number): void => void sums.set(key, (sums.get(key) ?? 0) + n);

const countedOf = ({ status, requested_ms, started_ms, ended_ms, runner, labels }: CountedRow): Counted => ({
  status,
  requestedMs: requested_ms,
  startedMs: started_ms,
  endedMs: ended_ms,
  runner,
  labels: JSON.parse(labels) as string[],
});

/** The changes of one batch, gathered: what it changes often is written once, and where it ends does not show in the rows. */
export class StatsBatch {
  /** Executions' and tasks' rows as the batch leaves them, by execution and task; undefined where there is none. */
  private readonly counted = new Map<string, Map<string, Counted | undefined>>();
  /** Executions of which no row is to be left that was there before. */
  private readonly dropped = new Set<string>();
  private readonly counts = new Map<string, number>();
  private readonly durations = new Map<string, { n: number; totalMs: number }>();
  private readonly minutes = new Map<string, number>();
  /** What the batch adds, by tenant, and by execution. */
  private readonly bytes = new Map<string, number>();
  private readonly sizes = new Map<string, number>();

  constructor(private readonly file: ReadModelFile) {}

  of(tenant: string, execution: string): StatsStore {
    const own = keyOf(tenant, execution);
    const known = this.counted.get(own) ?? new Map<string, Counted | undefined>();
    this.counted.set(own, known);
    return {
      counted: (task) => {
        if (!known.has(task)) known.set(task, this.dropped.has(own) ? undefined : this.read(tenant, execution, task));
        return known.get(task);
      },
      all: () => {
        const rows = this.dropped.has(own) ? [] : this.readAll(tenant, execution);
        const all = new Map([...rows.map((row) => [row.task, countedOf(row)] as const), ...known]);
        return [...all].flatMap(([task, counted]) => (counted ? [[task, counted] as const] : []));
      },
      set: (task, counted) => void known.set(task, counted),
      drop: () => {
        add(this.bytes, tenant, -((this.sizes.get(own) ?? 0) + (this.dropped.has(own) ? 0 : this.readSize(tenant, execution))));
        this.sizes.delete(own);
        known.clear();
        this.dropped.add(own);
      },
      count: (scope, key, status, change) => add(this.counts, keyOf(tenant, scope, key, status), change),
      duration: (scope, key, ms, change) => {
        const bucket = keyOf(tenant, scope, key, bucketOf(ms));
        const { n, totalMs } = this.durations.get(bucket) ?? { n: 0, totalMs: 0 };
        this.durations.set(bucket, { n: n + change, totalMs: totalMs + ms * change });
      },
      minute: (minute, column, change) => add(this.minutes, keyOf(tenant, minute, column), change),
    };
  }

  storage(tenant: string, execution: string, bytes: number): void {
    add(this.bytes, tenant, bytes);
    add(this.sizes, keyOf(tenant, execution), bytes);
  }

  write(): void {
    for (const own of this.dropped) {
      this.file.prepare('DELETE FROM counted WHERE tenant = ? AND execution = ?').run(...partsOf(own));
      this.file.prepare('DELETE FROM sizes WHERE tenant = ? AND execution = ?').run(...partsOf(own));
    }
    for (const [own, rows] of this.counted) {
      for (const [task, counted] of rows) if (counted) this.writeRow(own, task, counted);
    }
    for (const [own, n] of this.sizes) {
      this.file.prepare('INSERT INTO sizes VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes').run(...partsOf(own), n);
    }
    for (const [tenant, n] of this.bytes) {
      this.file.prepare('INSERT INTO storage VALUES (?, ?) ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes').run(tenant, n);
    }
    this.writeCounts();
    this.writeDurations();
    this.writeMinutes();
  }

  private writeRow(own: string, task: string, { status, requestedMs, startedMs, endedMs, runner, labels }: Counted): void {
    const values = [...partsOf(own), task, status, requestedMs, startedMs, endedMs, runner, JSON.stringify(labels)];
    this.file.prepare('INSERT OR REPLACE INTO counted VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)').run(...values);
  }

  private writeCounts(): void {
    for (const [key, n] of this.counts) {
      if (n === 0) continue;
      const sql = 'INSERT INTO counts VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n';
      this.file.prepare(sql).run(...partsOf(key), n);
      const empty = 'DELETE FROM counts WHERE tenant = ? AND scope = ? AND key = ? AND status = ? AND n = 0';
      if (n < 0) this.file.prepare(empty).run(...partsOf(key));
    }
  }

  private writeDurations(): void {
    for (const [key, { n, totalMs }] of this.durations) {
      if (n === 0 && totalMs === 0) continue;
      const [tenant, scope, name, bucket] = partsOf(key);
      const row = [tenant, scope, name, Number(bucket)] as const;
      const sql =
        'INSERT INTO durations VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n, total_ms = total_ms + excluded.total_ms';
      this.file.prepare(sql).run(...row, n, totalMs);
      const empty = 'DELETE FROM durations WHERE tenant = ? AND scope = ? AND key = ? AND bucket = ? AND n = 0';
      if (n <= 0) this.file.prepare(empty).run(...row);
    }
  }

  private writeMinutes(): void {
    for (const [key, n] of this.minutes) {
      if (n === 0) continue;
      const [tenant, minute, column] = partsOf(key);
      const sql = `INSERT INTO minutes (tenant, minute, ${column}) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET ${column} = ${column} + excluded.${column}`;
      this.file.prepare(sql).run(tenant, minute, n);
      const empty = 'DELETE FROM minutes WHERE tenant = ? AND minute = ? AND requested = 0 AND completed = 0 AND failed = 0 AND cancelled = 0';
      if (n < 0) this.file.prepare(empty).run(tenant, minute);
    }
  }

  private read(tenant: string, execution: string, task: string): Counted | undefined {
    const row = this.file.prepare('SELECT * FROM counted WHERE tenant = ? AND execution = ? AND task = ?').get(tenant, execution, task);
    return row === undefined ? undefined : countedOf(row as CountedRow);
  }

  private readAll(tenant: string, execution: string): readonly CountedRow[] {
    return this.file.prepare('SELECT * FROM counted WHERE tenant = ? AND execution = ?').all(tenant, execution) as CountedRow[];
  }

  private readSize(tenant: string, execution: string): number {
    const row = this.file.prepare('SELECT bytes FROM sizes WHERE tenant = ? AND execution = ?').get(tenant, execution) as { bytes: number } | undefined;
    return row?.bytes ?? 0;
  }
}
