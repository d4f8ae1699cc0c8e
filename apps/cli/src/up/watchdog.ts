import { type ChildProcess, spawn } from 'node:child_process';

/**
 * Ends what it was told of once its input closes, which is when the supervisor is gone, by whatever means: TERM, and KILL after
 * ten seconds. Broker last, so that the apps can still commit.
 */
const program = `
const pids = new Map();
let rest = '';
process.stdin.on('data', (bytes) => {
  const lines = (rest + bytes).split('\\n');
  rest = lines.pop();
  for (const line of lines) {
    const [sign, pid, role] = line.split(' ');
    if (sign === '+') pids.set(Number(pid), role); else pids.delete(Number(pid));
  }
});
const signal = (pid, name) => { try { process.kill(pid, name); return true; } catch { return false; } };
const alive = (role) => [...pids].filter(([pid, r]) => (role === undefined || r === role) && signal(pid, 0)).map(([pid]) => pid);
process.stdin.on('end', () => {
  const from = Date.now();
  for (const pid of alive('app')) signal(pid, 'SIGTERM');
  const timer = setInterval(() => {
    const late = Date.now() - from > 10000;
    if (late) for (const pid of alive()) signal(pid, 'SIGKILL');
    if (alive('app').length === 0) for (const pid of alive('broker')) signal(pid, 'SIGTERM');
    if (alive().length === 0) { clearInterval(timer); process.exit(0); }
  }, 100);
});
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(name, () => undefined);
`;

export type Role = 'app' | 'broker';

/** One small process that outlives the supervisor for as long as it takes to leave nothing behind. */
export class Watchdog {
  private readonly child: ChildProcess;

  constructor() {
    this.child = spawn(process.execPath, ['-e', program], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] });
    this.child.stdin?.on('error', () => undefined);
    this.child.unref();
  }

  watch(pid: number, role: Role): void {
    this.child.stdin?.write(`+ ${pid} ${role}\n`);
  }

  release(pid: number): void {
    this.child.stdin?.write(`- ${pid}\n`);
  }

  /** Everything has been stopped in order: nothing is left to do for it. */
  dismiss(): void {
    this.child.kill('SIGKILL');
  }
}
