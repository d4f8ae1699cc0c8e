import { randomUUID } from 'node:crypto';
import { type ExecutionRef, isTombstone, shardOf } from '#libs/contracts';
import { type State, endOf, isTerminal, lacksLog, runningAttempts } from '#libs/execution';
import type { LogPurge, LogStore, Position, StoredCommit } from '#libs/ledger';
import type { Logger } from '#libs/platform';
import { ActiveExecutions } from './active-executions.js';
import { Children } from './children.js';
import { type CheckpointStore, CheckpointWriter, earliest, readCheckpoint } from './checkpoint.js';
import type { Backlog } from './backlog.js';
import { type Belongings, type CleanUp, cleanUp } from './clean-up.js';
import { type CancelTimer, type Clock, systemClock, until } from './clock.js';
import { EventWatch } from './event-watch.js';
import type { ExecutionDriver, Surroundings } from './execution-driver.js';
import type { RunnerHost } from './runs.js';
import { ShardFollower } from './shard-follower.js';
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
  /** Makes what executions ask for that have ended. */
  readonly logArtifacts?: Backlog;
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
/** How long attempts of another log's get to end before the new one is followed. */
const DISCARD_WITHIN_MS = 30_000;

type Ended = { readonly ref: ExecutionRef; readonly state: State; readonly sequence: number };

/** Follows the shards that fall to this process and drives their active executions. */
export class Owner {
  private readonly active: ActiveExecutions;
  private readonly following: ShardFollower;
  private readonly around: Surroundings;
  private readonly checkpoints: CheckpointWriter;
  private owned: ReadonlySet<number> = new Set();
  /** What was delivered at the last checkpoint: short executions that began before it have ended by now. */
  private mark: Position | undefined;
  private watchedAt = 0;
  private stopping = false;
  private assignment: Promise<void> = Promise.resolve();
  private readonly intervals: CancelTimer[] = [];
  private readonly events: EventWatch;
  private readonly cleanUp: CleanUp;
  /** What there is to do for executions of this process that have ended. */
  private readonly backlogs: readonly Backlog[];
  private readonly clock: Clock;

