import { type ExecutionRef, isToken } from '#libs/contracts';
import { isTerminal } from '#libs/execution';
import { type Execution, LogError, type StoredCommit, advance, load, unborn } from '#libs/ledger';
import { endIn } from './endings.js';
import { ExecutionDriver, type Surroundings } from './execution-driver.js';

const LOADS_AT_ONCE = 16;

/** The executions of this process that have not ended: each has one driver here at most, however it came to be known. */
export class ActiveExecutions {
  private readonly drivers = new Map<string, ExecutionDriver>();
  /** Executions that ended here whose last commits the log has not delivered yet: position of the last one. */
  private readonly ended = new Map<string, number>();
  /** Executions whose history can not be folded: checkpoints keep them for a version that can. */
  private readonly halted = new Map<string, ExecutionRef>();

  /** `overAlready` is told of every execution that is read and has ended, or is deleted. */
  constructor(
    private readonly around: Surroundings,
    private readonly overAlready: (execution: Execution) => void,
  ) {}

  get size(): number {
    return this.drivers.size;
  }

  get isBusy(): boolean {
    return [...this.drivers.values()].some((driver) => driver.isBusy);
  }

  all(): Iterable<ExecutionDriver> {
    return this.drivers.values();
  }

  get(ref: ExecutionRef): ExecutionDriver | undefined {
    return this.drivers.get(keyOf(ref));
  }

  /** For the next owner: those of which the first commit stands there or before, and those that nobody can drive yet. */
  begunBy(sequence: number): readonly ExecutionRef[] {
    const begun = [...this.drivers.values()].filter((driver) => driver.firstSequence <= sequence);
    return [...begun.map((driver) => driver.ref), ...this.halted.values()];
  }

  drive(): void {
    for (const driver of this.drivers.values()) driver.drive();
  }

  /** A commit of an execution that is not active here. */
  async meet(stored: StoredCommit): Promise<void> {
    if (stored.sequence <= (this.ended.get(keyOf(stored.ref)) ?? 0)) return;
    if (stored.commit.version === 1) {
      this.activate(stored);
    } else if (!endIn(stored)) {
      await this.load([stored.ref], stored.sequence);
    }
  }

  /** All up to there has been delivered. */
  passed(sequence: number): void {
    for (const [key, last] of this.ended) {
      if (last > sequence) break;
      this.ended.delete(key);
    }
  }

  /** Reads those that are not active here yet. Throws LogError LOG_UNAVAILABLE also where a read ends before `atLeast`. */
  async load(refs: readonly ExecutionRef[], atLeast = 0): Promise<void> {
    const queue = refs.filter((ref) => isToken(ref.tenant) && isToken(ref.execution) && !this.drivers.has(keyOf(ref)));
    const worker = async (): Promise<void> => {
      for (let ref = queue.pop(); ref; ref = queue.pop()) await this.loadOne(ref, atLeast);
    };
    // A read that goes on after another has failed would bring back what may have ended by the time it is answered.
    const reads = await Promise.allSettled(Array.from({ length: LOADS_AT_ONCE }, worker));
    for (const read of reads) if (read.status === 'rejected') throw read.reason;
  }

  /** False where another driver has taken its place. */
  forget(driver: ExecutionDriver): boolean {
    const key = keyOf(driver.ref);
    if (this.drivers.get(key) !== driver) return false;
    this.drivers.delete(key);
    return true;
  }

  /** What the log has yet to deliver of it is known. */
  hasEnded({ ref, sequence }: ExecutionDriver): void {
    this.ended.set(keyOf(ref), sequence);
  }

  /** Leaves others to others; those of which something runs here go once that has ended. */
  dropForeign(): void {
    for (const driver of this.drivers.values()) {
      if (!this.around.owns(driver.ref) && !driver.isBusy) driver.close();
    }
    for (const [key, ref] of this.halted) if (!this.around.owns(ref)) this.halted.delete(key);
  }

  /** Forgets all, and ends what runs of it: those may take their time to. */
  discard(): readonly ExecutionDriver[] {
    this.ended.clear();
    this.halted.clear();
    const drivers = [...this.drivers.values()];
    this.drivers.clear();
    for (const driver of drivers) driver.discard();
    return drivers;
  }

  private activate(stored: StoredCommit): void {
    try {
      this.add(new ExecutionDriver(advance(unborn(stored.ref), stored), stored.sequence, this.around));
    } catch (error) {
      this.halt(stored.ref, error);
    }
  }

  private add(driver: ExecutionDriver): void {
    this.drivers.set(keyOf(driver.ref), driver);
    if (this.around.mayDrive(driver.ref)) driver.drive();
  }

  private async loadOne(ref: ExecutionRef, atLeast: number): Promise<void> {
    try {
      const execution = await load(this.around.log, ref);
      if (execution.sequence < atLeast) {
        throw new LogError('LOG_UNAVAILABLE', `a read ended at ${execution.sequence}, before ${atLeast} that was delivered`);
      }
      this.halted.delete(keyOf(ref));
      if (isTerminal(execution.state.status)) return this.overAlready(execution);
      if (execution.version === 0) return;
      if (!this.drivers.has(keyOf(ref))) this.add(new ExecutionDriver(execution, 0, this.around));
    } catch (error) {
      if (error instanceof LogError) throw error;
      this.halt(ref, error);
    }
  }

  private halt(ref: ExecutionRef, error: unknown): void {
    this.halted.set(keyOf(ref), ref);
    this.around.alarm(ref, error);
  }
}

const keyOf = (ref: ExecutionRef): string => `${ref.tenant}.${ref.execution}`;
