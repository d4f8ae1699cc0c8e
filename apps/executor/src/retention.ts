import { randomUUID } from 'node:crypto';
import type { ExecutionRef } from '#libs/contracts';
import { LogError, type LogStore, submit } from '#libs/ledger';
import type { Logger, TenantPolicy } from '#libs/platform';
import type { ExpiredAnswer, ExpiredQuery } from '#libs/projections';
import type { CancelTimer, Clock } from './clock.js';

/** How long executions that have ended are kept, and how many; what is undefined does not count. */
export type RetentionPolicy = TenantPolicy['retention'];

/** What the status read model is asked. Both answer undefined where it can't be asked. */
export type EndedExecutions = {
  /** Tenants that have executions which have ended. */
  tenants(): Promise<readonly string[] | undefined>;
  expired(query: ExpiredQuery): Promise<ExpiredAnswer | undefined>;
};

type Options = {
  readonly log: LogStore;
  readonly ended: EndedExecutions;
  readonly policyOf: (tenant: string) => RetentionPolicy;
  /** One executor at a time sees to it; two for a moment only do the same twice. */
  readonly isDue: () => boolean;
  readonly clock: Clock;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
};

const EVERY_MS = 60_000;
const DAY_MS = 24 * 3_600_000;
const PAGE = 500;
/** Deletions at once: what is done by people goes first. */
const AT_ONCE = 4;

const isSet = ({ days, executions }: RetentionPolicy): boolean => days !== undefined || executions !== undefined;

const reasonOf = ({ days, executions }: RetentionPolicy): string => {
  const rules = [days === undefined ? undefined : `${days} days`, executions === undefined ? undefined : `${executions} executions`];
  return `kept are ${rules.filter((rule) => rule !== undefined).join(' and ')}`;
};

/**
 * Deletes executions that ended long ago, or are more than a tenant keeps, the oldest first, as a client would: with the event that the
 * clean-up goes by. What is due is asked for anew each time, so that nothing has to be remembered.
 */
export class Retention {
  private running: Promise<void> | undefined;
  private stopped = false;
  private cancel: CancelTimer = () => undefined;

  constructor(private readonly options: Options) {}

  start(): void {
    this.drive();
    this.cancel = this.options.clock.every(EVERY_MS, () => this.drive());
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.cancel();
    await this.running;
  }

  private drive(): void {
    if (this.running || !this.isWanted) return;
    this.running = this.run()
      .catch((error: unknown) => this.options.logger.warn({ err: error }, 'retention could not go on; trying again in a minute'))
      .finally(() => (this.running = undefined));
  }

  private get isWanted(): boolean {
    return !this.stopped && this.options.isDue();
  }

  private async run(): Promise<void> {
    const { ended, policyOf } = this.options;
    for (const tenant of (await ended.tenants()) ?? []) {
      const policy = policyOf(tenant);
      if (isSet(policy)) await this.keep(tenant, policy);
    }
  }

  private async keep(tenant: string, policy: RetentionPolicy): Promise<void> {
    const { ended, clock, logger } = this.options;
    let deleted = 0;
    for (let minSeq = 0; this.isWanted; ) {
      const endedBefore = policy.days === undefined ? {} : { endedBefore: new Date(clock.now() - policy.days * DAY_MS).toISOString() };
      const keep = policy.executions === undefined ? {} : { keep: policy.executions };
      // Behind the last deletion, so that no page names anything twice.
      const page = await ended.expired({ tenant, limit: PAGE, minSeq, ...endedBefore, ...keep });
      if (!page || page.executions.length === 0) break;
      const { count, sequence } = await this.delete(page.executions.map((execution) => ({ tenant, execution })), reasonOf(policy));
      if (count === 0) break;
      minSeq = sequence;
      deleted += count;
    }
    if (deleted > 0) logger.info({ tenant, deleted }, 'retention has deleted executions');
  }

  /** How many, and the log sequence of the last deletion. Throws LogError. */
  private async delete(refs: readonly ExecutionRef[], reason: string): Promise<{ readonly count: number; readonly sequence: number }> {
    const queue = [...refs];
    let [count, sequence] = [0, 0];
    const worker = async (): Promise<void> => {
      for (let ref = queue.shift(); ref && this.isWanted; ref = queue.shift()) {
        const stored = await this.deleteOne(ref, reason);
        if (stored === undefined) continue;
        count += 1;
        sequence = Math.max(sequence, stored);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    return { count, sequence };
  }

  /** The log sequence of its deletion; undefined where it can't be deleted, as its history is broken. */
  private async deleteOne(ref: ExecutionRef, reason: string): Promise<number | undefined> {
    const id = randomUUID();
    const context = { now: this.options.clock.now(), cause: id, actor: 'retention', correlationId: id };
    try {
      return (await submit(this.options.log, ref, { type: 'DeleteExecution', reason }, context)).execution.sequence;
    } catch (error) {
      if (error instanceof LogError) throw error;
      this.options.logger.warn({ ...ref, err: error }, 'retention passes over an execution');
      return undefined;
    }
  }
}
