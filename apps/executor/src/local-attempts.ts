import type { ExecutionRef, PlanTask } from '#libs/contracts';
import { type OwnerCommand, type State, type TaskOutcome, isExpanded, isWait, mustStop } from '#libs/execution';
import type { Clock } from './clock.js';
import { attemptKey } from './commit-draft.js';
import { type Run, type RunnerHost, isEffectFree, startRun } from './runs.js';

const neverStarted: TaskOutcome = {
  ok: false,
  error: { code: 'COMMAND_ABORTED', message: 'cancelled before it was started', retryable: false },
};

type Around = { readonly host: RunnerHost; readonly clock: Clock };

/** What attempts need of the one who drives their execution. */
type AttemptHooks = {
  readonly state: () => State;
  readonly report: (command: OwnerCommand & { readonly taskId: string }, attempt: number, settled?: () => void) => void;
  readonly lost: (taskId: string, attempt: number) => void;
  readonly drive: () => void;
  readonly takeSlot: () => boolean;
  readonly releaseSlot: () => void;
};

/**
 * The attempts of one execution in this process. Each starts once at most, after its start was decided here and is known to be in the
 * log; its task holds a slot until it has ended here.
 */
export class LocalAttempts {
  private readonly runs = new Map<string, Run>();
  /** Attempts whose start was decided here, is in the log, and has not happened yet, `<task>/<attempt>`. */
  private readonly decided = new Set<string>();
  /** Attempts that have ended here, `<task>/<attempt>`: until that is committed the log still says that they run. */
  private readonly over = new Set<string>();
  /** Tasks that hold a slot: from the decision to start them until their attempt has ended here. */
  private readonly slotsHeld = new Set<string>();
  private abandoned = false;

  constructor(
    private readonly ref: ExecutionRef,
    private readonly around: Around,
    private readonly hooks: AttemptHooks,
  ) {}

  get running(): number {
    return this.runs.size;
  }

  /** True while a start that is in the log has not happened. */
  get areDue(): boolean {
    return this.decided.size > 0;
  }

  /** Their starts were decided here, and are in the log. */
  due(started: readonly string[]): void {
    for (const key of started) this.decided.add(key);
  }

  /** Whether a task that is due may start now; where it needs a slot, it has one from here on. */
  mayStart(task: PlanTask): boolean {
    if (this.isBeingEnded(task)) return false;
    if (isExpanded(task) || isWait(task) || isEffectFree(this.around.host, task) || this.slotsHeld.has(task.id)) return true;
    if (!this.hooks.takeSlot()) return false;
    this.slotsHeld.add(task.id);
    return true;
  }

  /** `attempts`: all that the log has this process run. What was decided here and is not among them will not start any more. */
  startOwn(attempts: readonly { readonly taskId: string; readonly attempt: number }[]): void {
    for (const { taskId, attempt } of attempts) if (!this.runs.has(taskId)) this.start(taskId, attempt);
    if (this.decided.size === 0) return;
    const current = new Set(attempts.map(({ taskId, attempt }) => attemptKey(taskId, attempt)));
    for (const key of this.decided) if (!current.has(key)) this.decided.delete(key);
  }

  /** Ends what the log says does not run, and holds or lets go on what does. */
  heed(): void {
    const { state } = this;
    for (const run of this.runs.values()) {
      run.hold(state.status === 'paused');
      if (!run.aborted && mustStop(state, run.taskId, run.attempt)) run.abort();
    }
  }

  /** Ends what runs here, and starts nothing more. */
  abandon(): void {
    this.abandoned = true;
    for (const run of this.runs.values()) run.abort();
  }

  releaseIdleSlots(): void {
    for (const taskId of this.slotsHeld) if (!this.runs.has(taskId)) this.releaseSlot(taskId);
  }

  private get state(): State {
    return this.hooks.state();
  }

  /** A timed-out attempt may go on for its grace time: neither the next one nor what depends on the task works beside it. */
  private isBeingEnded({ id, dependsOn, compensates }: PlanTask): boolean {
    if (this.runs.has(id)) return true;
    if (this.runs.size === 0 || (compensates === undefined && dependsOn.length === 0)) return false;
    const wholeOf = (task: string): string => this.state.tasks.get(task)?.parent?.id ?? task;
    const running = [...this.runs.keys()].map(wholeOf);
    // What undoes is alone, but for the items that it is done for: whatever else runs is being ended.
    if (compensates !== undefined) return running.some((task) => task !== wholeOf(id));
    return running.some((task) => dependsOn.includes(task));
  }

  private start(taskId: string, attempt: number): void {
    const task = this.state.graph.task.get(taskId);
    const key = attemptKey(taskId, attempt);
    if (!task || this.over.has(key)) return;
    // Ours by name only, of a log restored since, where nobody knows how far it ran; or the executor is being ended.
    if (!this.decided.delete(key) || this.abandoned) return this.hooks.lost(taskId, attempt);
    if (mustStop(this.state, taskId, attempt)) {
      // Cancelled between the commit of its start and the start itself.
      this.over.add(key);
      this.hooks.report({ type: 'RecordOutcome', taskId, attempt, outcome: neverStarted }, attempt);
      return;
    }
    const run = startRun(this.around, { ref: this.ref, state: this.state, task, attempt }, {
      step: (step) => this.hooks.report({ type: 'RecordStep', taskId, attempt, step }, attempt),
      metadata: (key, value) => this.hooks.report({ type: 'RecordMetadata', taskId, attempt, key, value }, attempt),
      progress: (progress, settled) => this.hooks.report({ type: 'RecordProgress', taskId, attempt, progress }, attempt, settled),
      artifact: (artifact) => this.hooks.report({ type: 'RecordArtifact', taskId, attempt, artifact }, attempt),
      ended: (outcome) => this.ended(run, outcome),
    });
    this.runs.set(taskId, run);
  }

  private ended(run: Run, outcome: TaskOutcome): void {
    const { taskId, attempt } = run;
    this.runs.delete(taskId);
    this.over.add(attemptKey(taskId, attempt));
    this.releaseSlot(taskId);
    const task = this.state.tasks.get(taskId);
    const isCurrent = task?.status === 'running' && task.attempt === attempt;
    // Ended because the log has its end already: there is nothing to add, but the next attempt may be waiting for it.
    if (run.aborted && !isCurrent) this.hooks.drive();
    else if (run.aborted && !outcome.ok && !mustStop(this.state, taskId, attempt)) this.hooks.lost(taskId, attempt);
    else this.hooks.report({ type: 'RecordOutcome', taskId, attempt, outcome }, attempt);
  }

  private releaseSlot(taskId: string): void {
    if (this.slotsHeld.delete(taskId)) this.hooks.releaseSlot();
  }
}
