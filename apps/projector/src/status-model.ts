import { type ExecutionRef, logSubject } from '#libs/contracts';
import { type StoredCommit, hashOf } from '#libs/ledger';
import {
  type ClarificationView,
  type ExecutionDetail,
  type ExpiredQuery,
  type Head,
  type HeadsAnswer,
  type HeadsQuery,
  type ListAnswer,
  type ListQuery,
  type PendingAnswer,
  type PendingQuery,
  type Row,
  type SelectAnswer,
  type TaskView,
  clarificationOf,
  detailOf,
  statusChanges,
  summaryOf,
  tasksOf,
} from '#libs/projections';
import { decodeCursor, encodeCursor } from './cursor.js';
import type { ReadModelFile } from './read-model-file.js';

export const statusSchema = `
CREATE TABLE executions (
  tenant TEXT NOT NULL, execution TEXT NOT NULL, name TEXT NOT NULL, status TEXT NOT NULL, dialect TEXT NOT NULL,
  labels TEXT NOT NULL, input TEXT NOT NULL, requested_at TEXT NOT NULL, started_at TEXT, ended_at TEXT,
  tasks_total INTEGER NOT NULL, tasks_ended INTEGER NOT NULL DEFAULT 0, tasks_failed INTEGER NOT NULL DEFAULT 0,
  version INTEGER NOT NULL DEFAULT 0, sequence INTEGER NOT NULL DEFAULT 0, head TEXT NOT NULL, result TEXT, reason TEXT, cancel TEXT,
  origin TEXT, origin_execution TEXT, parent TEXT, parent_execution TEXT,
  PRIMARY KEY (tenant, execution)) WITHOUT ROWID;
CREATE INDEX executions_by_time ON executions (tenant, requested_at, execution);
CREATE INDEX executions_by_status ON executions (tenant, status, requested_at, execution);
CREATE INDEX executions_by_origin ON executions (tenant, origin_execution, requested_at, execution) WHERE origin_execution IS NOT NULL;
CREATE INDEX executions_by_parent ON executions (tenant, parent_execution, requested_at, execution) WHERE parent_execution IS NOT NULL;
CREATE INDEX executions_by_end ON executions (tenant, ended_at, execution) WHERE ended_at IS NOT NULL;
CREATE TABLE deleted (
  tenant TEXT NOT NULL, execution TEXT NOT NULL, version INTEGER NOT NULL, sequence INTEGER NOT NULL, head TEXT NOT NULL,
  PRIMARY KEY (tenant, execution)) WITHOUT ROWID;
CREATE TABLE labels (
  tenant TEXT NOT NULL, execution TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
  PRIMARY KEY (tenant, key, value, execution)) WITHOUT ROWID;
CREATE TABLE tasks (
  tenant TEXT NOT NULL, execution TEXT NOT NULL, id TEXT NOT NULL, position INTEGER NOT NULL, runner TEXT NOT NULL,
  depends_on TEXT NOT NULL, status TEXT NOT NULL, attempt INTEGER NOT NULL, started_at TEXT, ended_at TEXT, retry_at TEXT,
  result TEXT, error TEXT, waits_for TEXT, sub_execution TEXT, why TEXT, carried_from TEXT, parent TEXT, item TEXT, progress TEXT,
  PRIMARY KEY (tenant, execution, id)) WITHOUT ROWID;
CREATE TABLE steps (
  tenant TEXT NOT NULL, execution TEXT NOT NULL, id TEXT NOT NULL, task TEXT NOT NULL, number INTEGER NOT NULL,
  name TEXT NOT NULL, status TEXT NOT NULL, started_at TEXT NOT NULL, ended_at TEXT, error TEXT, metadata TEXT NOT NULL,
  PRIMARY KEY (tenant, execution, id)) WITHOUT ROWID;
CREATE TABLE clarifications (
  tenant TEXT NOT NULL, execution TEXT NOT NULL, id TEXT NOT NULL, task TEXT NOT NULL, attempt INTEGER NOT NULL, title TEXT NOT NULL,
  description TEXT, approvers TEXT NOT NULL, required INTEGER NOT NULL, delegable INTEGER NOT NULL, status TEXT NOT NULL,
  requested_at TEXT NOT NULL, expires_at TEXT, on_expiry TEXT NOT NULL, ended_at TEXT,
  PRIMARY KEY (tenant, execution, id)) WITHOUT ROWID;
CREATE INDEX clarifications_by_status ON clarifications (tenant, status, requested_at, execution, id);
CREATE TABLE metadata (
  tenant TEXT NOT NULL, execution TEXT NOT NULL, id TEXT NOT NULL, value TEXT NOT NULL,
  PRIMARY KEY (tenant, execution, id)) WITHOUT ROWID;
CREATE TABLE answers (
  tenant TEXT NOT NULL, execution TEXT NOT NULL, id TEXT NOT NULL, clarification TEXT NOT NULL, by_actor TEXT NOT NULL,
  decision TEXT, reason TEXT, to_actor TEXT, at TEXT NOT NULL,
  PRIMARY KEY (tenant, execution, id)) WITHOUT ROWID;
`;

