import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Nats, type NatsUser, authorization, connectNats, provision, seedFile, serverUsers, userKeys } from '#libs/jetstream';
import { readNatsSettings } from '#libs/platform';
import { findNatsServer, thisMachine } from '../../apps/cli/src/up/nats-binary.js';
import { natsInfo, natsProcess } from '../../apps/cli/src/up/nats-process.js';
import { freePort } from '../../apps/cli/src/up/ports.js';
import { Victim, type VictimKind } from './victim.js';

const app = (name: string): string => fileURLToPath(new URL(`../../dist/apps/${name}/src/main.js`, import.meta.url));

/** Waits for its input to end, which it does with the process that started it, however that ends; then nothing of the run is left. */
const JANITOR = 'cat > /dev/null; for p in /proc/[0-9]*; do grep -qs -- "$0" "$p/environ" && kill -KILL "${p#/proc/}"; done; rm -rf -- "$0"';

/** A sandbox takes its processes along by itself; without one the executor's reaper has to. */
const UNSANDBOXED = { RUNLEDGER_SANDBOX: 'off' };

export type Cast = { readonly gateways: number; readonly executors: number };

/** What happened to the processes, beyond what was done to them. */
export type Told = {
  readonly endedByItself: (victim: string, how: string, startingSince: number | undefined) => void;
  readonly executorReady: (victim: string, incarnation: string) => void;
};

/** All of Runledger as separate processes on one machine, in a temporary folder. */
export class Platform {
  readonly folder = mkdtempSync(join(tmpdir(), 'runledger-chaos-'));
  readonly logs = join(this.folder, 'logs');
  /** The only directory that commands may work in. */
  readonly effects = join(this.folder, 'effects');
  readonly victims: Victim[] = [];
  readonly urls: string[] = [];
  natsServer = '';
  private readonly users = join(this.folder, 'nats', 'users');
  private readonly janitor: ChildProcess;
  private natsUrl = '';

  constructor(private readonly told: Told) {
    for (const name of ['logs', 'effects', 'nats']) mkdirSync(join(this.folder, name));
    this.janitor = spawn('/bin/sh', ['-c', JANITOR, this.folder], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
    this.janitor.unref();
  }

  /** Resolves once all are ready. The broker is the one that `runledger up` would start, configured as it would be. */
  async start({ gateways, executors }: Cast): Promise<void> {
    const binary = await findNatsServer(thisMachine(process.env['PATH']));
    this.natsServer = binary.version;
    const port = await freePort();
    this.natsUrl = `nats://127.0.0.1:${port}`;
    const keys = userKeys(this.users, serverUsers());
    const nats = this.add('nats-server', natsProcess(binary, join(this.folder, 'nats'), port, authorization(keys)));
    nats.start();
    await until(async () => (await natsInfo('127.0.0.1', port)).includes('"jetstream":true'), 'nats-server');
    const provisioner = await this.connect('provisioner');
    await provision(provisioner, { auditDays: 90, logMaxBytes: 0, tenants: ['default'] });
    await provisioner.close();
    for (let i = 1; i <= gateways; i++) this.urls.push(await this.addGateway(i));
    for (let i = 1; i <= executors; i++) this.addApp('executor', `executor-${i}`, i === 1 ? UNSANDBOXED : {});
    this.addApp('projector', 'projector');
    for (const victim of this.victims) victim.start();
    for (const url of this.urls) await until(async () => (await fetch(`${url}/readyz`)).ok, url);
  }

  /** By which a client of the broker gets in as one of its users. */
  environment(user: NatsUser): Readonly<Record<string, string>> {
    return { NATS_URL: this.natsUrl, RUNLEDGER_NATS_NKEY_SEED_FILE: seedFile(this.users, user) };
  }

  async connect(user: NatsUser): Promise<Nats> {
    return await connectNats({ ...readNatsSettings(this.environment(user)), user, name: 'chaos', wait: true });
  }

  /** Processes of the run that are none of the victims: reapers, and commands of executors. */
  others(): readonly { readonly pid: number; readonly command: string }[] {
    const own = new Set(this.victims.map(({ pid }) => pid));
    return readdirSync('/proc').flatMap((name) => {
      const pid = Number(name);
      if (!Number.isInteger(pid) || own.has(pid) || pid === this.janitor.pid) return [];
      const command = readSafely(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim();
      const isOurs = command.includes(this.folder) || readSafely(`/proc/${pid}/environ`).includes(this.folder);
      return isOurs && command !== '' ? [{ pid, command }] : [];
    });
  }

  logOf(name: string): string {
    return readSafely(join(this.logs, `${name}.log`));
  }

  /** Nothing is left but the folder, and that only where it is to be kept. */
  async stop(keepsFolder: boolean): Promise<void> {
    const [broker, ...apps] = this.victims;
    await Promise.all(apps.map((victim) => victim.end('SIGKILL')));
    await broker?.end('SIGKILL');
    for (const { pid } of this.others()) process.kill(pid, 'SIGKILL');
    this.janitor.kill('SIGKILL');
    if (!keepsFolder) rmSync(this.folder, { recursive: true, force: true });
  }

  private async addGateway(number: number): Promise<string> {
    const port = await freePort();
    this.addApp('gateway', `gateway-${number}`, { RUNLEDGER_PORT: String(port) });
    return `http://127.0.0.1:${port}`;
  }

  private addApp(kind: 'gateway' | 'executor' | 'projector', name: string, env: Readonly<Record<string, string>> = {}): void {
    const home = join(this.folder, 'homes', name);
    const fixed = { RUNLEDGER_HOME: home, RUNLEDGER_NODE: name, RUNLEDGER_SUPERVISED: '1', RUNLEDGER_HOST: '127.0.0.1' };
    const commands = { RUNLEDGER_ROOTS: this.effects, RUNLEDGER_HTTP_ALLOW: '127.0.0.1', RUNLEDGER_GRACE_MS: '1000' };
    mkdirSync(home, { recursive: true });
    this.add(kind, {
      name,
      command: process.execPath,
      args: ['--enable-source-maps', app(kind)],
      env: { ...this.environment(kind), ...fixed, ...commands, ...env },
      readiness: 'ipc',
      stopMs: 15_000,
    });
  }

  private add(kind: VictimKind, spec: Victim['spec']): Victim {
    const inherited = Object.entries(process.env).filter(([name]) => !/^(RUNLEDGER_|NATS_)/.test(name));
    const victim: Victim = new Victim(kind, spec, {
      env: { ...Object.fromEntries(inherited), RUNLEDGER_CHAOS: this.folder },
      logFile: join(this.logs, `${spec.name}.log`),
      endedByItself: (how, startingSince) => this.told.endedByItself(spec.name, how, startingSince),
      saidReady: ({ incarnation }) => {
        if (typeof incarnation === 'string') this.told.executorReady(spec.name, incarnation);
      },
    });
    this.victims.push(victim);
    return victim;
  }
}

const readSafely = (file: string): string => {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
};

const until = async (check: () => Promise<boolean>, what: string): Promise<void> => {
  const deadline = Date.now() + 30_000;
  while (!(await check().catch(() => false))) {
    if (Date.now() > deadline) throw new Error(`${what} was not ready within 30 s`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};
