import type { Nats } from '#libs/jetstream';
import { JetStreamLog } from '#libs/jetstream';
import { LogError, type StoredCommit } from '#libs/ledger';
import { Lineage } from '../simulation/lineage.js';
import { Model } from '../simulation/model.js';

/** The log as it is, and what the model makes of it. */
export type History = {
  readonly commits: readonly StoredCommit[];
  readonly models: ReadonlyMap<string, Model>;
  readonly complaints: readonly string[];
};

const ANSWERED_WITHIN_MS = 60_000;

/** Reads all of it, anew each time. A broker that has just come back on a busy machine may take its time. */
export const readHistory = async (nats: Nats): Promise<History> => {
  for (const until = Date.now() + ANSWERED_WITHIN_MS; ; ) {
    try {
      return await read(nats);
    } catch (error) {
      if (!(error instanceof LogError && error.retryable) || Date.now() > until) throw error;
    }
  }
};

const read = async (nats: Nats): Promise<History> => {
  const log = new JetStreamLog(nats);
  const { lastSequence } = await log.info();
  const commits: StoredCommit[] = [];
  const models = new Map<string, Model>();
  const lineage = new Lineage(models);
  const complaints: string[] = [];
  for await (const page of log.scan(lastSequence)) {
    for (const stored of page) {
      if ('unreadable' in stored) complaints.push(`message ${stored.sequence} of the log is no commit: ${stored.unreadable}`);
      else commits.push(stored);
    }
  }
  for (const { ref, commit } of commits) {
    const model = models.get(ref.execution) ?? new Model();
    models.set(ref.execution, model);
    for (const event of commit.events) {
      model.take(event);
      for (const complaint of lineage.take(ref.execution, event)) complaints.push(`${ref.execution} v${commit.version}: ${complaint}`);
    }
    complaints.push(...model.complaints.splice(0).map((complaint) => `${ref.execution} v${commit.version}: ${complaint}`));
  }
  return { commits, models, complaints };
};
