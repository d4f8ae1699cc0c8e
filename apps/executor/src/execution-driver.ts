import type { ExecutionRef } from '#libs/contracts';
import { type ChildEnd, type OwnerCommand, type State, isTerminal, next, runningAttempts } from '#libs/execution';
import {
  type Execution,
  LogError,
  type LogStore,
  type StoredCommit,
  advance,
  append,
  refresh,
  seal,
} from '#libs/ledger';
import { type Lookout, lookOut } from './awaited.js';
import type { CancelTimer, Clock } from './clock.js';
import { type CommitDraft, draftCommit, reportOf } from './commit-draft.js';
import { LocalAttempts } from './local-attempts.js';
import type { RunnerHost } from './runs.js';
import type { Slots } from './slots.js';
import { UnsettledReports } from './unsettled-reports.js';

/** With so small a part of a commit's usual size, it is one command's alone. */
const MIN_ROOM = 1 / 256;
const RETRY_MS = { first: 50, last: 5_000 } as const;

/** What a driver needs of the process around it. */
export type Surroundings = Lookout & {
  readonly log: LogStore;
  readonly host: RunnerHost;
  readonly clock: Clock;
  /** Unique ids, of commits. */
  readonly newId: () => string;
  /** This executor process, as TaskStarted names it. */
  readonly incarnation: string;
  readonly slots: Slots<ExecutionDriver>;
  /** True while the execution's shard is this executor's. */
  readonly owns: (ref: ExecutionRef) => boolean;
  /** True once that shard's log has been read to its end, too. */
  readonly mayDrive: (ref: ExecutionRef) => boolean;
  /** Nothing is left to do here: it has ended, or is another executor's and nothing of it runs in this process. */
  readonly done: (driver: ExecutionDriver) => void;
  readonly alarm: (ref: ExecutionRef, error: unknown) => void;
};

/**
 * Drives one execution: folds its commits, derives what is due, runs it, commits what happened. At most one append is in
 * flight; what is reported meanwhile is decided together into the next commit.
 */
export class ExecutionDriver {
  private readonly attempts: LocalAttempts;
  private readonly reports = new UnsettledReports();
  /** A position known to exist beyond what is folded; Infinity when an append's outcome is unknown. */
  private behind = 0;
  /** The part of a commit's usual size that the next one may take: less after one was too large. */
  private room = 1;
  private busy = false;
  private again = false;
  private halted = false;
  private failures = 0;
  private cancelTimer: CancelTimer = () => undefined;

  constructor(
    private execution: Execution,
    /** Position of its first commit, as far as this process knows: what checkpoints go by. */
    readonly firstSequence: number,
    private readonly around: Surroundings,
  ) {
    this.attempts = new LocalAttempts(execution.ref, around, {
      state: () => this.state,
      report: (command, attempt, settled) => this.report(command, attempt, settled),
      lost: (taskId, attempt) => this.attemptLost(taskId, attempt),
      drive: () => this.drive(),
      takeSlot: () => around.slots.take(this),
      releaseSlot: () => around.slots.release(),
    });
  }

  get ref(): ExecutionRef {
    return this.execution.ref;
  }

  get sequence(): number {
    return this.execution.sequence;
  }

  get state(): State {
    return this.execution.state;
  }

  /** True while something of it runs here, is being committed, or may have been, or may yet be, without this process knowing. */
  get isBusy(): boolean {
    if (this.busy || this.attempts.running > 0) return true;
    if (this.halted) return false;
    return !this.reports.isEmpty || this.attempts.areDue || this.behind > this.execution.sequence;
  }

  get runningHere(): number {
    return this.attempts.running;
  }

  /** A commit as the log delivers it; one that was known already, being our own, changes nothing. */
  delivered(stored: StoredCommit): void {
    if (stored.sequence <= this.execution.sequence || this.halted) return;
    // What is missing in between came while it was busy, or was not in what was read when it was loaded.
    const isHoleBefore = stored.commit.version > this.execution.version + 1;
    if (this.busy || isHoleBefore) {
      this.behind = Math.max(this.behind, stored.sequence);
      this.drive();
      return;
    }
    try {
      this.execution = advance(this.execution, stored);
      this.settle(stored);
    } catch (error) {
      this.halt(error);
      return;
    }
    if (this.around.mayDrive(this.ref) || this.runningHere > 0) this.drive();
    else if (this.isFinished()) this.close();
  }

  /** Reads what others have committed, where nobody delivers it: for attempts that outlive the ownership of their shard. */
  lookUp(): void {
    this.behind = Infinity;
    this.drive();
  }

  /** An attempt of an executor that is gone. */
  attemptLost(taskId: string, attempt: number): void {
    const isReported = this.reports.all.some(
      ({ command }) =>
        command.type === 'RecordLostAttempt' && command.taskId === taskId && command.attempt === attempt,
    );
    if (!isReported) this.report({ type: 'RecordLostAttempt', taskId, attempt }, attempt);
  }

  childEnded(taskId: string, attempt: number, end: ChildEnd): void {
    this.report({ type: 'RecordChildEnd', taskId, attempt, end }, attempt);
  }

  /** Ends what runs here, and commits nothing any more. */
  discard(): void {
    this.halted = true;
    this.cancelTimer();
    this.abandon();
    this.around.slots.forget(this);
    this.lookOut(undefined);
    this.attempts.releaseIdleSlots();
  }

  /** Ends what runs here; attempts that had no time to end are recorded as lost, so that another executor runs them anew. */
  abandon(): void {
    this.attempts.abandon();
  }

