import { randomUUID } from 'node:crypto';
import { existsSync, lstatSync, mkdirSync, readdirSync, readlinkSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** What SQLite keeps of one database. */
const parts = ['', '-wal', '-shm', '-journal'];

/**
 * Where a read model lies: a link to the file with its rows, so that another file takes its place in one step, whole, whatever is killed
 * when, while both are open. A file's name is never used again: what a closed connection still holds is no other one's.
 */
export class Place {
  private readonly folder: string;
  private readonly name: string;

  constructor(private readonly path: string) {
    [this.folder, this.name] = [dirname(path), basename(path)];
    mkdirSync(this.folder, { recursive: true });
  }

  /** The file with the rows; undefined where there is none yet. */
  current(): string | undefined {
    const found = lstatSync(this.path, { throwIfNoEntry: false });
    const file = found?.isSymbolicLink() ? join(this.folder, readlinkSync(this.path)) : this.path;
    return existsSync(file) ? file : undefined;
  }

  /** The name of a file that is not there yet. */
  fresh(): string {
    return `${this.path}.${randomUUID()}`;
  }

  /** From here on this file is the current one, also for those who open it after a kill. */
  pointTo(file: string): void {
    const link = `${this.fresh()}.link`;
    symlinkSync(basename(file), link);
    renameSync(link, this.path);
  }

  /** Of a file that is not the current one any more. */
  remove(file: string): void {
    for (const part of parts) if (file + part !== this.path) rmSync(file + part, { force: true });
  }

  /** Removes what processes that were killed have left: everything of this place but the current file. */
  clean(): void {
    const current = this.current();
    const kept = parts.map((part) => basename(current ?? this.path) + part);
    for (const name of readdirSync(this.folder)) {
      if (name.startsWith(`${this.name}.`) && !kept.includes(name)) rmSync(join(this.folder, name), { force: true });
    }
  }
}
