import { randomUUID } from 'node:crypto';
import { type ExecutionRef, isToken, isTombstone, shardOf } from '#libs/contracts';
import { endOf, isTerminal, runningAttempts } from '#libs/execution';
import {
  type FollowHandler,
  type Follower,
  LogError,
  type LogPurge,
  type LogStore,
  type Position,
  type StoredCommit,
  advance,
  load,
  unborn,
} from '#libs/ledger';
import type { Logger } from '#libs/platform';
import { Children } from './children.js';
import { type CheckpointStore, CheckpointWriter, earliest, readCheckpoint } from './checkpoint.js';
import { type Belongings, CleanUp } from './clean-up.js';
import { type CancelTimer, type Clock, systemClock, until } from './clock.js';
import { endIn } from './endings.js';
import { EventWatch } from './event-watch.js';
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
  /** Whoever removes a deleted execution's commits, and what else goes with it, in order. */
  readonly purge: LogPurge;
  readonly belongings?: readonly Belongings[];
  readonly incarnation: string;
  readonly concurrency: number;
  readonly logger: Pick<Logger, 'info' | 'warn' | 'error'>;
  /** The system's unless given. */
  readonly clock?: Clock;
  /** Makes unique ids; random ones unless given. */
  readonly newId?: () => string;
};

const CHECKPOINT_EVERY_MS = 5_000;
const WATCH_EVERY_MS = 1_000;
/** So much more or less time of day than went by since the last look is a jump of the clock. */
const JUMP_MS = 1_000;
const LOADS_AT_ONCE = 16;
/** How long attempts of another log's get to end before the new one is followed. */
const DISCARD_WITHIN_MS = 30_000;

/** Follows the shards that fall to this process and drives their active executions. */
export class Owner {
  private readonly drivers = new Map<string, ExecutionDriver>();
  /** Executions that ended here whose last commits the log has not delivered yet: position of the last one. */
  private readonly ended = new Map<string, number>();
  /** Executions whose history can not be folded: checkpoints keep them for a version that can. */
  private readonly halted = new Map<string, ExecutionRef>();
  private readonly around: Surroundings;
  private readonly checkpoints: CheckpointWriter;
  private owned: ReadonlySet<number> = new Set();
  private follower: Follower | undefined;
  private caughtUp = false;
  private delivered: Position | undefined;
  /** What was delivered at the last checkpoint: short executions that began before it have ended by now. */
  private mark: Position | undefined;
  private logIncarnation: string | undefined;
  private watchedAt = 0;
  private stopping = false;
  private assignment: Promise<void> = Promise.resolve();
  private endCatchUp: () => void = () => undefined;
  private readonly intervals: CancelTimer[] = [];
  private readonly events: EventWatch;
  private readonly cleanUp: CleanUp;
  private readonly clock: Clock;

  constructor(private readonly options: OwnerOptions) {
    const { log, host, incarnation, concurrency, logger, clock = systemClock, newId = randomUUID } = options;
    this.clock = clock;
    this.checkpoints = new CheckpointWriter(options.checkpoints);
    this.events = new EventWatch(log, clock, (error) => this.warn(error, 'the log can not be looked through for events; trying again'));
    this.cleanUp = new CleanUp({
      log: { history: (ref, range) => log.history(ref, range), purge: (ref, before) => options.purge.purge(ref, before) },
      belongings: options.belongings ?? [],
      clock,
      warn: (error) => this.warn(error, 'what a deleted execution leaves could not be removed; trying again'),
    });
    this.around = {
      events: this.events,
      children: new Children({ log, clock, incarnation }, (error) => this.warn(error, 'a child can not be looked at; trying again')),
      log,
      host,
      clock,
      newId,
      incarnation,
      slots: new Slots<ExecutionDriver>(concurrency, (driver) => driver.drive()),
      owns: (ref) => this.owned.has(shardOf(ref.execution)),
      mayDrive: (ref) => this.caughtUp && !this.stopping && this.owned.has(shardOf(ref.execution)),
      done: (driver) => this.forget(driver),
      alarm: (ref, error) => logger.error({ ...ref, err: error }, 'execution halted'),
    };
  }

  /** Resolves once the shards of this process have been read to their end and are driven. */
  async start(): Promise<void> {
    this.options.members.onChange(() => this.reassign());
    this.reassign();
    await this.assigned();
    if (this.stopping) return;
    this.watchedAt = this.clock.now();
    this.intervals.push(
      this.clock.every(WATCH_EVERY_MS, () => this.watch()),
      this.clock.every(CHECKPOINT_EVERY_MS, () => void this.checkpointRegularly()),
    );
  }

