import Database from 'libsql';

/** What libsql's synchronous API offers, as far as it is used here. */
export type Statement = {
  run(...values: unknown[]): { readonly changes: number };
  get(...values: unknown[]): unknown;
  all(...values: unknown[]): unknown[];
  iterate(...values: unknown[]): IterableIterator<unknown>;
  /** Rows as arrays of their columns. */
  raw(): Statement;
};

export type Connection = {
  prepare(sql: string): Statement;
  exec(sql: string): void;
  close(): void;
};

export const connect = (file: string): Connection => {
  const connection = new Database(file) as unknown as Connection;
  // It can be rebuilt: losing the last transactions with the power costs a moment of following.
  // Before the journal's mode, which writes the file's first page.
  connection.exec('PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA temp_store = MEMORY');
  return connection;
};