/** Successors of one answer. */
const SUCCESSORS_MAX = 100;
/** Of one answer: a message holds 1 MiB. So many tasks and steps always fit: what is largest of one, its result, has 32 KiB at most. */
const ANSWER_BYTES = 1_000_000;
const TASKS_SURE_TO_FIT = 20;

/** Heads of one answer: it has to fit into a message of 1 MiB, however long the ids. */
const HEADS_MAX = 3_000;
const EXPIRED_MAX = 1_000;

type Value = Row[string];
type Update = { readonly set: Record<string, Value>; readonly add: Record<string, number> };
type Insert = { readonly table: string; readonly row: Row };
type RowUpdate = { readonly table: 'tasks' | 'steps' | 'clarifications' | 'metadata'; readonly id: string; readonly set: Record<string, Value> };

/** What belongs to an execution, and goes with it. */
const tables = ['executions', 'tasks', 'steps', 'clarifications', 'answers', 'metadata'] as const;

/** Of the executions that fit, behind the cursor. Throws QueryRefused CURSOR_INVALID. */
const conditionsOf = (query: ListQuery): { readonly where: string; readonly values: readonly (string | number)[] } => {
  const where = ['tenant = ?'];
  const values: (string | number)[] = [query.tenant];
  const also = (condition: string, ...given: (string | number)[]): void => {
    where.push(condition);
    values.push(...given);
  };
  if (query.status) also(`status IN (${query.status.map(() => '?').join(', ')})`, ...query.status);
  if (query.name?.endsWith('*')) also('substr(name, 1, length(?)) = ?', query.name.slice(0, -1), query.name.slice(0, -1));
  else if (query.name !== undefined) also('name = ?', query.name);
  if (query.origin !== undefined) also('origin_execution = ?', query.origin);
  if (query.parent !== undefined) also('parent_execution = ?', query.parent);
  if (query.child === false) also('parent_execution IS NULL');
  if (query.carriedOn === false) also('NOT EXISTS (SELECT 1 FROM executions AS s WHERE s.tenant = e.tenant AND s.origin_execution = e.execution)');
  if (query.from !== undefined) also('requested_at >= ?', query.from);
  if (query.until !== undefined) also('requested_at < ?', query.until);
  for (const [key, value] of Object.entries(query.labels ?? {})) {
    also('execution IN (SELECT execution FROM labels WHERE tenant = ? AND key = ? AND value = ?)', query.tenant, key, value);
  }
  if (query.cursor !== undefined) also('(requested_at, execution) < (?, ?)', ...decodeCursor(query.cursor, 2));
  return { where: where.join(' AND '), values };
};

/** Executions, tasks and steps as they are. Of a deleted execution its last commit is left. */
export class StatusModel {
  constructor(
    private readonly file: ReadModelFile,
    private readonly alarm: (ref: ExecutionRef, message: string) => void,
  ) {}

