import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findNatsServer, notFound, type NatsVersion } from './nats-binaries.js';

const START_TIMEOUT_MS = 10_000;

export type NatsServerOptions = {
  /** Default npm. */
  readonly version?: NatsVersion;
  /** Default: a free one. */
  readonly port?: number;
  /** Kept by stop(). Default: a new temporary folder, deleted by stop(). */
  readonly storeDir?: string;
  /** For variables in `config`. */
  readonly env?: Readonly<Record<string, string>>;
  /** Appended to the generated configuration, top level. */
  readonly config?: string;
  /** Whether every write is synced to disk before it is acknowledged. Default true, as shipped. */
  readonly syncAlways?: boolean;
  /** JetStream's limit on disk, in nats-server's notation, such as '64MB'. Default: nats-server's own. */
  readonly maxFileStore?: string;
};

export type NatsServer = {
  readonly url: string;
  readonly port: number;
  /** Of the running or last process; another one after restart(). */
  readonly pid: number;
  readonly version: NatsVersion;
  readonly storeDir: string;
  /** Resolves once the process is gone; at once when it already is. */
  kill(signal?: 'SIGKILL' | 'SIGTERM' | 'SIGINT'): Promise<void>;
  /** The same port and storeDir. Kills first when it runs. Resolves when JetStream is ready. */
  restart(): Promise<void>;
  /** Kills, and deletes the folders it made. May be called twice. */
  stop(): Promise<void>;
};

/**
 * A real nats-server with JetStream on 127.0.0.1, ready when this resolves. It never outlives the process that
 * started it, however that one ends. Rejects with the server's own log when it doesn't come up within 10 s.
 */
export async function startNatsServer(options: NatsServerOptions = {}): Promise<NatsServer> {
  const version = options.version ?? 'npm';
  const binary = findNatsServer(version);
  if (binary === undefined) throw new Error(notFound(version));

  const folder = await mkdtemp(join(tmpdir(), 'runledger-nats-'));
  const storeDir = options.storeDir ?? join(folder, 'store');
  const configFile = join(folder, 'nats.conf');
  await mkdir(storeDir, { recursive: true });

  const start = async (onPort: number): Promise<Running> => {
    await writeFile(configFile, configuration(options, storeDir, onPort));
    return await run(binary, configFile, options.env);
  };
  let running: Running;
  try {
    running = await start(options.port ?? -1);
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }

  const { port } = running;
  return {
    url: `nats://127.0.0.1:${port}`,
    port,
    version,
    storeDir,
    get pid() {
      return running.pid;
    },
    kill: (signal = 'SIGKILL') => end(running.child, signal),
    async restart() {
      await end(running.child, 'SIGKILL');
      running = await start(port);
    },
    async stop() {
      await end(running.child, 'SIGKILL');
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function configuration(options: NatsServerOptions, storeDir: string, port: number): string {
  return [
    `listen: "127.0.0.1:${port}"`,
    'jetstream {',
    `  store_dir: ${JSON.stringify(storeDir)}`,
    ...((options.syncAlways ?? true) ? ['  sync_interval: always'] : []),
    ...(options.maxFileStore === undefined ? [] : [`  max_file_store: ${options.maxFileStore}`]),
    '}',
    options.config ?? '',
    '',
  ].join('\n');
}

type Running = { readonly child: ChildProcess; readonly pid: number; readonly port: number };

async function run(binary: string, configFile: string, env: NatsServerOptions['env']): Promise<Running> {
  const child = spawn(binary, ['-c', configFile], { env: { ...process.env, ...env }, stdio: ['ignore', 'ignore', 'pipe'] });
  await once(child, 'spawn');
  const pid = child.pid as number;
  killWithThisProcess(child, pid);
  try {
    const port = await readyPort(child);
    await jetStreamAnswers(port);
    return { child, pid, port };
  } catch (error) {
    await end(child, 'SIGKILL');
    throw error;
  }
}

/** The shell waits on a pipe that closes when this process ends, by whatever cause, and then kills the server. */
function killWithThisProcess(child: ChildProcess, pid: number): void {
  const watchdog = spawn('/bin/sh', ['-c', 'read -r _; kill -KILL "$0"', String(pid)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  child.once('exit', () => watchdog.kill('SIGKILL'));
  const handles = [watchdog, watchdog.stdin, child, child.stderr] as readonly ({ unref?(): void } | null)[];
  for (const handle of handles) handle?.unref?.();
}

function readyPort(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    let log = '';
    const late = (): void => reject(new Error(`nats-server not ready after ${START_TIMEOUT_MS} ms:\n${log}`));
    const timer = setTimeout(late, START_TIMEOUT_MS);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      reject(new Error(`nats-server ended (${signal ?? code}) before it was ready:\n${log}`));
    });
    // Stays attached for good: a full pipe would stop the server at its next log line.
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      log = (log + text).slice(-20_000);
      if (!log.includes('Server is ready')) return;
      clearTimeout(timer);
      const port = /Listening for client connections on \S+:(\d+)/.exec(log)?.[1];
      if (port === undefined) reject(new Error(`nats-server names no port:\n${log}`));
      else resolve(Number(port));
    });
  });
}

function jetStreamAnswers(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let greeting = '';
    const socket = connect(port, '127.0.0.1').setEncoding('utf8');
    socket.setTimeout(START_TIMEOUT_MS, () => socket.destroy(new Error(`nats-server on port ${port} sends no INFO`)));
    socket.once('error', reject);
    socket.once('close', () => reject(new Error(`nats-server on port ${port} closed the connection`)));
    socket.on('data', (text: string) => {
      greeting += text;
      if (!greeting.includes('\r\n')) return;
      if (greeting.includes('"jetstream":true')) resolve();
      else reject(new Error(`nats-server on port ${port} has no JetStream: ${greeting.trim()}`));
      socket.destroy();
    });
  });
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.ref();
  const exited = once(child, 'exit');
  child.kill(signal);
  await exited;
}
