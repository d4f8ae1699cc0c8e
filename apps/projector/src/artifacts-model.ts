import type { StoredCommit } from '#libs/ledger';
import {
  type ArtifactChange,
  type ArtifactRef,
  type ArtifactUsage,
  type ArtifactsAnswer,
  type ArtifactsQuery,
  type DueAnswer,
  type DueArtifact,
  type DueQuery,
  type KnownAnswer,
  type KnownQuery,
  type Row,
  type StoredArtifact,
  artifactChange,
  artifactOf,
} from '#libs/projections';
import { decodeCursor, encodeCursor } from './cursor.js';
import type { ReadModelFile } from './read-model-file.js';

export const artifactsSchema = `
CREATE TABLE artifacts (
  tenant TEXT NOT NULL, id TEXT NOT NULL, execution TEXT NOT NULL, task TEXT, attempt INTEGER, step TEXT,
  name TEXT NOT NULL, type TEXT NOT NULL, tags TEXT NOT NULL, mime_type TEXT NOT NULL, size INTEGER NOT NULL, sha256 TEXT NOT NULL,
  public INTEGER NOT NULL, description TEXT, created_at TEXT NOT NULL, created_by TEXT NOT NULL, expires_at TEXT, object TEXT NOT NULL,
  PRIMARY KEY (tenant, id)) WITHOUT ROWID;
CREATE INDEX artifacts_by_time ON artifacts (tenant, created_at, id);
CREATE INDEX artifacts_by_execution ON artifacts (tenant, execution, created_at, id);
CREATE INDEX artifacts_by_object ON artifacts (tenant, object);
CREATE INDEX artifacts_by_expiry ON artifacts (expires_at) WHERE expires_at IS NOT NULL;
CREATE TABLE tags (tenant TEXT NOT NULL, tag TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (tenant, tag, id)) WITHOUT ROWID;
CREATE INDEX tags_by_artifact ON tags (tenant, id);
CREATE TABLE workspaces (tenant TEXT NOT NULL, execution TEXT NOT NULL, workspace TEXT NOT NULL, PRIMARY KEY (tenant, execution)) WITHOUT ROWID;
CREATE INDEX executions_by_workspace ON workspaces (tenant, workspace, execution);
CREATE TABLE bytes (tenant TEXT NOT NULL, bytes INTEGER NOT NULL, PRIMARY KEY (tenant)) WITHOUT ROWID;
`;

/** The artifacts that are there. */
export class ArtifactsModel {
  constructor(private readonly file: ReadModelFile) {}

  /** To be called within the file's transaction. */
  apply(batch: readonly StoredCommit[]): void {
    for (const { ref, commit } of batch) {
      for (const event of commit.events) {
        const change = artifactChange(event);
        if (change) this.change(ref.tenant, ref.execution, change);
      }
    }
  }

  one({ tenant, id }: ArtifactRef): StoredArtifact | undefined {
    const row = this.file.prepare('SELECT * FROM artifacts WHERE tenant = ? AND id = ?').get(tenant, id) as Row | undefined;
    return row && { artifact: artifactOf(row), object: String(row['object']) };
  }

  /** Newest first. Throws QueryRefused CURSOR_INVALID. */
  list(query: ArtifactsQuery): Omit<ArtifactsAnswer, 'asOfSeq'> {
    const { tenant, execution, task, step, type, tags = [], workspace, limit, cursor } = query;
    const where = ['tenant = ?'];
    const values: (string | number)[] = [tenant];
    const also = (condition: string, ...given: readonly string[]): void => {
      where.push(condition);
      values.push(...given);
    };
    if (execution !== undefined) also('execution = ?', execution);
    if (task !== undefined) also('task = ?', task);
    if (step !== undefined) also('step = ?', step);
    if (type) also(`type IN (${type.map(() => '?').join(', ')})`, ...type);
    for (const tag of tags) also('id IN (SELECT id FROM tags WHERE tenant = ? AND tag = ?)', tenant, tag);
    if (workspace !== undefined) also('execution IN (SELECT execution FROM workspaces WHERE tenant = ? AND workspace = ?)', tenant, workspace);
    if (cursor !== undefined) also('(created_at, id) < (?, ?)', ...decodeCursor(cursor, 2));
    const sql = `SELECT * FROM artifacts WHERE ${where.join(' AND ')} ORDER BY created_at DESC, id DESC LIMIT ?`;
    const rows = this.file.prepare(sql).all(...values, limit + 1) as Row[];
    const page = rows.slice(0, limit);
    const last = page[page.length - 1];
    const next = rows.length > limit && last ? encodeCursor(last['created_at'], last['id']) : null;
    return { artifacts: page.map(artifactOf), next };
  }