  constructor(private readonly options: OwnerOptions) {
    const { log, host, incarnation, concurrency, logger, clock = systemClock, newId = randomUUID } = options;
    this.clock = clock;
    this.checkpoints = new CheckpointWriter(options.checkpoints);
    this.events = new EventWatch(log, clock, (error) => this.warn(error, 'the log can not be looked through for events; trying again'));
    this.cleanUp = cleanUp({
      log: { history: (ref, range) => log.history(ref, range), purge: (ref, before) => options.purge.purge(ref, before) },
      belongings: options.belongings ?? [],
      clock,
      warn: (error) => this.warn(error, 'what a deleted execution leaves could not be removed; trying again'),
    });
    this.backlogs = [this.cleanUp.left, ...(options.logArtifacts ? [options.logArtifacts] : [])];
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
      mayDrive: (ref) => this.following.caughtUp && !this.stopping && this.owned.has(shardOf(ref.execution)),
      done: (driver) => this.forget(driver),
      alarm: (ref, error) => logger.error({ ...ref, err: error }, 'execution halted'),
    };
    this.active = new ActiveExecutions(this.around, (execution) => this.afterEnd(execution));
    this.following = new ShardFollower({
      log,
      logger,
      commits: (batch) => this.take(batch),
      caughtUp: () => this.active.drive(),
      lost: (why) => this.startOver(why),
    });
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
    this.following.giveUp();
    await this.assigned();
    await this.idle(drainMs);
    for (const driver of this.active.all()) driver.abandon();
    await this.idle(abandonMs);
    await this.following.stop();
    await Promise.all([...this.backlogs, this.cleanUp.late].map((backlog) => backlog.stop()));
    await this.checkpoint(this.following.position);
    for (const driver of this.active.all()) driver.discard();
    await this.events.stop();
  }

  /** True for one of all executors, most of the time. */
  get isFirst(): boolean {
    return this.following.caughtUp && !this.stopping && this.owned.has(0);
  }

  /** `deleted`: executions of which something may be left. */
  get counts(): { readonly active: number; readonly deleted: number; readonly running: number; readonly shards: number } {
    return { active: this.active.size, deleted: this.cleanUp.left.size + this.cleanUp.late.size, running: this.around.slots.inUse, shards: this.owned.size };
  }

  /** True while the execution's shard is this process's. */
  owns(ref: ExecutionRef): boolean {
    return this.around.owns(ref);
  }

  private async idle(withinMs: number): Promise<void> {
    await until(this.clock, () => !this.active.isBusy, withinMs);
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
    if (same && this.following.isFollowing) return;
    logger.info({ shards: mine.size, gained: gained.length }, 'shards assigned');

    await this.following.pause();
    this.owned = mine;
    this.dropForeign();
    try {
      const checkpoints = await Promise.all(gained.map((shard) => readCheckpoint(this.options.checkpoints, shard)));
      await this.active.load(checkpoints.flatMap((checkpoint) => checkpoint?.active ?? []));
      const positions = [...checkpoints.map((checkpoint) => checkpoint?.position), ...(kept.size > 0 ? [this.following.position] : [])];
      if (!this.stopping) await this.following.follow(earliest(positions), [...mine]);
    } catch (error) {
      // What was not taken over is gained again at the next try, from its checkpoint.
      this.owned = kept;
      throw error;
    }
  }

  private dropForeign(): void {
    this.active.dropForeign();
    for (const backlog of this.backlogs) backlog.keepOnly(this.around.owns);
  }

  /** The log is another than the one that was followed: nothing remembered of it counts. */
  private startOver(why: string): void {
    this.options.logger.error(`ALARM: the log was restored or lost data (${why}); reading it anew from the start`);
    this.mark = undefined;
    for (const backlog of this.backlogs) backlog.keepOnly(() => false);
    this.checkpoints.forget();
    const drivers = this.active.discard();
    // An attempt that the restored log still has running must not meet its former self.
    const idle = (): boolean => drivers.every((driver) => driver.runningHere === 0);
    this.assignment = this.assignment.then(() => until(this.clock, idle, DISCARD_WITHIN_MS));
    this.reassign();
  }

  private async take(batch: readonly StoredCommit[]): Promise<void> {
    for (const stored of batch) {
      const driver = this.active.get(stored.ref);
      if (driver) driver.delivered(stored);
      else await this.active.meet(stored);
      if (isTombstone(stored.commit)) this.cleanUp.left.add(stored.ref, stored.sequence);
    }
    const last = batch[batch.length - 1];
    if (!last) return;
    await this.following.reached(last);
    this.active.passed(last.sequence);
  }

  private forget(driver: ExecutionDriver): void {
    if (!this.active.forget(driver) || !isTerminal(driver.state.status)) return;
    this.tellParent(driver);
    this.afterEnd(driver);
    // Whoever owns it has purged it, or will, and does not know what was written from here since.
    if (driver.state.deleted) this.cleanUp.late.add(driver.ref, driver.sequence);
    if (driver.sequence > this.following.delivered) this.active.hasEnded(driver);
  }

  private afterEnd({ ref, state, sequence }: Ended): void {
    if (!this.around.owns(ref)) return;
    if (state.deleted) this.cleanUp.left.add(ref, sequence);
    else if (lacksLog(state)) this.options.logArtifacts?.add(ref, sequence);
  }

  /** Once, as a favour: who owns the parent looks for itself. */
  private tellParent({ ref, state }: ExecutionDriver): void {
    const [end, { parent }] = [endOf(state), state];
    if (!end || !parent || this.stopping) return;
    const of = { tenant: ref.tenant, execution: parent.execution };
    // Whether it was cancelled because of a time that is over, only the clock knows that found it over.
    if (end.status === 'cancelled' && !this.around.owns(of)) return;
    const tell = (): void => this.active.get(of)?.childEnded(parent.task, parent.attempt, end);
    this.active.load([of]).then(tell, (error: unknown) => this.warn(error, 'a parent was not told of the end of its child'));
  }

  /** Finds attempts whose executor is gone, and looks after attempts here whose shard is another's. */
  private watch(): void {
    const { members, incarnation } = this.options;
    this.noticeJump();
    this.dropForeign();
    for (const driver of this.active.all()) {
      if (!this.around.owns(driver.ref)) {
        driver.lookUp();
        continue;
      }
      if (!this.following.caughtUp || driver.state.running === 0) continue;
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
    if (jumped) this.active.drive();
  }

  private async checkpointRegularly(): Promise<void> {
    const { mark } = this;
    this.mark = this.following.position;
    if (!this.checkpoints.isWriting) await this.checkpoint(mark);
  }

  private async checkpoint(mark: Position | undefined): Promise<void> {
    if (!mark || !this.following.caughtUp) return;
    // Also those that ended behind the mark: their end, delivered again, would not tell that there is something to do.
    const active = [...this.active.begunBy(mark.sequence), ...this.backlogs.flatMap((backlog) => backlog.all)];
    await this.checkpoints
      .write(this.owned, { position: mark, active })
      .catch((error: unknown) => this.warn(error, 'checkpoint not written'));
  }

  private warn(error: unknown, message: string): void {
    this.options.logger.warn({ err: error }, message);
  }
}
