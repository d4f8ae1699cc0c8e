import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionRef, PlanTask } from '#libs/contracts';
import type { ClientCommand } from '#libs/execution';
import { JetStreamLog, type Nats, connectNats, provision } from '#libs/jetstream';
import { type Execution, load, submit } from '#libs/ledger';
import { randomUUID } from 'node:crypto';
import { type NatsServer, eventually, startNatsServer } from '#libs/testing';
import { freePort } from '../../apps/cli/src/up/ports.js';

/** A process of the build. */
export type App = {
  readonly pid: number;
  /** Where it serves HTTP, if it does. */
  readonly url: string;
  /** The signal it ended by, once it has. */
  readonly ended: Promise<NodeJS.Signals | null>;
  kill(signal?: NodeJS.Signals): Promise<void>;
};

export type AppName = 'gateway' | 'executor' | 'projector';

/**
 * Statements that make an app kill itself with SIGKILL the moment after the log has stored a commit that contains the text, before anybody
 * hears of it.
 */
export const dyingBehind = (text: string): string => `
  const { JetStreamLog } = await import(process.cwd() + '/dist/libs/jetstream/src/index.js');
  const append = JetStreamLog.prototype.append;
  JetStreamLog.prototype.append = async function (wanted) {
    const result = await append.call(this, wanted);
    if (result.stored && Buffer.from(wanted.body).includes(${JSON.stringify(text)})) process.kill(process.pid, 'SIGKILL');
    return result;
  };`;

/** A broker, and whatever apps a test starts on it. */
export class Cluster {
  private readonly folder = mkdtempSync(join(tmpdir(), 'runledger-faults-'));
  private readonly children = new Set<ChildProcess>();

  private constructor(
    readonly server: NatsServer,
    readonly nats: Nats,
    readonly log: JetStreamLog,
  ) {}

  static async start(): Promise<Cluster> {
    const server = await startNatsServer();
    const nats = await connectNats({ url: server.url, name: 'test', wait: true });
    await provision(nats, { logMaxBytes: 256 * 1024 * 1024 });
    return new Cluster(server, nats, new JetStreamLog(nats));
  }

  /** Resolves when it is ready. `sabotage`: statements of a module that runs before it. */
  async app(name: AppName, { sabotage = '', home = name, env = {} }: { readonly sabotage?: string; readonly home?: string; readonly env?: Readonly<Record<string, string>> } = {}): Promise<App> {
    const port = await freePort();
    const program = `${sabotage}\nawait import(process.cwd() + '/dist/apps/${name}/src/main.js');`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      env: { ...process.env, NATS_URL: this.server.url, RUNLEDGER_HOME: join(this.folder, home), RUNLEDGER_PORT: String(port), RUNLEDGER_SUPERVISED: '1', RUNLEDGER_LOG_LEVEL: 'error', ...env },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.children.add(child);
    const ended = once(child, 'exit').then(([, signal]) => signal as NodeJS.Signals | null);
    await Promise.race([once(child, 'message'), ended.then((how) => Promise.reject(new Error(`${name} ended before it was ready: ${how}`)))]);
    const kill = async (signal: NodeJS.Signals = 'SIGKILL'): Promise<void> => {
      child.kill(signal);
      await ended;
    };
    return { pid: child.pid!, url: `http://127.0.0.1:${port}`, ended, kill };
  }

  async request(tasks: readonly PlanTask[]): Promise<ExecutionRef> {
    const ref = { tenant: 'default', execution: randomUUID() };
    const command: ClientCommand = { type: 'RequestExecution', plan: { name: 'fault', tasks }, name: 'fault', labels: {}, input: {}, dialect: 'canonical' };
    await submit(this.log, ref, command, { now: Date.now(), cause: randomUUID(), actor: 'test', correlationId: 'test' });
    return ref;
  }

  async until(ref: ExecutionRef, what: string, holds: (execution: Execution) => boolean, timeoutMs = 20_000): Promise<Execution> {
    const check = async (): Promise<Execution | false> => {
      const execution = await load(this.log, ref);
      return holds(execution) && execution;
    };
    return await eventually(check, { timeoutMs, what });
  }

  /** `<type> <task>/<attempt>` of every event that names an attempt, in order. */
  async attempts(ref: ExecutionRef): Promise<readonly string[]> {
    const history = await this.log.history(ref);
    return history.flatMap(({ commit }) =>
      commit.events.flatMap(({ type, data }) => ('taskId' in data && 'attempt' in data && type.startsWith('Task') ? [`${type} ${data.taskId}/${data.attempt}`] : [])),
    );
  }

  async stop(): Promise<void> {
    for (const child of this.children) child.kill('SIGKILL');
    await this.nats.close();
    await this.server.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export const command = (id: string, script: string, more: Partial<PlanTask> = {}): PlanTask => ({ id, runner: 'command', input: { shell: 'sh', script }, dependsOn: [], ...more });
