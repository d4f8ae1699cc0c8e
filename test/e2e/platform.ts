import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NodeConnectionOptions } from '@nats-io/transport-node';
import { type NatsUser, connectionOptions, seedFile } from '#libs/jetstream';
import { eventually } from '#libs/testing';
import { freePort } from '../../apps/cli/src/up/ports.js';

/** A process that belongs to this platform: one of its own, or a command it runs. */
export type Process = { readonly pid: number; readonly command: string };

/** The whole of Runledger as `npm start` brings it up, in a folder of its own. */
export type Platform = {
  readonly url: string;
  readonly natsUrl: string;
  readonly home: string;
  /** By which nats.js gets in as one of the users of its broker. */
  natsOptions(user: NatsUser): NodeConnectionOptions;
  get(path: string): Promise<{ status: number; body: Record<string, unknown> }>;
  post(path: string, body?: unknown): Promise<{ status: number; body: Record<string, unknown>; headers: Headers }>;
  processes(): readonly Process[];
  /** The last lines that each of its processes has logged. */
  logs(lines: number): string;
  /** SIGKILLs the process whose command line contains the text and waits until another one has taken its place. */
  killAndAwaitReturn(text: string): Promise<void>;
  /** As Ctrl-C would; resolves with the exit code. */
  stop(): Promise<number | null>;
};

const processesOf = (marker: string): Process[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const command = readFileSync(`/proc/${name}/cmdline`, 'latin1').replaceAll('\0', ' ').trim();
        const environment = readFileSync(`/proc/${name}/environ`, 'latin1');
        const ours = command !== '' && (environment.includes(marker) || command.includes(marker));
        return ours && Number(name) !== process.pid ? [{ pid: Number(name), command }] : [];
      } catch {
        return [];
      }
    });

const answered = async (response: Response): Promise<Record<string, unknown>> => {
  const text = await response.text();
  return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
};

/** Starts the built apps by the command that `npm start` runs; fails with what they said when they do not get ready. */
export const startPlatform = async (environment: Readonly<Record<string, string>> = {}): Promise<Platform> => {
  const own = mkdtempSync(join(tmpdir(), 'runledger-e2e-'));
  const home = environment['RUNLEDGER_HOME'] ?? own;
  const [port, natsPort] = [await freePort(), await freePort()];
  const url = `http://127.0.0.1:${port}`;
  const up: ChildProcess = spawn(process.execPath, ['dist/apps/cli/src/main.js', 'up'], {
    env: {
      ...process.env,
      RUNLEDGER_HOME: home,
      RUNLEDGER_PORT: String(port),
      RUNLEDGER_NATS_PORT: String(natsPort),
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  up.stdout?.on('data', (piece: Buffer) => (said += piece.toString()));
  up.stderr?.on('data', (piece: Buffer) => (said += piece.toString()));
  const exited = new Promise<number | null>((resolve) => up.once('exit', resolve));

  const platform: Platform = {
    url,
    natsUrl: `nats://127.0.0.1:${natsPort}`,
    home,
    natsOptions: (user) => {
      const seed = readFileSync(seedFile(join(home, 'nats/users'), user), 'utf8');
      return connectionOptions({ url: platform.natsUrl, credentials: { seed } }, user, 'test');
    },
    get: async (path) => {
      const response = await fetch(url + path);
      return { status: response.status, body: await answered(response) };
    },
    post: async (path, body) => {
      const response = await fetch(url + path, {
        method: 'POST',
        ...(body !== undefined && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
      });
      return { status: response.status, body: await answered(response), headers: response.headers };
    },
    processes: () => processesOf(home),
    logs: (lines) =>
      readdirSync(join(home, 'logs'))
        .map((name) => `${name}\n${readFileSync(join(home, 'logs', name), 'utf8').trimEnd().split('\n').slice(-lines).join('\n')}`)
        .join('\n'),
    killAndAwaitReturn: async (text) => {
      const victim = processesOf(home).find(({ command }) => command.includes(text));
      if (!victim) throw new Error(`no process with ${text} in ${JSON.stringify(processesOf(home))}`);
      process.kill(victim.pid, 'SIGKILL');
      await eventually(
        () => processesOf(home).some(({ pid, command }) => pid !== victim.pid && command.includes(text)),
        { timeoutMs: 30_000, what: `${text} running again` },
      );
    },
    stop: async () => {
      up.kill('SIGTERM');
      const code = await exited;
      // What the apps may do at their broker is all that they do.
      const refusals = readFileSync(join(home, 'logs/nats-server.log'), 'utf8').match(/^.*violation.*$/gim);
      rmSync(own, { recursive: true, force: true });
      if (refusals) throw new Error(`the broker has refused: ${refusals.join('\n')}`);
      return code;
    },
  };

  try {
    await eventually(
      async () => {
        if (up.exitCode !== null) throw new Error(`it has exited with ${up.exitCode}`);
        return (await fetch(`${url}/readyz`).catch(() => undefined))?.status === 200 && said.includes(url);
      },
      { timeoutMs: 60_000, what: 'the platform to be ready' },
    );
  } catch (error) {
    up.kill('SIGTERM');
    await exited;
    throw new Error(`${String(error)}\n${said}`, { cause: error });
  }
  return platform;
};