  usage({ tenant }: { readonly tenant: string }): Omit<ArtifactUsage, 'asOfSeq'> {
    const row = this.file.prepare('SELECT bytes FROM bytes WHERE tenant = ?').get(tenant) as { bytes: number } | undefined;
    return { bytes: row?.bytes ?? 0 };
  }

  /** Throws QueryRefused CURSOR_INVALID. */
  due({ now, limit, cursor }: DueQuery): Omit<DueAnswer, 'asOfSeq'> {
    const after = cursor === undefined ? ['', '', ''] : decodeCursor(cursor, 3);
    const sql =
      'SELECT tenant, execution, id, object, expires_at FROM artifacts ' +
      'WHERE expires_at <= ? AND expires_at >= ? AND (expires_at, tenant, id) > (?, ?, ?) ORDER BY expires_at, tenant, id LIMIT ?';
    const rows = this.file.prepare(sql).all(now, after[0], ...after, limit + 1) as (DueArtifact & { readonly expires_at: string })[];
    const page = rows.slice(0, limit);
    const last = page[page.length - 1];
    const next = rows.length > limit && last ? encodeCursor(last.expires_at, last.tenant, last.id) : null;
    return { due: page.map(({ tenant, id, execution, object }) => ({ tenant, id, execution, object })), next };
  }

  known({ tenant, objects }: KnownQuery): Omit<KnownAnswer, 'asOfSeq'> {
    const statement = this.file.prepare('SELECT 1 FROM artifacts WHERE tenant = ? AND object = ?');
    return { objects: objects.filter((object) => statement.get(tenant, object) !== undefined) };
  }

  private change(tenant: string, execution: string, change: ArtifactChange): void {
    switch (change.op) {
      case 'workspace':
        this.file.prepare('INSERT INTO workspaces VALUES (?, ?, ?) ON CONFLICT DO NOTHING').run(tenant, execution, change.workspace);
        return;
      case 'remove':
        return this.remove(tenant, execution, change.id);
      case 'drop':
        return this.drop(tenant, execution);
      case 'insert':
        return this.insert(tenant, execution, change);
    }
  }

  private insert(tenant: string, execution: string, { row, tags }: Extract<ArtifactChange, { readonly op: 'insert' }>): void {
    const columns = ['tenant', 'execution', ...Object.keys(row)];
    const sql = `INSERT INTO artifacts (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')}) ON CONFLICT DO NOTHING`;
    if (this.file.prepare(sql).run(tenant, execution, ...Object.values(row)).changes === 0) return;
    for (const tag of tags) this.file.prepare('INSERT INTO tags VALUES (?, ?, ?)').run(tenant, tag, row.id);
    this.count(tenant, Number(row['size']));
  }

  private remove(tenant: string, execution: string, id: string): void {
    const found = this.file.prepare('DELETE FROM artifacts WHERE tenant = ? AND id = ? AND execution = ? RETURNING size').get(tenant, id, execution) as { size: number } | undefined;
    if (!found) return;
    this.file.prepare('DELETE FROM tags WHERE tenant = ? AND id = ?').run(tenant, id);
    this.count(tenant, -found.size);
  }

  private drop(tenant: string, execution: string): void {
    const all = this.file.prepare('SELECT id FROM artifacts WHERE tenant = ? AND execution = ?').all(tenant, execution) as { id: string }[];
    for (const { id } of all) this.remove(tenant, execution, id);
    this.file.prepare('DELETE FROM workspaces WHERE tenant = ? AND execution = ?').run(tenant, execution);
  }

  private count(tenant: string, bytes: number): void {
    this.file.prepare('INSERT INTO bytes VALUES (?, ?) ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes').run(tenant, bytes);
    // Nothing shows of what is no longer there: who reads the log later may never have seen it.
    this.file.prepare('DELETE FROM bytes WHERE tenant = ? AND bytes = 0').run(tenant);
  }
}
