import { mkdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'libsql';
import type { Position } from '#libs/ledger';

/** What libsql's synchronous API offers, as far as it is used here. */
export type Statement = {
  run(...values: unknown[]): { readonly changes: number };
  get(...values: unknown[]): unknown;
  all(...values: unknown[]): unknown[];
};

type Connection = {
  prepare(sql: string): Statement;
  exec(sql: string): void;
  close(): void;
};

const meta = `CREATE TABLE meta (schema TEXT NOT NULL, incarnation TEXT NOT NULL, sequence INTEGER NOT NULL, hash TEXT NOT NULL)`;

/**
 * A disposable read model in one file: its rows and the position they are right for change in the same transaction. A file of
 * another schema, or one that can't be read, is made anew; `onReset` hears why.
 */
export class ReadModelFile {
  private connection: Connection;
  private readonly statements = new Map<string, Statement>();

  constructor(
    private readonly path: string,
    /** Creates the tables, of an empty file. Any change makes older files be rebuilt. */
    private readonly schema: string,
    private readonly onReset: (why: string) => void,
  ) {
    mkdirSync(dirname(path), { recursive: true });
    this.connection = this.open();
  }

  position(): Position | undefined {
    const row = this.prepare('SELECT incarnation, sequence, hash FROM meta').get() as Position | undefined;
    if (!row || row.sequence === 0) return undefined;
    return { incarnation: row.incarnation, sequence: row.sequence, hash: row.hash };
  }

  /** Statements are made once each. */
  prepare(sql: string): Statement {
    let statement = this.statements.get(sql);
    if (!statement) {
      statement = this.connection.prepare(sql);
      this.statements.set(sql, statement);
    }
    return statement;
  }

  /**
   * All of `change` and the new position, or nothing. `change` gets the sequence up to which the rows are right already: what came
   * before is not to be applied again, whoever applied it.
   */
  commit(position: Position, change: (after: number) => void): void {
    this.connection.exec('BEGIN IMMEDIATE');
    try {
      const after = this.position()?.sequence ?? 0;
      if (position.sequence > after) {
        change(after);
        const { incarnation, sequence, hash } = position;
        this.prepare('UPDATE meta SET incarnation = ?, sequence = ?, hash = ?').run(incarnation, sequence, hash);
      }
      this.connection.exec('COMMIT');
    } catch (error) {
      this.rollBack();
      throw error;
    }
  }

  /** Forgets everything, to be rebuilt from the log. */
  reset(): void {
    this.close();
    this.remove();
    this.connection = this.open();
  }

  close(): void {
    this.statements.clear();
    this.connection.close();
  }

  private rollBack(): void {
    try {
      this.connection.exec('ROLLBACK');
    } catch {
      // SQLite has done so by itself, as it does on a full disk; the cause is what the caller has to hear.
    }
  }

  private remove(): void {
    for (const suffix of ['', '-wal', '-shm']) rmSync(this.path + suffix, { force: true });
  }

  private open(): Connection {
    try {
      const connection = this.connect();
      const tables = connection.prepare("SELECT count(*) AS n FROM sqlite_master WHERE name = 'meta'").get() as { n: number };
      if (tables.n === 0) return this.create(connection);
      const found = connection.prepare('SELECT schema FROM meta').get() as { schema: string } | undefined;
      if (found?.schema === this.schema) return connection;
      connection.close();
      this.onReset('it was made by another version');
    } catch (error) {
      this.onReset(`it can't be read: ${error instanceof Error ? error.message : String(error)}`);
    }
    this.remove();
    return this.create(this.connect());
  }

  private connect(): Connection {
    const connection = new Database(this.path) as unknown as Connection;
    // It can be rebuilt: losing the last transactions with the power costs a moment of following.
    connection.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA temp_store = MEMORY');
    return connection;
  }

  private create(connection: Connection): Connection {
    connection.exec('BEGIN');
    connection.exec(meta);
    connection.exec(this.schema);
    connection.prepare(`INSERT INTO meta VALUES (?, '', 0, '')`).run(this.schema);
    connection.exec('COMMIT');
    return connection;
  }
}
