import type { Plan } from '#libs/contracts';
import type { TenantPolicies } from '#libs/platform';
import type { UsageAnswer } from '#libs/projections';
import { Problem } from './problem.js';

/** A usage is asked for anew after this time, milliseconds. */
const FRESH_MS = 500;
/** Nobody waits longer than this for one; then the last one counts, if it is not older than OLD_MS. */
const WITHIN_MS = 250;
const OLD_MS = 10_000;
/** What was accepted is counted by the projection within this time, or nobody counts it. */
const COUNTED_WITHIN_MS = 60_000;
const TENANTS_MAX = 1_000;

type Counts = Omit<UsageAnswer, 'asOfSeq'>;
type Taken = { readonly counts: Counts; readonly at: number; sequence: number | undefined };

/** Room that a request has taken. One of the two is called, once it is known what became of it, or neither where that stays unknown. */
export type Reservation = {
  /** `sequence` of the commit in the log. */
  readonly accepted: (sequence: number) => void;
  readonly release: () => void;
};

const free: Reservation = { accepted: () => undefined, release: () => undefined };

/** How much of its limits one tenant uses: what the projection knows, and what was accepted here since. */
class TenantUsage {
  private known: UsageAnswer | undefined;
  private knownAt = -Infinity;
  private askedAt = -Infinity;
  private asking: Promise<void> | undefined;
  private readonly taken = new Set<Taken>();

  constructor(
    private readonly ask: () => Promise<UsageAnswer>,
    private readonly now: () => number,
  ) {}

  /** Resolves once the counts are as fresh as they get. */
  async look(): Promise<void> {
    if (this.now() - this.askedAt >= FRESH_MS) this.asking ??= this.refresh();
    if (this.asking) await Promise.race([this.asking, late()]);
  }

  /** Undefined where it is not known. */
  counts(): Counts | undefined {
    if (!this.known || this.now() - this.knownAt >= OLD_MS) return undefined;
    return [...this.taken].reduce(({ activeExecutions, queuedTasks, storageBytes }, { counts }) => ({
      activeExecutions: activeExecutions + counts.activeExecutions,
      queuedTasks: queuedTasks + counts.queuedTasks,
      storageBytes: storageBytes + counts.storageBytes,
    }), this.known as Counts);
  }

  take(counts: Counts): Reservation {
    const taken: Taken = { counts, at: this.now(), sequence: undefined };
    this.taken.add(taken);
    return { accepted: (sequence) => void (taken.sequence = sequence), release: () => void this.taken.delete(taken) };
  }

  private async refresh(): Promise<void> {
    try {
      this.known = await this.ask();
      this.knownAt = this.now();
    } catch {
      // Limits are no reason to refuse what would be accepted: it is asked again in a moment.
    }
    this.askedAt = this.now();
    this.asking = undefined;
    for (const taken of this.taken) {
      const isCounted = taken.sequence !== undefined && taken.sequence <= (this.known?.asOfSeq ?? 0);
      if (isCounted || this.now() - taken.at > COUNTED_WITHIN_MS) this.taken.delete(taken);
    }
  }
}

const late = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, WITHIN_MS).unref());

/** What is refused for its own size, whatever else there is. */
const tooLarge = (what: string, has: number, limit: number): Problem =>
  new Problem(413, 'PLAN_TOO_LARGE', `the plan has ${has} ${what}, and your tenant may have ${limit}; split it, or ask whoever runs this server for more`);

const words: Readonly<Record<keyof Counts | 'planBytes', { readonly what: string; readonly retryAfterSeconds: number }>> = {
  activeExecutions: { what: 'executions that have not ended', retryAfterSeconds: 5 },
  queuedTasks: { what: 'tasks that have not started', retryAfterSeconds: 5 },
  storageBytes: { what: 'bytes in the log', retryAfterSeconds: 300 },
  planBytes: { what: 'bytes of a plan', retryAfterSeconds: 0 },
};

/**
 * What tenants may have at once. Counts are the stats projection's, at most half a second old, with what this gateway has accepted
 * since: what other gateways accept within that moment comes on top. While the projector can't be asked nobody is refused.
 */
export class TenantLimits {
  private readonly usages = new Map<string, TenantUsage>();

  constructor(
    private readonly policies: Pick<TenantPolicies, 'of' | 'hasLimits'>,
    private readonly ask: (tenant: string) => Promise<UsageAnswer>,
    private readonly now: () => number = Date.now,
  ) {}

  /** Room for an execution of the plan. Throws Problem PLAN_TOO_LARGE, TENANT_LIMIT. */
  async reserve(tenant: string, plan: Plan): Promise<Reservation> {
    if (!this.policies.hasLimits) return free;
    const { activeExecutions, queuedTasks, storageBytes, planBytes } = this.policies.of(tenant).limits;
    const limits = Object.entries({ activeExecutions, queuedTasks, storageBytes }).filter((entry): entry is [keyof Counts, number] => entry[1] !== undefined);
    if (limits.length === 0 && planBytes === undefined) return free;
    const bytes = Buffer.byteLength(JSON.stringify(plan));
    if (planBytes !== undefined && bytes > planBytes) throw tooLarge('bytes', bytes, planBytes);
    if (queuedTasks !== undefined && plan.tasks.length > queuedTasks) throw tooLarge('tasks', plan.tasks.length, queuedTasks);
    if (limits.length === 0) return free;
    const usage = this.usageOf(tenant);
    await usage.look();
    // From here on without a pause: nobody else takes what is left.
    const used = usage.counts();
    const wanted: Counts = { activeExecutions: 1, queuedTasks: plan.tasks.length, storageBytes: bytes };
    for (const [name, limit] of used ? limits : []) {
      const [has, { what, retryAfterSeconds }] = [used?.[name] ?? 0, words[name]];
      if (has + wanted[name] <= limit) continue;
      throw new Problem(429, 'TENANT_LIMIT', `your tenant has ${has} ${what}, and may have ${limit}; let some end, or ask whoever runs this server for more`, { retryAfterSeconds });
    }
    return usage.take(wanted);
  }

  private usageOf(tenant: string): TenantUsage {
    const known = this.usages.get(tenant);
    if (known) return known;
    const [oldest] = this.usages.keys();
    if (this.usages.size >= TENANTS_MAX && oldest !== undefined) this.usages.delete(oldest);
    const usage = new TenantUsage(() => this.ask(tenant), this.now);
    this.usages.set(tenant, usage);
    return usage;
  }
}