  /** Starts nothing more, gives running attempts `drainMs` to end, then ends them and records them as lost. */
  async stop(drainMs: number, abandonMs: number): Promise<void> {
    this.stopping = true;
    for (const cancel of this.intervals) cancel();
    this.endCatchUp();
    await this.assigned();
    await this.idle(drainMs);
    for (const driver of this.drivers.values()) driver.abandon();
    await this.idle(abandonMs);
    await this.follower?.stop();
    await this.cleanUp.stop();
    await this.checkpoint(this.delivered);
    for (const driver of this.drivers.values()) driver.discard();
    await this.events.stop();
  }

  /** True for one of all executors, most of the time. */
  get isFirst(): boolean {
    return this.caughtUp && !this.stopping && this.owned.has(0);
  }

  /** `deleted`: executions of which something may be left. */
  get counts(): { readonly active: number; readonly deleted: number; readonly running: number; readonly shards: number } {
    return { active: this.drivers.size, deleted: this.cleanUp.size, running: this.around.slots.inUse, shards: this.owned.size };
  }

  /** True while the execution's shard is this process's. */
  owns(ref: ExecutionRef): boolean {
    return this.around.owns(ref);
  }

  private async idle(withinMs: number): Promise<void> {
    await until(this.clock, () => ![...this.drivers.values()].some((driver) => driver.isBusy), withinMs);
  }

  private reassign(): void {
    this.assignment = this.assignment.then(() => this.assign());
  }

  /** Resolves when no change of shards is under way any more. */
  private async assigned(): Promise<void> {
    for (let current; current !== this.assignment; ) await (current = this.assignment);
  }

  private async assign(): Promise<void> {
    while (!this.stopping) {
      try {
        return await this.takeOver();
      } catch (error) {
        this.warn(error, 'could not take over shards; trying again');
        await until(this.clock, () => this.stopping, WATCH_EVERY_MS);
      }
    }
  }

  private async takeOver(): Promise<void> {
    const { members, incarnation, logger } = this.options;
    const mine = shardsOf(incarnation, members.live().keys());
    const kept = new Set([...mine].filter((shard) => this.owned.has(shard)));
    const gained = [...mine].filter((shard) => !kept.has(shard));
    const same = gained.length === 0 && mine.size === this.owned.size;
    if (same && this.follower !== undefined) return;
    logger.info({ shards: mine.size, gained: gained.length }, 'shards assigned');

    await this.follower?.stop();
    this.follower = undefined;
    this.caughtUp = false;
    this.owned = mine;
    this.dropForeign();
    try {
      const checkpoints = await Promise.all(gained.map((shard) => readCheckpoint(this.options.checkpoints, shard)));
      await this.loadAll(checkpoints.flatMap((checkpoint) => checkpoint?.active ?? []));
      await this.followFrom(
        earliest([
          ...checkpoints.map((checkpoint) => checkpoint?.position),
          ...(kept.size > 0 ? [this.delivered] : []),
        ]),
      );
    } catch (error) {
      // What was not taken over is gained again at the next try, from its checkpoint.
      this.owned = kept;
      throw error;
    }
  }

  private dropForeign(): void {
    for (const driver of this.drivers.values()) {
      if (!this.around.owns(driver.ref) && !driver.isBusy) driver.close();
    }
    for (const [key, ref] of this.halted) if (!this.around.owns(ref)) this.halted.delete(key);
    this.cleanUp.keepOnly(this.around.owns);
  }

  /** Resolves once all that is stored has been delivered, or when following has ended before. */
  private async followFrom(from: Position | undefined): Promise<void> {
    if (this.stopping) return;
    const { log, logger } = this.options;
    let end = (): void => undefined;
    const ended = new Promise<void>((resolve) => (end = resolve));
    this.endCatchUp = end;
    let isLost = false;
    const handler: FollowHandler = {
      commits: (batch) => this.take(batch),
      unreadable: (sequence, subject, why) => logger.error({ sequence, subject }, `not a commit, passed over: ${why}`),
      lost: (why) => {
        isLost = true;
        this.startOver(why);
        end();
      },
      caughtUp: () => {
        this.begin();
        end();
      },
    };
    const follower = await log.follow(from, handler, [...this.owned]);
    if (isLost) return;
    this.follower = follower;
    await ended;
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
    this.logIncarnation = undefined;
    this.caughtUp = false;
    this.ended.clear();
    this.halted.clear();
    this.cleanUp.keepOnly(() => false);
    this.checkpoints.forget();
    const drivers = [...this.drivers.values()];
    this.drivers.clear();
    for (const driver of drivers) driver.discard();
    // An attempt that the restored log still has running must not meet its former self.
    const idle = (): boolean => drivers.every((driver) => driver.runningHere === 0);
    this.assignment = this.assignment.then(() => until(this.clock, idle, DISCARD_WITHIN_MS));
    this.reassign();
  }

