import type { ExecutionRef, Failure, PlanTask } from '#libs/contracts';
import { type NewArtifact, type State, type TaskOutcome, stepIdOf } from '#libs/execution';
import { ExpressionError } from '#libs/expressions';
import type { Attempt, MarkedFile, NotKept, OutputChunk, Progress, Runner, StepReport } from '#libs/runners';
import { AttemptCourse } from './attempt-course.js';
import type { Clock } from './clock.js';
import { failureOf, inputOf } from './expressions.js';
import { watchHeartbeat } from './heartbeat.js';

const MAX_RESULT_BYTES = 32 * 1024;
const MAX_MESSAGE_LENGTH = 2_000;

/** One attempt that runs in this process. */
export type Run = {
  readonly taskId: string;
  readonly attempt: number;
  /** Ends the attempt and everything it started; its outcome follows. */
  abort(): void;
  readonly aborted: boolean;
  /** Lets it go no further for as long as its execution is paused, where it asks whether it may. */
  hold(isPaused: boolean): void;
};

/** What an attempt tells while and when it runs. */
type RunReports = {
  readonly step: (report: StepReport) => void;
  readonly metadata: (key: string, value: string) => void;
  readonly progress: (progress: Progress, settled: () => void) => void;
  readonly artifact: (artifact: NewArtifact) => void;
  readonly ended: (outcome: TaskOutcome) => void;
};

const failed = (code: string, message: string, retryable: boolean): { ok: false; error: Failure } => ({
  ok: false,
  error: { code, message, retryable },
});

const withShortMessage = (outcome: TaskOutcome): TaskOutcome => {
  if (outcome.ok || outcome.error.message.length <= MAX_MESSAGE_LENGTH) return outcome;
  const message = `${outcome.error.message.slice(0, MAX_MESSAGE_LENGTH)} …`;
  return { ...outcome, error: { ...outcome.error, message } };
};

/** A result that would not fit its place in the log is a failure of the task, not of the log. */
const bounded = (outcome: TaskOutcome): TaskOutcome => {
  const bytes = outcome.result === undefined ? 0 : Buffer.byteLength(JSON.stringify(outcome.result));
  if (bytes <= MAX_RESULT_BYTES) return withShortMessage(outcome);
  // Why it failed, and whether another attempt may help, matters more than what came of it.
  if (!outcome.ok) return withShortMessage({ ok: false, error: outcome.error });
  const message = `a result of ${bytes} bytes; at most ${MAX_RESULT_BYTES} are kept: write it to a file or to the output`;
  return failed('RESULT_TOO_LARGE', message, false);
};

const broken = ({ runner }: PlanTask, error: unknown): TaskOutcome =>
  error instanceof ExpressionError
    ? withShortMessage({ ok: false, error: failureOf(error) })
    : withShortMessage(failed('RUNNER_BROKEN', `runner ${runner} threw: ${String(error)}`, true));

export type RunnerHost = {
  readonly runners: ReadonlyMap<string, Runner>;
  readonly output: (ref: ExecutionRef, taskId: string, chunk: OutputChunk) => Promise<void>;
  /** Stores a file of an attempt, and returns the fact that it is there. Without it nothing is kept. */
  readonly keep?: (ref: ExecutionRef, by: { readonly taskId: string; readonly attempt: number; readonly stepId?: string }, file: MarkedFile) => Promise<NewArtifact>;
};

/** Errors of what stores it say whether another attempt may help. */
const notKept = (error: unknown): NotKept => ({
  why: error instanceof Error ? error.message : String(error),
  retryable: !(error instanceof Error && 'retryable' in error && error.retryable === false),
});

/** A file's fact is told before the attempt's end is. */
const artifactsOf = (keep: NonNullable<RunnerHost['keep']>, { ref, task, attempt }: Assignment, reports: RunReports): Pick<Attempt, 'artifact' | 'artifactPatterns'> => ({
  artifactPatterns: task.artifacts ?? [],
  artifact: async (file) => {
    try {
      const step = file.step === undefined ? {} : { stepId: stepIdOf(task.id, attempt, file.step) };
      reports.artifact(await keep(ref, { taskId: task.id, attempt, ...step }, file));
      return undefined;
    } catch (error) {
      return notKept(error);
    }
  },
});

