import type { Event, ExecutionRef, Json, PlanTask } from '#libs/contracts';
import { type OwnerCommand, type State, type TaskOutcome, decision, isExpanded, isSubExecution, next, startable } from '#libs/execution';
import { childOf } from './child-request.js';
import { isLoopOver, verdictOf } from './expressions.js';
import { type RunnerHost, isEffectFree, runOnTheSpot } from './runs.js';

/** Events, and bytes of what runners report, decided into one commit at most. */
const MAX_EVENTS = 200;
const MAX_REPORTED_BYTES = 128 * 1024;

/** What happened to an attempt, until it is committed. */
export type Report = {
  readonly command: OwnerCommand;
  readonly cause: string;
  readonly bytes: number;
  /** Called once it is stored, or nothing is left to store of it. */
  readonly settled: () => void;
};

export const reportOf = (command: OwnerCommand & { readonly taskId: string }, attempt: number, settled = (): void => undefined): Report => ({
  command,
  cause: attemptKey(command.taskId, attempt),
  bytes: sizeOf(command),
  settled,
});

export const attemptKey = (taskId: string, attempt: number): string => `${taskId}/${attempt}`;

/** The events of one commit. */
export type CommitDraft = {
  /** When it was decided, in milliseconds since the epoch: what is due by then is in it, what comes due later is not. */
  readonly at: number;
  readonly events: readonly Event[];
  /** What they lead to. */
  readonly state: State;
  /** How many of the reports are in it. */
  readonly taken: number;
  /** Attempts that it starts and does not end. */
  readonly started: readonly string[];
  /** True when there may be more than fits. */
  readonly more: boolean;
};

export type DraftOptions = {
  readonly ref: ExecutionRef;
  readonly host: RunnerHost;
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly incarnation: string;
  /** The part of a commit's usual size that this one may take; it holds one command at least. */
  readonly room: number;
  /** Log sequence of the last commit. */
  readonly after: number;
  /** Whether a task that is due may start here and now; undefined where only reports may be committed. */
  readonly mayStart: ((task: PlanTask) => boolean) | undefined;
};

/** Decides what was reported, what is due, and what may start, as far as it fits into one commit. Throws Refused. */
export const draftCommit = (folded: State, reports: readonly Report[], options: DraftOptions): CommitDraft => {
  const { ref, host, incarnation, after, room, mayStart } = options;
  const now = Math.max(options.now, folded.at);
  const events: Event[] = [];
  const started: string[] = [];
  let state = folded;
  let bytes = 0;
  const apply = (command: OwnerCommand, cause: string): void => {
    const context = { now, cause, actor: `executor/${incarnation}`, correlationId: state.correlationId };
    const decided = decision(command, state, context);
    state = decided.state;
    events.push(...decided.events);
  };
  const hasRoom = (): boolean => events.length < MAX_EVENTS * room && bytes < MAX_REPORTED_BYTES * room;

  const start = (task: PlanTask, attempt: number): void => {
    const cause = attemptKey(task.id, attempt);
    const taskId = task.id;
    const verdict = verdictOf(ref, state, task, attempt);
    if (verdict.kind === 'skip') return apply({ type: 'SkipTask', taskId }, cause);
    if (verdict.kind === 'fail') return apply({ type: 'FailTask', taskId, error: verdict.error }, cause);
    const { input, items } = verdict;
    const child = isSubExecution(task) ? { child: childOf(ref, taskId, attempt) } : {};
    apply({ type: 'StartTask', taskId, executor: incarnation, after, ...child, ...(input && { input }), ...(items && { items }) }, cause);
    if (items) bytes += sizeOf(items);
    if (isExpanded(task)) return;
    const outcome = isEffectFree(host, task) && runOnTheSpot(host, { ref, state, task, attempt });
    if (outcome) {
      apply({ type: 'RecordOutcome', taskId, attempt, outcome }, cause);
      bytes += sizeOf(outcome);
    } else {
      started.push(cause);
    }
  };

  let taken = 0;
  for (; taken < reports.length && hasRoom(); taken++) {
    const report = reports[taken]!;
    apply(report.command, report.cause);
    bytes += report.bytes;
  }
  for (let progress = mayStart !== undefined; progress && hasRoom(); ) {
    progress = false;
    const due = next(state, now);
    if (due.advance) {
      apply({ type: 'Advance' }, 'timer');
      progress = true;
    }
    for (const taskId of due.decide) {
      const task = state.graph.task.get(taskId);
      if (!hasRoom() || !task) continue;
      const verdict = isLoopOver(ref, state, task);
      const cause = attemptKey(taskId, state.tasks.get(taskId)?.attempt ?? 1);
      apply(typeof verdict === 'boolean' ? { type: 'DecideLoop', taskId, isOver: verdict } : { type: 'FailTask', taskId, error: verdict }, cause);
      progress = true;
    }
    for (const taskId of due.start) {
      const task = state.graph.task.get(taskId);
      const before = state.tasks.get(taskId);
      // One started before it in this commit may have stopped the execution.
      if (!hasRoom() || !task || !before || !startable(state, before, now) || !mayStart?.(task)) continue;
      start(task, before.attempt + 1);
      progress = true;
    }
  }
  return { at: now, events, state, taken, started, more: !hasRoom() };
};

const sizeOf = (value: OwnerCommand | TaskOutcome | readonly Json[]): number => Buffer.byteLength(JSON.stringify(value));
