import { existsSync } from 'node:fs';
import type { Position } from '#libs/ledger';
import type { Loss, Rebuild } from '#libs/projections';
import { type Connection, type Statement, connect } from './database.js';
import { Place } from './place.js';
import { Snapshot } from './snapshot.js';

const meta = `
CREATE TABLE meta (
  schema TEXT NOT NULL, incarnation TEXT NOT NULL, sequence INTEGER NOT NULL, hash TEXT NOT NULL, rebuild TEXT NOT NULL, losses TEXT NOT NULL);
`;

/** What a read model remembers beside its rows. */
export type Notes = { readonly rebuild: Rebuild | null; readonly losses: readonly Loss[] };

const nothing: Notes = { rebuild: null, losses: [] };

/** Of 4 KiB: so many are kept for rows to come. */
const FREE_PAGES = 256;
const PAGES_AT_ONCE = 256;

type Opened = { readonly file: string; readonly connection: Connection };

/**
 * A disposable read model: its rows and the position they are right for change in the same transaction. A file of another schema, or
 * one that can't be read, is made anew; `onReset` hears why.
 */
export class ReadModelFile {
  private readonly place: Place;
  private file: string;
  private connection: Connection;
  private statements = new Map<string, Statement>();

  constructor(
    private readonly path: string,
    /** Creates the tables, of an empty file. Any change makes older files be rebuilt. */
    private readonly schema: string,
    private readonly onReset: (why: string) => void,
    /** A new file, beside the one that is in place. */
    beside?: string,
  ) {
    this.place = new Place(path);
    const { file, connection } = beside === undefined ? this.open() : this.create(beside, nothing);
    [this.file, this.connection] = [file, connection];
  }

  position(): Position | undefined {
    const row = this.prepare('SELECT incarnation, sequence, hash FROM meta').get() as Position | undefined;
    if (!row || row.sequence === 0) return undefined;
    return { incarnation: row.incarnation, sequence: row.sequence, hash: row.hash };
  }

  notes(): Notes {
    return readNotes(this.prepare('SELECT rebuild, losses FROM meta'));
  }

  note(notes: Partial<Notes>): void {
    const { rebuild, losses } = { ...this.notes(), ...notes };
    this.prepare('UPDATE meta SET rebuild = ?, losses = ?').run(JSON.stringify(rebuild), JSON.stringify(losses));
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
    this.giveBack();
  }

  /** What deleted rows have left free goes back to the file system, a part with each change. */
  private giveBack(): void {
    const { freelist_count: free } = this.prepare('PRAGMA freelist_count').get() as { freelist_count: number };
    if (free > FREE_PAGES) this.connection.exec(`PRAGMA incremental_vacuum(${PAGES_AT_ONCE})`);
  }

  snapshot(): Snapshot {
    return new Snapshot(this.file);
  }

  /** An empty one, in whose place this one stays until replaceBy(). */
  beside(): ReadModelFile {
    return new ReadModelFile(this.path, this.schema, this.onReset, this.place.fresh());
  }

  /** The other's rows take the place of these, in one step; the other is not to be used any more. Throws, and nothing has changed. */
  replaceBy(other: ReadModelFile): void {
    if (!existsSync(other.file)) throw new Error('the file that was built is gone; does another projector use the same folder?');
    this.place.pointTo(other.file);
    const { file, connection } = this;
    [this.file, this.connection, this.statements] = [other.file, other.connection, other.statements];
    try {
      connection.close();
      this.place.remove(file);
    } catch {
      // The next start removes what is left.
    }
  }

  /** Forgets every row, to be rebuilt from the log. */
  reset(notes: Notes): void {
    const empty = this.beside();
    empty.note(notes);
    this.replaceBy(empty);
  }

  close(): void {
    this.statements.clear();
    this.connection.close();
  }

  /** Of one that is in nobody's place: nothing is left of it. */
  discard(): void {
    this.close();
    this.place.remove(this.file);
  }

  private rollBack(): void {
    try {
      this.connection.exec('ROLLBACK');
    } catch {
      // SQLite has done so by itself, as it does on a full disk; the cause is what the caller has to hear.
    }
  }

  private open(): Opened {
    this.place.clean();
    const file = this.place.current();
    let kept = nothing;
    if (file !== undefined) {
      try {
        const connection = connect(file);
        const found = connection.prepare('SELECT schema FROM meta').get() as { schema: string } | undefined;
        if (found?.schema === meta + this.schema) return { file, connection };
        this.onReset('it was made by another version');
        kept = keptNotes(connection);
        connection.close();
      } catch (error) {
        this.onReset(`it can't be read: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    const made = this.create(this.place.fresh(), kept);
    this.place.pointTo(made.file);
    if (file !== undefined) this.place.remove(file);
    return made;
  }

  private create(file: string, { rebuild, losses }: Notes): Opened {
    const connection = connect(file);
    connection.exec('BEGIN');
    connection.exec(meta + this.schema);
    const values = [meta + this.schema, JSON.stringify(rebuild), JSON.stringify(losses)];
    connection.prepare(`INSERT INTO meta VALUES (?, '', 0, '', ?, ?)`).run(...values);
    connection.exec('COMMIT');
    return { file, connection };
  }
}

const readNotes = (statement: Statement): Notes => {
  const { rebuild, losses } = statement.get() as { rebuild: string; losses: string };
  return { rebuild: JSON.parse(rebuild) as Notes['rebuild'], losses: JSON.parse(losses) as Notes['losses'] };
};

/** Of a file of another version, which may not have known any. */
const keptNotes = (connection: Connection): Notes => {
  try {
    return readNotes(connection.prepare('SELECT rebuild, losses FROM meta'));
  } catch {
    return nothing;
  }
};