  private async take(batch: readonly StoredCommit[]): Promise<void> {
    for (const stored of batch) {
      const key = keyOf(stored.ref);
      const driver = this.drivers.get(key);
      if (driver) driver.delivered(stored);
      else await this.meet(key, stored);
      if (isTombstone(stored.commit)) this.cleanUp.add(stored.ref, stored.sequence);
    }
    const last = batch[batch.length - 1];
    if (!last) return;
    this.logIncarnation ??= (await this.options.log.head()).incarnation;
    this.delivered = { incarnation: this.logIncarnation, sequence: last.sequence, hash: last.hash };
    for (const [key, sequence] of this.ended) {
      if (sequence > last.sequence) break;
      this.ended.delete(key);
    }
  }

  /** A commit of an execution that is not active here. */
  private async meet(key: string, stored: StoredCommit): Promise<void> {
    if (stored.sequence <= (this.ended.get(key) ?? 0)) return;
    if (stored.commit.version === 1) {
      this.activate(stored);
    } else if (!endIn(stored)) {
      await this.loadAll([stored.ref], stored.sequence);
    }
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

  /** Throws LogError LOG_UNAVAILABLE also where a read ends before `atLeast`. */
  private async loadAll(refs: readonly ExecutionRef[], atLeast = 0): Promise<void> {
    const queue = refs.filter((ref) => isToken(ref.tenant) && isToken(ref.execution) && !this.drivers.has(keyOf(ref)));
    const worker = async (): Promise<void> => {
      for (let ref = queue.pop(); ref; ref = queue.pop()) await this.loadOne(ref, atLeast);
    };
    await Promise.all(Array.from({ length: LOADS_AT_ONCE }, worker));
  }

  private async loadOne(ref: ExecutionRef, atLeast: number): Promise<void> {
    try {
      const execution = await load(this.options.log, ref);
      if (execution.sequence < atLeast) {
        throw new LogError('LOG_UNAVAILABLE', `a read ended at ${execution.sequence}, before ${atLeast} that was delivered`);
      }
      this.halted.delete(keyOf(ref));
      if (execution.state.deleted) this.cleanUp.add(ref, execution.sequence);
      if (execution.version === 0 || isTerminal(execution.state.status)) return;
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

  private forget(driver: ExecutionDriver): void {
    const key = keyOf(driver.ref);
    if (this.drivers.get(key) !== driver) return;
    this.drivers.delete(key);
    if (!isTerminal(driver.state.status)) return;
    this.tellParent(driver);
    if (driver.sequence > (this.follower?.delivered ?? 0)) this.ended.set(key, driver.sequence);
  }

  /** Once, as a favour: who owns the parent looks for itself. */
  private tellParent({ ref, state }: ExecutionDriver): void {
    const [end, { parent }] = [endOf(state), state];
    if (!end || !parent || this.stopping) return;
    const of = { tenant: ref.tenant, execution: parent.execution };
    // Whether it was cancelled because of a time that is over, only the clock knows that found it over.
    if (end.status === 'cancelled' && !this.around.owns(of)) return;
    const tell = (): void => this.drivers.get(keyOf(of))?.childEnded(parent.task, parent.attempt, end);
    this.loadAll([of]).then(tell, (error: unknown) => this.warn(error, 'a parent was not told of the end of its child'));
  }

  /** Finds attempts whose executor is gone, and looks after attempts here whose shard is another's. */
  private watch(): void {
    const { members, incarnation } = this.options;
    this.noticeJump();
    this.dropForeign();
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

  /** Timers count what goes by, not the time of day: set by a clock that was put right since, or before the machine slept, they would ring much too late. */
  private noticeJump(): void {
    const now = this.clock.now();
    const jumped = Math.abs(now - this.watchedAt - WATCH_EVERY_MS) >= JUMP_MS;
    this.watchedAt = now;
    if (jumped) for (const driver of this.drivers.values()) driver.drive();
  }

  private async checkpointRegularly(): Promise<void> {
    const { mark } = this;
    this.mark = this.delivered;
    if (!this.checkpoints.isWriting) await this.checkpoint(mark);
  }

  private async checkpoint(mark: Position | undefined): Promise<void> {
    if (!mark || !this.caughtUp) return;
    const begun = [...this.drivers.values()].filter((driver) => driver.firstSequence <= mark.sequence);
    const active = [...begun.map((driver) => driver.ref), ...this.halted.values(), ...this.cleanUp.upTo(mark.sequence)];
    await this.checkpoints
      .write(this.owned, { position: mark, active })
      .catch((error: unknown) => this.warn(error, 'checkpoint not written'));
  }

  private warn(error: unknown, message: string): void {
    this.options.logger.warn({ err: error }, message);
  }
}

const keyOf = (ref: ExecutionRef): string => `${ref.tenant}.${ref.execution}`;
