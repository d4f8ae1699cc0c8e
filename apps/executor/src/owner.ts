import { type ExecutionRef, isToken, shardOf } from '#libs/contracts';
import { isTerminal, runningAttempts } from '#libs/execution';
import { BrokenHistory, type Follower, LogError, type LogStore, type Position, type StoredCommit, advance, load, unborn } from '#libs/ledger';
import type { Logger } from '#libs/platform';
import { type Checkpoint, type CheckpointStore, earliest, readCheckpoint, writeCheckpoint } from './checkpoint.js';
import { ExecutionDriver, type Surroundings } from './execution-driver.js';
import type { RunnerHost } from './runs.js';
import { shardsOf } from './shards.js';
import { Slots } from './slots.js';

/** The members of the cluster as this process sees them. */
export type MembersView = {
  live(): ReadonlyMap<string, unknown>;
  onChange(callback: () => void): void;
  /** Milliseconds a member has been absent while this process was connected all along; 0 while nobody can say. */
  goneFor(incarnation: string): number;
  /** Absence that counts as death, in milliseconds. */
  readonly ttlMs: number;
};

export type OwnerOptions = {
  readonly log: LogStore;
  readonly host: RunnerHost;
  readonly members: MembersView;
  readonly checkpoints: CheckpointStore;
  readonly incarnation: string;
  readonly concurrency: number;
  readonly logger: Logger;
  readonly clock?: () => number;
};

const CHECKPOINT_EVERY_MS = 5_000;
const WATCH_EVERY_MS = 1_000;
const LOADS_AT_ONCE = 16;

/** Follows the shards that fall to this process and drives their active executions. */
export class Owner {
  private readonly drivers = new Map<string, ExecutionDriver>();
  /** Executions that ended here whose last commits the log has not delivered yet: position of the last one. */
  private readonly ended = new Map<string, number>();
  private readonly loading = new Map<string, Promise<void>>();
  private readonly around: Surroundings;
  private owned: ReadonlySet<number> = new Set();
  private checkpoints = new Map<number, Checkpoint | undefined>();
  private follower: Follower | undefined;
  private caughtUp = false;
  private delivered: Position | undefined;
  /** What was delivered at the last checkpoint: short executions that began before it have ended by now. */
  private mark: Position | undefined;
  private stopping = false;
  private assignment: Promise<void> = Promise.resolve();
  private readonly intervals: NodeJS.Timeout[] = [];

  constructor(private readonly options: OwnerOptions) {
    const { log, host, incarnation, concurrency, logger } = options;
    this.around = {
      log,
      host,
      incarnation,
      slots: new Slots<ExecutionDriver>(concurrency, (driver) => driver.drive()),
      clock: options.clock ?? Date.now,
      owns: (ref) => this.owned.has(shardOf(ref.execution)),
      mayDrive: (ref) => this.caughtUp && !this.stopping && this.owned.has(shardOf(ref.execution)),
      done: (driver) => this.forget(driver),
      alarm: (ref, code, message) => logger.error({ ...ref, code }, `execution halted: ${message}`),
    };
  }

  /** Resolves once the shards of this process have been read to their end and are driven. */
  async start(): Promise<void> {
    this.options.members.onChange(() => this.reassign());
    this.reassign();
    await this.assignment;
    this.intervals.push(
      setInterval(() => this.watch(), WATCH_EVERY_MS),
      setInterval(() => void this.checkpoint().catch((error: unknown) => this.warn(error, 'checkpoint not written')), CHECKPOINT_EVERY_MS),
    );
  }

  /** Starts nothing more, gives running attempts `drainMs` to end, then ends them and records them as lost. */
  async stop(drainMs: number, abandonMs: number): Promise<void> {
    this.stopping = true;
    for (const interval of this.intervals) clearInterval(interval);
    await this.assignment;
    await this.idle(drainMs);
    for (const driver of this.drivers.values()) driver.abandon();
    await this.idle(abandonMs);
    await this.follower?.stop();
    await this.checkpoint().catch((error: unknown) => this.warn(error, 'last checkpoint not written'));
  }

