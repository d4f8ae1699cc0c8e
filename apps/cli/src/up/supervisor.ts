import { join } from 'node:path';
import type { Environment } from '#libs/platform';
import type { Home } from './home.js';
import { worthShowing, ProcessLog } from './process-log.js';
import type { ProcessRef } from './process-ref.js';
import type { ProcessSpec, ReadyDetails } from './process-spec.js';
import { SupervisedProcess } from './supervised-process.js';
import { WatchdogProcess } from './watchdog-process.js';

const READY_MS = 60_000;
/** Every app reports what all of them see; what follows a report within this time is about the same broker. */
const SAME_REPORT_MS = 5_000;

type SupervisorOptions = {
  readonly home: Home;
  readonly env: Environment;
  /** Undefined when the broker is somebody else's. */
  readonly broker: ProcessSpec | undefined;
  /** Started in this order, without waiting for one before starting the next. */
  readonly apps: readonly ProcessSpec[];
  /** Done once the broker is ready, before any app is started. */
  readonly prepare: () => Promise<void>;
  readonly verbose: boolean;
  readonly readyMs?: number;
  readonly say: (line: string) => void;
};

/** Keeps a broker and the apps on it running; nothing it started outlives it. */
export class Supervisor {
  private readonly broker: SupervisedProcess | undefined;
  private readonly apps: readonly SupervisedProcess[];
  private readonly logs: ProcessLog[] = [];
  private readonly running = new Map<string, ProcessRef>();
  private readonly watchdog = new WatchdogProcess();
  private stuckAt = -Infinity;

  constructor(private readonly options: SupervisorOptions) {
    this.broker = options.broker && this.supervised(options.broker);
    this.apps = options.apps.map((spec) => this.supervised(spec));
  }

  /** Resolves when all are ready, with what each app said by its name. Rejects with UpError NOT_READY or MISCONFIGURED, or with what `prepare` did. */
  async start(): Promise<ReadonlyMap<string, ReadyDetails>> {
    this.watchdog.start();
    this.broker?.start();
    if (this.broker !== undefined) await this.whenReady(this.broker);
    await this.options.prepare();
    for (const app of this.apps) app.start();
    const ready = this.apps.map(async (app) => [app.spec.name, await this.whenReady(app)] as const);
    return new Map(await Promise.all(ready));
  }

  /** Apps first, then the broker they need to end in order. Resolves when all are gone. */
  async stop(): Promise<void> {
    await Promise.all(this.apps.map((app) => app.stop()));
    await this.broker?.stop();
    await this.watchdog.stop();
    for (const log of this.logs) log.close();
  }

  /** Makes a stop() that is under way come to its end at once. */
  kill(): void {
    for (const each of [...this.apps, this.broker]) each?.kill();
  }

  private supervised(spec: ProcessSpec): SupervisedProcess {
    const { home, env, say, verbose } = this.options;
    const log = new ProcessLog(join(home.logs, `${spec.name}.log`), (line, stream) => {
      const shown = verbose ? line : worthShowing(line, stream);
      if (shown !== undefined) say(`${spec.name}: ${shown}`);
    });
    this.logs.push(log);
    return new SupervisedProcess(spec, {
      env,
      log,
      say,
      onChange: (ref) => this.changed(spec, ref),
      onMessage: ({ type }) => {
        if (type === 'nats-write-stuck') this.brokerStuck(spec.name);
      },
    });
  }

  private changed(spec: ProcessSpec, ref: ProcessRef | undefined): void {
    if (ref === undefined) this.running.delete(spec.name);
    else this.running.set(spec.name, ref);
    this.options.home.note(spec.name, ref);
    const broker = this.options.broker === undefined ? [] : [this.options.broker];
    const { apps } = this.options;
    const refs = (specs: readonly ProcessSpec[]): ProcessRef[] =>
      specs.flatMap(({ name }) => this.running.get(name) ?? []);
    const stopMs = Math.max(...[...apps, ...broker].map((each) => each.stopMs));
    this.watchdog.watch({ apps: refs(apps), broker: refs(broker), stopMs });
  }

  /** A stream that has met a full disk refuses writes until its server is started again, room or not. */
  private brokerStuck(reportedBy: string): void {
    if (this.broker === undefined) {
      this.options.say(`${reportedBy} reports that the NATS server can't write any more: free its disk and restart it`);
    } else if (Date.now() - this.stuckAt >= SAME_REPORT_MS) {
      this.stuckAt = Date.now();
      this.broker.restart(`can't write any more (${reportedBy} reports)`);
    }
  }

  private async whenReady(each: SupervisedProcess): Promise<ReadyDetails> {
    const { readyMs = READY_MS } = this.options;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(each.notReady(`is not ready after ${readyMs / 1_000} s`)), readyMs);
    });
    try {
      return await Promise.race([each.ready, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}
