import type { ExecutionRef } from '#libs/contracts';
import type { CancelTimer, Clock } from './clock.js';

type BacklogOptions = {
  /** Resolves with false where its time has not come. Again changes nothing. `sequence`: as handed in. What it throws is reported. */
  readonly work: (ref: ExecutionRef, sequence: number, signal: AbortSignal) => Promise<boolean>;
  readonly atOnce: number;
  readonly retryMs: number;
  readonly clock: Clock;
  readonly warn: (error: unknown) => void;
};

type Item = { readonly ref: ExecutionRef; readonly sequence: number };

/** What is left to do for executions that have ended, done again and again until it is. */
export class Backlog {
  private readonly waiting = new Map<string, Item>();
  private readonly stopping = new AbortController();
  private running: Promise<void> | undefined;
  private cancelRetry: CancelTimer = () => undefined;

  constructor(private readonly options: BacklogOptions) {}

  /** `sequence`: position in the log of what there is to do for. */
  add(ref: ExecutionRef, sequence: number): void {
    const key = keyOf(ref);
    if (this.waiting.has(key)) return;
    this.waiting.set(key, { ref, sequence });
    this.drive();
  }

  get all(): readonly ExecutionRef[] {
    return [...this.waiting.values()].map(({ ref }) => ref);
  }

  get size(): number {
    return this.waiting.size;
  }

  /** Leaves others to others. */
  keepOnly(isOwn: (ref: ExecutionRef) => boolean): void {
    for (const [key, { ref }] of this.waiting) if (!isOwn(ref)) this.waiting.delete(key);
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    this.cancelRetry();
    await this.running;
  }

  private get isStopped(): boolean {
    return this.stopping.signal.aborted;
  }

  private drive(): void {
    if (this.isStopped || this.running) return;
    this.cancelRetry();
    this.running = this.run().finally(() => {
      this.running = undefined;
      if (this.waiting.size > 0 && !this.isStopped) this.cancelRetry = this.options.clock.after(this.options.retryMs, () => this.drive());
    });
  }

  /** Each that is there, or comes meanwhile, once: a map's iterator comes to what is added behind it. */
  private async run(): Promise<void> {
    const all = this.waiting.values();
    const worker = async (): Promise<void> => {
      for (let next = all.next(); !next.done && !this.isStopped; next = all.next()) await this.attempt(next.value);
    };
    await Promise.all(Array.from({ length: this.options.atOnce }, worker));
  }

  private async attempt(item: Item): Promise<void> {
    try {
      if (!(await this.options.work(item.ref, item.sequence, this.stopping.signal))) return;
      if (this.waiting.get(keyOf(item.ref)) === item) this.waiting.delete(keyOf(item.ref));
    } catch (error) {
      if (!this.isStopped) this.options.warn(error);
    }
  }
}

const keyOf = ({ tenant, execution }: ExecutionRef): string => `${tenant}.${execution}`;