  /** Looks at what is due now; to be called whenever something may have changed. */
  drive(): void {
    if (this.halted) return;
    this.again = true;
    if (this.busy) return;
    this.busy = true;
    void this.turn();
  }

  close(): void {
    this.discard();
    this.around.done(this);
  }

  private isFinished(): boolean {
    if (this.isBusy || this.halted) return false;
    return isTerminal(this.state.status) || !this.around.owns(this.ref);
  }

  private async turn(): Promise<void> {
    while (this.again && !this.halted) {
      this.again = false;
      this.cancelTimer();
      try {
        if (this.behind > this.execution.sequence) await this.readOn();
        await this.commit();
        this.failures = 0;
      } catch (error) {
        this.recover(error);
      }
    }
    // At once: what comes in while nobody looks any more and nobody else may would wait for the next timer.
    this.busy = false;
    if (this.isFinished()) this.close();
    // Woken for a slot that it has no use for any more.
    this.around.slots.offer();
  }

  private async readOn(): Promise<void> {
    const { behind } = this;
    // What is delivered meanwhile may be beyond what this read finds.
    this.behind = 0;
    try {
      this.execution = await refresh(this.around.log, this.execution, (stored) => this.settle(stored));
      if (behind !== Infinity && behind > this.sequence) {
        throw new LogError('LOG_UNAVAILABLE', `a read ended at ${this.sequence}, before ${behind} that was delivered`);
      }
    } catch (error) {
      this.behind = Math.max(this.behind, behind);
      throw error;
    }
  }

  /** To be called with every commit. What was reported is done with, and what was to start may, once its commit is seen in the log. */
  private settle({ hash }: { readonly hash: string }): void {
    this.attempts.due(this.reports.settle(hash));
  }

  private async commit(): Promise<void> {
    const draft = this.draft();
    if (draft.events.length === 0) this.reports.letGo(draft.taken);
    else await this.append(draft);
    if (draft.more) this.again = true;
    this.follow(draft.at);
  }

  private async append(draft: CommitDraft): Promise<void> {
    const { events } = draft;
    const sealed = seal(this.execution, events, this.around.newId());
    this.reports.sending(sealed.hash, draft);
    const appended = await append(this.around.log, this.execution, events, sealed, draft.state).catch((error: unknown) => {
      if (!(error instanceof LogError && error.code === 'OUTCOME_UNKNOWN')) this.reports.failed(sealed.hash);
      throw error;
    });
    if (appended) {
      this.execution = appended;
      this.settle(sealed);
      this.room = 1;
      return;
    }
    this.reports.failed(sealed.hash);
    const { sequence } = this.execution;
    this.execution = await refresh(this.around.log, this.execution, (stored) => this.settle(stored));
    this.again = true;
    if (this.sequence > sequence) return;
    throw new LogError('LOG_UNAVAILABLE', `refused behind ${sequence}, where no read finds anything yet`);
  }

  private draft(): CommitDraft {
    const { host, clock, incarnation, mayDrive } = this.around;
    return draftCommit(this.state, this.reports.all, {
      ref: this.ref,
      host,
      now: clock.now(),
      incarnation,
      after: this.sequence,
      room: this.room,
      mayStart: mayDrive(this.ref) ? (task) => this.attempts.mayStart(task) : undefined,
    });
  }

  /** Makes this process agree with the state: starts what the log says runs here, ends what it says does not, sets the timer. */
  private follow(decidedAt: number): void {
    if (this.halted) return;
    const { state } = this;
    this.attempts.heed();
    const running = runningAttempts(state);
    // What is known to be in the log and has not been read may have ended what would be started.
    if (this.behind <= this.sequence) this.attempts.startOwn(running.filter(({ executor }) => executor === this.around.incarnation));
    this.lookOut(this.around.mayDrive(this.ref) ? decidedAt : undefined);
    this.attempts.releaseIdleSlots();
    this.setTimer(decidedAt);
  }

  private lookOut(now: number | undefined): void {
    lookOut(this.around, this.ref, this.state, now, (command, attempt) => this.report(command, attempt));
  }

  private report(command: OwnerCommand & { readonly taskId: string }, attempt: number, settled?: () => void): void {
    this.reports.add(reportOf(command, attempt, settled));
    this.drive();
  }

  /** For what was not due yet when it was decided last: where that has come due since, nobody has looked at it. */
  private setTimer(decidedAt: number): void {
    if (!this.around.mayDrive(this.ref)) return;
    const { wakeAt } = next(this.state, decidedAt);
    if (wakeAt !== undefined) this.wakeIn(wakeAt - this.around.clock.now());
  }

  private wakeIn(delayMs: number): void {
    this.cancelTimer();
    this.cancelTimer = this.around.clock.after(Math.max(delayMs, 1), () => this.drive());
  }

  /** What can not be gone on with must not keep other executions from going on. */
  private halt(error: unknown): void {
    this.discard();
    this.around.alarm(this.ref, error);
  }

  private recover(error: unknown): void {
    if (error instanceof LogError && error.code === 'COMMIT_TOO_LARGE' && this.room > MIN_ROOM) {
      this.room /= 4;
      this.again = true;
      return;
    }
    if (!(error instanceof LogError && error.retryable)) return this.halt(error);
    // Before anything else is decided, an append with an unknown outcome is looked up.
    if (error.code === 'OUTCOME_UNKNOWN') this.behind = Infinity;
    this.again = false;
    this.failures += 1;
    this.wakeIn(Math.min(RETRY_MS.first * 2 ** this.failures, RETRY_MS.last));
  }
}
