import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { type Connection, connect } from './database.js';

const ROWS_AT_ONCE = 500;

type Column = { readonly name: string; readonly pk: number };

const sha256 = (texts: readonly string[]): string => createHash('sha256').update(texts.join('\n')).digest('base64url');

/** SHA-256 of each table's rows in the order of their key, base64url; a table that can't be read says why instead. */
export type Digests = ReadonlyMap<string, string>;

/** Over all tables. */
export const digestOf = (digests: Digests): string => sha256([...digests].map(([table, digest]) => `${table} ${digest}`));

/** The tables whose rows are not the same. */
export const differing = (a: Digests, b: Digests): string[] =>
  [...new Set([...a.keys(), ...b.keys()])].filter((table) => a.get(table) !== b.get(table)).toSorted();

/** The rows as they were at the moment it was taken, read beside whoever goes on writing them. To be closed. */
export class Snapshot {
  private readonly connection: Connection;
  /** The log sequence the rows are right for. */
  readonly sequence: number;

  constructor(file: string) {
    this.connection = connect(file);
    this.connection.exec('BEGIN');
    // The first read of the transaction is what fixes the rows.
    this.sequence = (this.connection.prepare('SELECT sequence FROM meta').get() as { sequence: number }).sequence;
  }

  /** Lets others have their turn every few rows. Throws the signal's reason. */
  async digests(signal: AbortSignal): Promise<Digests> {
    const sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'meta' ORDER BY name";
    const tables = this.connection.prepare(sql).all() as { name: string }[];
    const digests = new Map<string, string>();
    for (const { name } of tables) {
      const digest = await this.digest(name, signal).catch((error: unknown) => {
        signal.throwIfAborted();
        return `can't be read: ${String(error)}`;
      });
      digests.set(name, digest);
    }
    return digests;
  }

  close(): void {
    this.connection.exec('ROLLBACK');
    this.connection.close();
  }

  private async digest(table: string, signal: AbortSignal): Promise<string> {
    const columns = this.connection.prepare(`SELECT name, pk FROM pragma_table_info('${table}')`).all() as Column[];
    const key = columns.filter(({ pk }) => pk > 0).toSorted((a, b) => a.pk - b.pk);
    const order = key.map(({ name }) => `"${name}"`).join(', ');
    const rows = this.connection.prepare(`SELECT * FROM ${table} ORDER BY ${order}`).raw().iterate();
    const hash = createHash('sha256').update(columns.map(({ name }) => name).join());
    let count = 0;
    for (const row of rows) {
      hash.update(`\n${JSON.stringify(row)}`);
      count += 1;
      if (count % ROWS_AT_ONCE > 0) continue;
      await setImmediate();
      signal.throwIfAborted();
    }
    return hash.digest('base64url');
  }
}
