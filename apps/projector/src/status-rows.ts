import { type ExecutionRef, logSubject } from '#libs/contracts';
import { type StoredCommit, hashOf } from '#libs/ledger';
import { type Row, statusChanges } from '#libs/projections';
import type { ReadModelFile } from './read-model-file.js';

type Value = Row[string];
type Update = { readonly set: Record<string, Value>; readonly add: Record<string, number> };
type Insert = { readonly table: string; readonly row: Row };
type RowUpdate = { readonly table: 'tasks' | 'steps' | 'clarifications' | 'metadata'; readonly id: string; readonly set: Record<string, Value> };

/** What belongs to an execution, and goes with it. */
const tables = ['executions', 'tasks', 'steps', 'clarifications', 'answers', 'metadata'] as const;

/** The rows as commits change them: each commit once, and only behind the one before. Of a deleted execution its last commit is left. */
export class StatusRows {
  constructor(
    private readonly file: ReadModelFile,
    private readonly alarm: (ref: ExecutionRef, message: string) => void,
  ) {}

  /** One statement per row that the commit changes, however many of its events change it. */
  apply(stored: StoredCommit): void {
    const { ref, sequence, hash, commit } = stored;
    const { version, previous } = commit;
    const own: Update = { set: { version, sequence, head: hash }, add: {} };
    const inserts: Insert[] = [];
    const rows = new Map<string, RowUpdate>();
    for (const change of commit.events.flatMap(statusChanges)) {
      if (change.op === 'delete') return this.remove(stored);
      if (change.op === 'insert') {
        if (change.table !== 'executions') inserts.push(change);
        else if (version === 1) this.insert(ref, 'executions', { ...change.row, head: hashOf(logSubject(ref)) });
      } else if (change.op === 'resume') {
        // Only the row knows whether it had been started.
        own.set['status'] = this.hasStarted(ref) ? 'running' : 'pending';
      } else if (change.table === 'executions') {
        Object.assign(own.set, change.set);
        for (const [column, n] of Object.entries(change.add ?? {})) own.add[column] = (own.add[column] ?? 0) + Number(n);
      } else {
        const key = `${change.table}/${change.id}`;
        const known = rows.get(key);
        if (known) Object.assign(known.set, change.set);
        else rows.set(key, { table: change.table, id: change.id, set: { ...change.set } });
      }
    }
    if (!this.updateExecution(ref, { version: version - 1, head: previous }, own)) {
      this.alarm(ref, `version ${version} at log sequence ${sequence} does not follow; passed over`);
      return;
    }
    for (const { table, row } of inserts) this.insert(ref, table, row);
    for (const row of rows.values()) this.updateRow(ref, row);
  }

  /** Whatever was read of it: what stood before a tombstone may have been purged. */
  private remove({ ref, sequence, hash, commit }: StoredCommit): void {
    const known = 'SELECT labels FROM executions WHERE tenant = ? AND execution = ?';
    const row = this.file.prepare(known).get(ref.tenant, ref.execution) as { labels: string } | undefined;
    const labels = row ? (JSON.parse(row.labels) as Record<string, string>) : {};
    for (const [key, value] of Object.entries(labels)) {
      const sql = 'DELETE FROM labels WHERE tenant = ? AND key = ? AND value = ? AND execution = ?';
      this.file.prepare(sql).run(ref.tenant, key, value, ref.execution);
    }
    for (const table of tables) this.file.prepare(`DELETE FROM ${table} WHERE tenant = ? AND execution = ?`).run(ref.tenant, ref.execution);
    const { version } = commit;
    this.insert(ref, 'deleted', { version, sequence, head: hash });
  }

  private insert({ tenant, execution }: ExecutionRef, table: string, row: Row): void {
    const columns = ['tenant', 'execution', ...Object.keys(row)];
    // What is there already stays: the same version twice is found out when its row is updated.
    const sql = `INSERT INTO ${table} (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')}) ON CONFLICT DO NOTHING`;
    this.file.prepare(sql).run(tenant, execution, ...Object.values(row));
  }

  private hasStarted({ tenant, execution }: ExecutionRef): boolean {
    const sql = 'SELECT 1 FROM executions WHERE tenant = ? AND execution = ? AND started_at IS NOT NULL';
    return this.file.prepare(sql).get(tenant, execution) !== undefined;
  }

  /** False when the row is not at the commit before. */
  private updateExecution({ tenant, execution }: ExecutionRef, before: { version: number; head: string }, { set, add }: Update): boolean {
    const sets = [...Object.keys(set).map((column) => `${column} = ?`), ...Object.keys(add).map((column) => `${column} = ${column} + ?`)];
    const sql = `UPDATE executions SET ${sets.join(', ')} WHERE tenant = ? AND execution = ? AND version = ? AND head = ?`;
    const values = [...Object.values(set), ...Object.values(add)];
    return this.file.prepare(sql).run(...values, tenant, execution, before.version, before.head).changes > 0;
  }

  private updateRow({ tenant, execution }: ExecutionRef, { table, id, set }: RowUpdate): void {
    const sets = Object.keys(set).map((column) => `${column} = ?`);
    const sql = `UPDATE ${table} SET ${sets.join(', ')} WHERE tenant = ? AND execution = ? AND id = ?`;
    this.file.prepare(sql).run(...Object.values(set), tenant, execution, id);
  }
}