type Identity = Pick<Attempt, 'ref' | 'taskId' | 'attempt' | 'input' | 'executionInput' | 'idempotencyKey'>;

/** An attempt, and the state it is made in: all of its input follows from that. */
type Assignment = { readonly ref: ExecutionRef; readonly state: State; readonly task: PlanTask; readonly attempt: number };

/** Throws ExpressionError where a template has no value. */
const identify = ({ ref, state, task, attempt }: Assignment): Identity => ({
  ref,
  taskId: task.id,
  attempt,
  input: inputOf(ref, state, task, attempt),
  executionInput: state.input,
  // The same at every attempt, so that a service that deduplicates does the work once.
  idempotencyKey: `${ref.execution}/${task.id}`,
});

/** True where the attempt may run before its start is committed. */
export const isEffectFree = (host: RunnerHost, task: PlanTask): boolean => host.runners.get(task.runner)?.sideEffects === false;

/**
 * Runs an attempt without side effects on the spot. Undefined when its runner needs time: then it is started as any other.
 */
export const runOnTheSpot = (
  host: RunnerHost,
  assignment: Assignment,
): TaskOutcome | undefined => {
  const { task } = assignment;
  const runner = host.runners.get(task.runner);
  if (!runner) return undefined;
  try {
    const outcome = runner.run({
      ...identify(assignment),
      signal: new AbortController().signal,
      output: () => Promise.resolve(),
      step: () => undefined,
    });
    if (!(outcome instanceof Promise)) return bounded(outcome);
    // It is run again once its start is committed; this outcome is nobody's.
    outcome.catch(() => undefined);
    return undefined;
  } catch (error) {
    return broken(task, error);
  }
};

const withoutHeartbeat = ({ heartbeatMs }: PlanTask, outcome: TaskOutcome): TaskOutcome => {
  // It was done before it could be ended.
  if (outcome.ok) return outcome;
  const error = { code: 'TASK_HEARTBEAT_MISSED', message: `no sign of life for ${heartbeatMs} ms`, retryable: true };
  return { ...outcome, error };
};

/** Starts an attempt whose start is committed. Reports exactly one outcome, never before this call has returned. */
export const startRun = (
  { host, clock }: { readonly host: RunnerHost; readonly clock: Clock },
  assignment: Assignment,
  reports: RunReports,
): Run => {
  const { ref, task, attempt } = assignment;
  const controller = new AbortController();
  const silent = new AbortController();
  const course = new AttemptCourse(assignment.state.tasks.get(task.id)?.progress, reports.progress);
  const runner = host.runners.get(task.runner);
  const heartbeat = task.heartbeatMs === undefined ? undefined : watchHeartbeat(clock, task.heartbeatMs, () => silent.abort());
  const run = async (): Promise<TaskOutcome> => {
    if (!runner) return failed('RUNNER_UNKNOWN', `this executor has no runner ${task.runner}`, false);
    return await runner.run({
      ...identify(assignment),
      signal: heartbeat ? AbortSignal.any([controller.signal, silent.signal]) : controller.signal,
      output: (chunk) => host.output(ref, task.id, chunk),
      step: (step) => {
        heartbeat?.beat();
        reports.step(step);
      },
      metadata: reports.metadata,
      course,
      ...(host.keep && artifactsOf(host.keep, assignment, reports)),
      ...(heartbeat && { heartbeat }),
    });
  };
  void Promise.resolve()
    .then(run)
    .then(bounded)
    .catch((error: unknown) => broken(task, error))
    .then((outcome) => {
      heartbeat?.end();
      reports.ended(silent.signal.aborted ? withoutHeartbeat(task, outcome) : outcome);
    });
  return {
    taskId: task.id,
    attempt,
    abort: () => {
      controller.abort();
      course.end();
    },
    hold: (isPaused) => course.hold(isPaused),
    get aborted() {
      return controller.signal.aborted;
    },
  };
};
