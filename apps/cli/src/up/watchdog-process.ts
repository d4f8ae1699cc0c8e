import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { WATCHED, type Watched } from './watched.js';

const RESTART_MS = 1_000;

/** A process that outlives this one only to end `watched`; see watchdog.ts. Started again when it dies. */
export class WatchdogProcess {
  private child: ChildProcess | undefined;
  private watched: Watched = { apps: [], broker: [], stopMs: 0 };
  private nextStart: NodeJS.Timeout | undefined;

  start(): void {
    const child = spawn(process.execPath, [fileURLToPath(new URL('./watchdog.js', import.meta.url))], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
      env: { ...process.env, [WATCHED]: JSON.stringify(this.watched) },
    });
    this.child = child;
    child.stdin.on('error', () => undefined);
    child.once('error', () => undefined);
    child.once('exit', () => {
      this.child = undefined;
      this.nextStart = setTimeout(() => this.start(), RESTART_MS);
    });
  }

  watch(watched: Watched): void {
    this.watched = watched;
    this.child?.stdin?.write(`${JSON.stringify(watched)}\n`);
  }

  /** Resolves when it is gone, without having ended anything. */
  async stop(): Promise<void> {
    clearTimeout(this.nextStart);
    const child = this.child;
    if (child === undefined) return;
    child.removeAllListeners('exit');
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
  }
}
