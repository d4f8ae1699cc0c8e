import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { UpFailure } from './failure.js';

/** Everything Runledger keeps on this machine, in one folder. */
export type Home = {
  readonly path: string;
  readonly natsConfig: string;
  readonly logFile: (name: string) => string;
  release(): void;
};

const commandOf = (pid: number): string | undefined => {
  try {
    process.kill(pid, 0);
  } catch {
    return undefined;
  }
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    // No /proc here: alive is all that can be said.
    return '';
  }
};

const pidIn = (file: string): number | undefined => {
  try {
    const pid = Number(readFileSync(file, 'utf8'));
    return Number.isInteger(pid) && pid > 1 ? pid : undefined;
  } catch {
    return undefined;
  }
};

/** Ends the nats-server that a supervisor of this home left behind, before another one opens the same files. */
const endLeftover = async (pidFile: string, config: string): Promise<void> => {
  const pid = pidIn(pidFile);
  if (pid === undefined || !commandOf(pid)?.includes(config)) return;
  process.kill(pid, 'SIGTERM');
  for (const until = Date.now() + 5_000; commandOf(pid)?.includes(config); ) {
    if (Date.now() > until) process.kill(pid, 'SIGKILL');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};

/** Makes the folder this process's own. Throws UpFailure while another supervisor uses it. */
export const openHome = async (path: string, natsPort: number): Promise<Home> => {
  for (const folder of ['nats', 'logs', 'work', 'projections']) mkdirSync(join(path, folder), { recursive: true, mode: 0o700 });
  const pidFile = join(path, 'up.pid');
  const other = pidIn(pidFile);
  if (other !== undefined && other !== process.pid && commandOf(other)?.includes('apps/cli/')) {
    throw new UpFailure(`Runledger runs already in ${path} (process ${other}); stop that one, or set RUNLEDGER_HOME to another folder`);
  }
  writeFileSync(pidFile, String(process.pid), { mode: 0o600 });
  const natsConfig = join(path, 'nats', 'nats-server.conf');
  const natsPid = join(path, 'nats', 'nats-server.pid');
  await endLeftover(natsPid, natsConfig);
  const lines = [
    'server_name: runledger',
    'host: 127.0.0.1',
    `port: ${natsPort}`,
    `pid_file: ${JSON.stringify(natsPid)}`,
    'jetstream {',
    `  store_dir: ${JSON.stringify(join(path, 'nats', 'data'))}`,
    '  # An acknowledged commit is on disk, not in a buffer that is flushed every two minutes.',
    '  sync_interval: always',
    '}',
  ];
  writeFileSync(natsConfig, `${lines.join('\n')}\n`, { mode: 0o600 });
  return {
    path,
    natsConfig,
    logFile: (name) => join(path, 'logs', `${name}.log`),
    release: () => rmSync(pidFile, { force: true }),
  };
};
