import { isTombstone } from '#libs/contracts';
import type { Nats } from '#libs/jetstream';
import { JetStreamLog } from '#libs/jetstream';
import { LogError, type StoredCommit } from '#libs/ledger';
import { Lineage } from '../simulation/lineage.js';
import { Model } from '../simulation/model.js';

/** All that was ever seen in the log, also of what is deleted by now, and what the model makes of it. */
export type History = {
  readonly commits: readonly StoredCommit[];
  readonly models: ReadonlyMap<string, Model>;
  /** The tasks of what is deleted, as they were before. */
  readonly buried: ReadonlyMap<string, Model['tasks']>;
  /** Deleted executions of which something was purged before it was seen: nothing but their deletion can be judged. */
  readonly torn: ReadonlySet<string>;
  readonly complaints: readonly string[];
};

const ANSWERED_WITHIN_MS = 60_000;
const LOOK_EVERY_MS = 100;

/** Follows the log while it is written, as what is deleted can't be read later. */
export class Following implements History {
  readonly commits: StoredCommit[] = [];
  readonly models = new Map<string, Model>();
  readonly buried = new Map<string, Model['tasks']>();
  readonly torn = new Set<string>();
  private readonly found: string[] = [];
  private readonly versions = new Map<string, number>();
  private readonly lineage = new Lineage(this.models);
  private readonly log: JetStreamLog;
  private after = 0;
  private reading: Promise<unknown> = Promise.resolve();
  private isOver = false;

  constructor(nats: Nats) {
    this.log = new JetStreamLog(nats);
  }

  /** Without those that only show that something was not seen. */
  get complaints(): readonly string[] {
    return this.found.filter((complaint) => ![...this.torn].some((name) => complaint.includes(name)));
  }

  /** Looks again and again until it is stopped; what it can't read while the broker is away it reads later. */
  async follow(): Promise<void> {
    while (!this.isOver) {
      await this.readOn();
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
  }

  stop(): void {
    this.isOver = true;
  }

  /** Resolves once all is read that the log had when it was called. A broker that has just come back on a busy machine may take its time. */
  readOn(): Promise<void> {
    const turn = this.reading.then(() => patiently(() => this.read()));
    this.reading = turn.catch(() => undefined);
    return turn;
  }

  /** Commits that the log still has. */
  async held(): Promise<readonly StoredCommit[]> {
    return await patiently(async () => {
      const { lastSequence } = await this.log.info();
      const commits: StoredCommit[] = [];
      for await (const page of this.log.scan(lastSequence)) for (const stored of page) if (!('unreadable' in stored)) commits.push(stored);
      return commits;
    });
  }

  private async read(): Promise<void> {
    const { lastSequence } = await this.log.info();
    for await (const page of this.log.scan(lastSequence, undefined, this.after)) {
      for (const stored of page) {
        this.after = stored.sequence;
        if ('unreadable' in stored) this.found.push(`message ${stored.sequence} of the log is no commit: ${stored.unreadable}`);
        else this.take(stored);
      }
    }
    this.after = Math.max(this.after, lastSequence);
  }

  private take(stored: StoredCommit): void {
    const { ref, commit } = stored;
    const { execution } = ref;
    this.commits.push(stored);
    const model = this.models.get(execution) ?? new Model();
    this.models.set(execution, model);
    if (commit.version !== (this.versions.get(execution) ?? 0) + 1) this.torn.add(execution);
    this.versions.set(execution, commit.version);
    if (isTombstone(commit)) this.buried.set(execution, new Map(model.tasks));
    for (const event of commit.events) {
      if (this.torn.has(execution)) model.status = event.type === 'ExecutionDeleted' ? event.data.status : model.status;
      model.take(event);
      model.complaints.push(...this.lineage.take(execution, event));
    }
    this.found.push(...model.complaints.splice(0).map((complaint) => `${execution} v${commit.version}: ${complaint}`));
  }
}

const patiently = async <T>(read: () => Promise<T>): Promise<T> => {
  for (const until = Date.now() + ANSWERED_WITHIN_MS; ; ) {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof LogError && error.retryable) || Date.now() > until) throw error;
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
  }
};
