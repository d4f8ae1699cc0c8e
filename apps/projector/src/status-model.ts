import type { ExecutionRef } from '#libs/contracts';
import type { StoredCommit } from '#libs/ledger';
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
  summaryOf,
  tasksOf,
} from '#libs/projections';
import { decodeCursor, encodeCursor } from './cursor.js';
import { conditionsOf } from './execution-filter.js';
import type { ReadModelFile } from './read-model-file.js';
import { StatusRows } from './status-rows.js';

/** Successors of one answer. */
const SUCCESSORS_MAX = 100;
/** Of one answer: a message holds 1 MiB. So many tasks and steps always fit: what is largest of one, its result, has 32 KiB at most. */
const ANSWER_BYTES = 1_000_000;
const TASKS_SURE_TO_FIT = 20;

/** Heads of one answer: it has to fit into a message of 1 MiB, however long the ids. */
const HEADS_MAX = 3_000;
const EXPIRED_MAX = 1_000;

/** Executions, tasks and steps as they are. */
export class StatusModel {
  private readonly rows: StatusRows;

  constructor(
    private readonly file: ReadModelFile,
    alarm: (ref: ExecutionRef, message: string) => void,
  ) {
    this.rows = new StatusRows(file, alarm);
  }

  /** To be called within the file's transaction. */
  apply(batch: readonly StoredCommit[]): void {
    for (const stored of batch) this.rows.apply(stored);
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
}
