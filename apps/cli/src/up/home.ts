import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { end, isAlive, refOf, type ProcessRef } from './process-ref.js';
import { UpError } from './up-error.js';

const LOCK = 'up';

/** The folder with all state of one `up`, held by this process until release(). */
export class Home {
  readonly nats: string;
  readonly logs: string;
  private readonly pids: string;

  /** Throws UpError: ALREADY_UP while another living process holds the folder, HOME_UNUSABLE when it can't be used. */
  constructor(readonly folder: string) {
    this.nats = join(folder, 'nats');
    this.logs = join(folder, 'logs');
    this.pids = join(folder, 'pids');
    try {
      for (const name of ['nats', 'projections', 'work', 'logs', 'pids']) {
        mkdirSync(join(folder, name), { recursive: true, mode: 0o700 });
      }
      this.lock();
    } catch (error) {
      if (error instanceof UpError) throw error;
      throw new UpError('HOME_UNUSABLE', `can't use RUNLEDGER_HOME ${folder}: ${(error as Error).message}`);
    }
  }

  /** Notes which process runs under this name, for the next `up` should this one be killed. */
  note(name: string, ref: ProcessRef | undefined): void {
    if (ref === undefined) rmSync(this.pidFile(name), { force: true });
    else writeFileSync(this.pidFile(name), `${ref.pid} ${ref.identity}\n`);
  }

  /** Ends what an `up` that was killed has left running; `last` ends after all others. Resolves when it is gone. */
  async endLeftovers(last: string, graceMs: number, say: (line: string) => void): Promise<void> {
    const names = readdirSync(this.pids)
      .filter((file) => file.endsWith('.pid'))
      .map((file) => file.slice(0, -'.pid'.length))
      .filter((name) => name !== LOCK);
    const others = names.filter((name) => name !== last);
    for (const wave of [others, names.filter((name) => name === last)]) {
      const alive = wave.flatMap((name) => {
        const ref = this.noted(name);
        return ref !== undefined && isAlive(ref) ? [{ name, ref }] : [];
      });
      for (const { name, ref } of alive) say(`stopping ${name} (pid ${ref.pid}), which an earlier run left behind`);
      await end(alive.map(({ ref }) => ref), graceMs);
      for (const name of wave) this.note(name, undefined);
    }
  }

  release(): void {
    this.note(LOCK, undefined);
  }

  private lock(): void {
    const own = refOf(process.pid);
    if (own === undefined) throw new Error('this process is not to be found');
    for (;;) {
      try {
        writeFileSync(this.pidFile(LOCK), `${own.pid} ${own.identity}\n`, { flag: 'wx' });
        return;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      const holder = this.noted(LOCK);
      if (holder !== undefined && isAlive(holder)) {
        const message = `Runledger is already up in ${this.folder} (pid ${holder.pid})`;
        throw new UpError('ALREADY_UP', `${message}; stop that one, or set RUNLEDGER_HOME to another folder`);
      }
      this.note(LOCK, undefined);
    }
  }

  private noted(name: string): ProcessRef | undefined {
    try {
      const [, pid, identity] = /^(\d+) (.+)\n$/.exec(readFileSync(this.pidFile(name), 'utf8')) ?? [];
      return pid === undefined || identity === undefined ? undefined : { pid: Number(pid), identity };
    } catch {
      return undefined;
    }
  }

  private pidFile(name: string): string {
    return join(this.pids, `${name}.pid`);
  }
}