  /** To be called within the file's transaction. */
  apply(batch: readonly StoredCommit[]): void {
    for (const stored of batch) this.applyOne(stored);
  }

  /** One statement per row that the commit changes, however many of its events change it. */
  private applyOne(stored: StoredCommit): void {
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

  detail({ tenant, execution }: ExecutionRef): ExecutionDetail | undefined {
    const row = this.file.prepare('SELECT * FROM executions WHERE tenant = ? AND execution = ?').get(tenant, execution) as Row | undefined;
    if (!row) return undefined;
    const { executions: successors } = this.list({ tenant, origin: execution, limit: SUCCESSORS_MAX });
    const metadata = this.file.prepare('SELECT id, value FROM metadata WHERE tenant = ? AND execution = ?').all(tenant, execution) as Row[];
    return { ...detailOf(row, metadata), ...(successors.length > 0 && { successors: successors.flatMap(({ id, origin }) => (origin ? [{ id, kind: origin.kind }] : [])) }) };
  }

  /** Undefined also where there are more than one answer holds: the log has them all. */
  tasks(ref: ExecutionRef): readonly TaskView[] | undefined {
    const key = [ref.tenant, ref.execution];
    const rows = this.file.prepare('SELECT * FROM tasks WHERE tenant = ? AND execution = ? ORDER BY position').all(...key) as Row[];
    if (rows.length === 0) return undefined;
    const steps = this.file.prepare('SELECT * FROM steps WHERE tenant = ? AND execution = ?').all(...key) as Row[];
    const views = tasksOf(rows, steps);
    const isLarge = rows.length + steps.length > TASKS_SURE_TO_FIT && Buffer.byteLength(JSON.stringify(views)) > ANSWER_BYTES;
    return isLarge ? undefined : views;
  }

  /** In the order they were asked; undefined where there is no such execution. */
  clarifications(ref: ExecutionRef): readonly ClarificationView[] | undefined {
    if (!this.detail(ref)) return undefined;
    const sql = 'SELECT * FROM clarifications WHERE tenant = ? AND execution = ? ORDER BY requested_at, task';
    const rows = this.file.prepare(sql).all(ref.tenant, ref.execution) as Row[];
    return rows.map((row) => this.clarification(row));
  }

  /** Those that wait for an answer, longest first. Throws QueryRefused CURSOR_INVALID. */
  pending({ tenant, labels = {}, limit, cursor }: PendingQuery): Omit<PendingAnswer, 'asOfSeq'> {
    const where = ["tenant = ? AND status = 'pending'"];
    const values: (string | number)[] = [tenant];
    for (const [key, value] of Object.entries(labels)) {
      where.push('execution IN (SELECT execution FROM labels WHERE tenant = ? AND key = ? AND value = ?)');
      values.push(tenant, key, value);
    }
    if (cursor !== undefined) {
      where.push('(requested_at, execution, id) > (?, ?, ?)');
      values.push(...decodeCursor(cursor, 3));
    }
    const sql = `SELECT * FROM clarifications WHERE ${where.join(' AND ')} ORDER BY requested_at, execution, id LIMIT ?`;
    const rows = this.file.prepare(sql).all(...values, limit + 1) as Row[];
    const page = rows.slice(0, limit);
    const last = page[page.length - 1];
    const next = rows.length > limit && last ? encodeCursor(last['requested_at'], last['execution'], last['id']) : null;
    return { clarifications: page.map((row) => this.clarification(row)), next };
  }

  private clarification(row: Row): ClarificationView {
    const sql = 'SELECT * FROM answers WHERE tenant = ? AND execution = ? AND clarification = ?';
    const answers = this.file.prepare(sql).all(row['tenant'], row['execution'], row['id']) as Row[];
    return clarificationOf(String(row['execution']), row, answers);
  }

  /** Newest first. Throws QueryRefused CURSOR_INVALID. */
  list(query: ListQuery): Omit<ListAnswer, 'asOfSeq'> {
    const { rows, next } = this.page('*', query);
    return { executions: rows.map(summaryOf), next };
  }

  /** The same executions by their ids. Throws QueryRefused CURSOR_INVALID. */
  select(query: ListQuery): Omit<SelectAnswer, 'asOfSeq'> {
    const { rows, next } = this.page('execution, requested_at', query);
    return { ids: rows.map((row) => String(row['execution'])), counts: query.cursor === undefined ? this.counts(query) : null, next };
  }

  private page(columns: string, query: ListQuery): { readonly rows: readonly Row[]; readonly next: string | null } {
    const { where, values } = conditionsOf(query);
    const sql = `SELECT ${columns} FROM executions AS e WHERE ${where} ORDER BY requested_at DESC, execution DESC LIMIT ?`;
    const rows = this.file.prepare(sql).all(...values, query.limit + 1) as Row[];
    const page = rows.slice(0, query.limit);
    const last = page[page.length - 1];
    return { rows: page, next: rows.length > query.limit && last ? encodeCursor(last['requested_at'], last['execution']) : null };
  }

  private counts(query: ListQuery): NonNullable<SelectAnswer['counts']> {
    const { where, values } = conditionsOf(query);
    const rows = this.file.prepare(`SELECT status, COUNT(*) AS n FROM executions AS e WHERE ${where} GROUP BY status`).all(...values) as Row[];
    return Object.fromEntries(rows.map((row) => [row['status'], Number(row['n'])]));
  }

  /** Tenants that have executions which have ended. */
  tenants(): readonly string[] {
    const sql = 'SELECT DISTINCT tenant FROM executions WHERE ended_at IS NOT NULL ORDER BY tenant';
    return (this.file.prepare(sql).all() as { tenant: string }[]).map(({ tenant }) => tenant);
  }

  /** Those that ended first. */
  expired({ tenant, endedBefore, keep, limit }: ExpiredQuery): readonly string[] {
    const ended = 'SELECT ended_at, execution FROM executions WHERE tenant = ? AND ended_at IS NOT NULL';
    type Place = { readonly ended_at: string; readonly execution: string };
    const newest = `${ended} ORDER BY ended_at DESC, execution DESC LIMIT 1 OFFSET ?`;
    const beyond = keep === undefined ? undefined : (this.file.prepare(newest).get(tenant, keep) as Place | undefined);
    const before: Place = { ended_at: endedBefore ?? '', execution: '' };
    // Whichever is later: all up to there are to go.
    const last = beyond && beyond.ended_at >= before.ended_at ? beyond : before;
    const oldest = `${ended} AND (ended_at, execution) <= (?, ?) ORDER BY ended_at, execution LIMIT ?`;
    const rows = this.file.prepare(oldest).all(tenant, last.ended_at, last.execution, Math.min(limit, EXPIRED_MAX)) as Place[];
    return rows.map(({ execution }) => execution);
  }

  /** The last commit of every execution, deleted ones included, in the order of tenant and execution. */
  heads({ after = { tenant: '', execution: '' }, limit }: HeadsQuery): Omit<HeadsAnswer, 'asOfSeq'> {
    const columns = 'tenant, execution, version, sequence, head AS hash';
    // Version 0 is an execution whose first commit did not follow.
    const sql =
      `SELECT ${columns} FROM executions WHERE (tenant, execution) > (?, ?) AND version > 0 UNION ALL ` +
      `SELECT ${columns} FROM deleted WHERE (tenant, execution) > (?, ?) ORDER BY tenant, execution LIMIT ?`;
    const wanted = Math.min(limit, HEADS_MAX);
    const heads = this.file.prepare(sql).all(after.tenant, after.execution, after.tenant, after.execution, wanted + 1) as Head[];
    return { heads: heads.slice(0, wanted), more: heads.length > wanted };
  }

  /** Whatever was read of it: what stood before a tombstone may have been purged. */
  private remove({ ref, sequence, hash, commit }: StoredCommit): void {
    const labels = this.detail(ref)?.labels ?? {};
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
