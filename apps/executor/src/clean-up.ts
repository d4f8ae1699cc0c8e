import { type ExecutionRef, isTombstone } from '#libs/contracts';
import type { LogPurge, LogStore } from '#libs/ledger';
import type { CancelTimer, Clock } from './clock.js';

/** Where something lies that goes with its execution. */
export type Belongings = {
  /** Removes it; again changes nothing. `deletedAt`: log sequence of the deletion. False: its time has not come, ask again. What it throws is reported, and it is asked again. */
  purge(ref: ExecutionRef, deletedAt: number): Promise<boolean>;
};

type Deleted = { readonly ref: ExecutionRef; readonly deletedAt: number };

type Options = {
  readonly log: Pick<LogStore, 'history'> & LogPurge;
  /** In this order. */
  readonly belongings: readonly Belongings[];
  readonly clock: Clock;
  readonly warn: (error: unknown) => void;
};

const AT_ONCE = 8;
const RETRY_MS = 1_000;

/**
 * Removes what deleted executions leave behind, again and again until nothing is left. Their commits go last: while the log holds any
 * before the tombstone there is something to do, whoever has died over it.
 */
export class CleanUp {
  private readonly waiting = new Map<string, Deleted>();
  private running: Promise<void> | undefined;
  private stopped = false;
  private cancelRetry: CancelTimer = () => undefined;

  constructor(private readonly options: Options) {}

  add(ref: ExecutionRef, deletedAt: number): void {
    const key = keyOf(ref);
    if (this.waiting.has(key)) return;
    this.waiting.set(key, { ref, deletedAt });
    this.drive();
  }

  /** Those of which something may be left, deleted at this log sequence or before. */
  upTo(sequence: number): readonly ExecutionRef[] {
    return [...this.waiting.values()].flatMap(({ ref, deletedAt }) => (deletedAt <= sequence ? [ref] : []));
  }

  get size(): number {
    return this.waiting.size;
  }

  /** Leaves others to others. */
  keepOnly(isOwn: (ref: ExecutionRef) => boolean): void {
    for (const [key, { ref }] of this.waiting) if (!isOwn(ref)) this.waiting.delete(key);
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.cancelRetry();
    await this.running;
  }

  private drive(): void {
    if (this.stopped || this.running) return;
    this.cancelRetry();
    this.running = this.run().finally(() => {
      this.running = undefined;
      if (this.waiting.size > 0 && !this.stopped) this.cancelRetry = this.options.clock.after(RETRY_MS, () => this.drive());
    });
  }

  /** Each that is there, or comes meanwhile, once: a map's iterator comes to what is added behind it. */
  private async run(): Promise<void> {
    const all = this.waiting.values();
    const worker = async (): Promise<void> => {
      for (let next = all.next(); !next.done && !this.stopped; next = all.next()) await this.clean(next.value);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  }

  private async clean(deleted: Deleted): Promise<void> {
    const { ref, deletedAt } = deleted;
    try {
      if (!(await this.isClean(ref)) && !(await this.purge(ref, deletedAt))) return;
      if (this.waiting.get(keyOf(ref)) === deleted) this.waiting.delete(keyOf(ref));
    } catch (error) {
      this.options.warn(error);
    }
  }

  private async isClean(ref: ExecutionRef): Promise<boolean> {
    const [first] = await this.options.log.history(ref, { limit: 1 });
    return first !== undefined && isTombstone(first.commit);
  }

  private async purge(ref: ExecutionRef, deletedAt: number): Promise<boolean> {
    for (const each of this.options.belongings) if (!(await each.purge(ref, deletedAt))) return false;
    await this.options.log.purge(ref, deletedAt);
    return true;
  }
}

const keyOf = ({ tenant, execution }: ExecutionRef): string => `${tenant}.${execution}`;