  get counts(): { readonly active: number; readonly running: number; readonly shards: number } {
    return { active: this.drivers.size, running: this.around.slots.inUse, shards: this.owned.size };
  }

  private async idle(withinMs: number): Promise<void> {
    const until = Date.now() + withinMs;
    while (Date.now() < until && [...this.drivers.values()].some((driver) => driver.isBusy)) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  private reassign(): void {
    this.assignment = this.assignment
      .then(() => this.assign())
      .catch((error: unknown) => {
        this.warn(error, 'could not take over shards; trying again');
        setTimeout(() => this.reassign(), WATCH_EVERY_MS).unref();
      });
  }

  private async assign(): Promise<void> {
    const { members, incarnation, logger } = this.options;
    const mine = shardsOf(incarnation, members.live().keys());
    const gained = [...mine].filter((shard) => !this.owned.has(shard));
    const same = gained.length === 0 && mine.size === this.owned.size;
    if (this.stopping || (same && this.follower !== undefined)) return;
    logger.info({ shards: mine.size, gained: gained.length }, 'shards assigned');

    await this.follower?.stop();
    this.follower = undefined;
    this.caughtUp = false;
    const kept = this.delivered;
    this.owned = mine;
    for (const driver of this.drivers.values()) if (!this.around.owns(driver.ref) && driver.runningHere === 0) driver.close();

    const checkpoints = await Promise.all(
      gained.map(async (shard) => [shard, await readCheckpoint(this.options.checkpoints, shard)] as const),
    );
    await this.loadAll(checkpoints.flatMap(([, checkpoint]) => checkpoint?.active ?? []));
    const from = earliest([
      ...checkpoints.map(([, checkpoint]) => checkpoint?.position),
      ...(gained.length < mine.size ? [kept] : []),
    ]);
    await this.followFrom(from);
  }

  private async followFrom(from: Position | undefined): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const { log, logger } = this.options;
      log
        .follow(
          from,
          {
            commits: (batch) => this.take(batch),
            unreadable: (sequence, subject, why) => logger.error({ sequence, subject }, `not a commit, passed over: ${why}`),
            lost: (why) => this.startOver(why),
            caughtUp: () => {
              this.begin();
              resolve();
            },
          },
          [...this.owned],
        )
        .then((follower) => {
          this.follower = follower;
        }, reject);
    });
  }

  private begin(): void {
    this.caughtUp = true;
    for (const driver of this.drivers.values()) driver.drive();
  }

  /** The log is another than the one that was followed: nothing remembered of it counts. */
  private startOver(why: string): void {
    this.options.logger.error(`ALARM: the log was restored or lost data (${why}); reading it anew from the start`);
    this.follower = undefined;
    this.delivered = undefined;
    this.mark = undefined;
    this.caughtUp = false;
    this.ended.clear();
    for (const driver of this.drivers.values()) driver.abandon();
    this.drivers.clear();
    this.assignment = this.assignment.then(() => this.followFrom(undefined)).catch((error: unknown) => this.warn(error, 'could not follow the log'));
  }

  private async take(batch: readonly StoredCommit[]): Promise<void> {
    for (const stored of batch) {
      const key = keyOf(stored.ref);
      const waiting = this.loading.get(key);
      if (waiting) await waiting;
      const driver = this.drivers.get(key);
      if (driver) driver.delivered(stored);
      else await this.meet(key, stored);
    }
    const last = batch[batch.length - 1];
    if (last) this.delivered = { incarnation: await this.logIncarnation(), sequence: last.sequence, hash: last.hash };
  }

  /** A commit of an execution that is not active here. */
  private async meet(key: string, stored: StoredCommit): Promise<void> {
    const endedAt = this.ended.get(key);
    if (endedAt !== undefined) {
      if (stored.sequence >= endedAt) this.ended.delete(key);
      if (stored.sequence <= endedAt) return;
    }
    if (stored.commit.version === 1) {
      this.activate(stored);
    } else if (!isTerminal(lastStatus(stored))) {
      await this.loadAll([stored.ref]);
    }
  }

  private activate(stored: StoredCommit): void {
    try {
      this.add(new ExecutionDriver(advance(unborn(stored.ref), stored), stored.sequence, this.around));
    } catch (error) {
      this.options.logger.error({ ...stored.ref, err: error }, 'execution halted: its first commit can not be folded');
    }
  }

  private add(driver: ExecutionDriver): void {
    this.drivers.set(keyOf(driver.ref), driver);
    if (this.around.mayDrive(driver.ref)) driver.drive();
  }

  private async loadAll(refs: readonly ExecutionRef[]): Promise<void> {
    const queue = refs.filter((ref) => isToken(ref.tenant) && isToken(ref.execution) && !this.drivers.has(keyOf(ref)));
    const worker = async (): Promise<void> => {
      for (let ref = queue.pop(); ref; ref = queue.pop()) await this.loadOne(ref);
    };
    await Promise.all(Array.from({ length: LOADS_AT_ONCE }, worker));
  }

  private async loadOne(ref: ExecutionRef): Promise<void> {
    try {
      const execution = await load(this.options.log, ref);
      if (execution.version === 0 || isTerminal(execution.state.status)) return;
      if (!this.drivers.has(keyOf(ref))) this.add(new ExecutionDriver(execution, 0, this.around));
    } catch (error) {
      if (error instanceof LogError) throw error;
      if (error instanceof BrokenHistory) this.around.alarm(ref, error.code, error.message);
      else this.options.logger.error({ ...ref, err: error }, 'execution halted: its history can not be folded');
    }
  }

  private forget(driver: ExecutionDriver): void {
    const key = keyOf(driver.ref);
    if (this.drivers.get(key) !== driver) return;
    this.drivers.delete(key);
    if (driver.sequence > (this.follower?.delivered ?? 0)) this.ended.set(key, driver.sequence);
  }

  /** Finds attempts whose executor is gone, and looks after attempts here whose shard is another's. */
  private watch(): void {
    const { members, incarnation } = this.options;
    for (const driver of this.drivers.values()) {
      if (!this.around.owns(driver.ref)) {
        driver.lookUp();
        continue;
      }
      if (!this.caughtUp || driver.state.running === 0) continue;
      for (const { taskId, attempt, executor } of runningAttempts(driver.state)) {
        if (executor === '' || executor === incarnation || members.goneFor(executor) < members.ttlMs) continue;
        this.options.logger.warn({ ...driver.ref, taskId, attempt, executor }, 'attempt lost with its executor');
        driver.attemptLost(taskId, attempt);
      }
    }
  }

  private async checkpoint(): Promise<void> {
    const { mark } = this;
    this.mark = this.delivered;
    if (!mark || !this.caughtUp) return;
    const active = new Map<number, ExecutionRef[]>([...this.owned].map((shard) => [shard, []]));
    for (const driver of this.drivers.values()) {
      if (driver.firstSequence <= mark.sequence) active.get(shardOf(driver.ref.execution))?.push(driver.ref);
    }
    for (const [shard, refs] of active) {
      const checkpoint = { position: mark, active: refs };
      if (sameCheckpoint(this.checkpoints.get(shard), checkpoint)) continue;
      await writeCheckpoint(this.options.checkpoints, shard, checkpoint);
      this.checkpoints.set(shard, checkpoint);
    }
  }

  private incarnationOfLog: string | undefined;

  private async logIncarnation(): Promise<string> {
    this.incarnationOfLog ??= (await this.options.log.head()).incarnation;
    return this.incarnationOfLog;
  }

  private warn(error: unknown, message: string): void {
    this.options.logger.warn({ err: error }, message);
  }
}

const keyOf = (ref: ExecutionRef): string => `${ref.tenant}.${ref.execution}`;

const sameCheckpoint = (a: Checkpoint | undefined, b: Checkpoint): boolean =>
  a?.position.sequence === b.position.sequence && a.active.length === 0 && b.active.length === 0;

const endings: Readonly<Record<string, string>> = {
  ExecutionCompleted: 'completed',
  ExecutionFailed: 'failed',
  ExecutionCancelled: 'cancelled',
};

const lastStatus = (stored: StoredCommit): string | undefined => {
  const last = stored.commit.events[stored.commit.events.length - 1];
  return last && endings[last.type];
};
