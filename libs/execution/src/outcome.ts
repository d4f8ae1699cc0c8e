import type { EventData, Fact, Failure, JsonObject, PlanTask } from '#libs/contracts';
import { type Clarification, expired } from './clarifications.js';
import type { StepProgress, TaskOutcome } from './commands.js';
import { MAX_IGNORED, MAX_LOSSES, MAX_METADATA, MAX_STEPS } from './limits.js';
import { backoffMs, chanceOf, isRetryable, maxAttempts } from './retry.js';
import type { State } from './state.js';
import { type TaskProgress, type TaskState, isTerminal } from './task-state.js';

const planOf = (state: State, task: TaskState): PlanTask | undefined => state.graph.task.get(task.id);

/** False once the execution, or the fan-out that it is a part of, is on its way to its end: then a failed attempt is the last one. */
const mayRetry = (state: State, { compensates, parent }: TaskState): boolean =>
  !isTerminal(state.status) &&
  state.tasks.get(parent?.id ?? '')?.children?.isStopped !== true &&
  (compensates === undefined ? !state.cancel && state.stoppedBy === undefined : state.cancel?.mode !== 'immediate');

const retryAfter = (task: TaskState, now: number, delayMs: number): Fact => ({
  type: 'TaskRetryScheduled',
  data: { taskId: task.id, attempt: task.attempt + 1, at: new Date(now + delayMs).toISOString() },
});

const closeStep = (task: TaskState, error: string | undefined): Fact[] => {
  if (task.openStep === undefined) return [];
  const data = { taskId: task.id, stepId: task.openStep };
  return error === undefined
    ? [{ type: 'StepCompleted', data }]
    : [{ type: 'StepFailed', data: { ...data, error } }];
};

export const failAttempt = (
  state: State,
  task: TaskState,
  now: number,
  failed: (final: boolean) => Fact,
  error: Pick<Failure, 'code' | 'retryable'>,
  retryAfterMs?: number,
): Fact[] => {
  const plan = planOf(state, task);
  const failures = task.failures + 1;
  if (!plan || !isRetryable(plan, error) || !mayRetry(state, task) || failures >= maxAttempts(plan)) return [failed(true)];
  const chance = chanceOf(`${state.seed}/${task.id}/${failures}`);
  return [failed(false), retryAfter(task, now, backoffMs(plan, { failures, chance, retryAfterMs }))];
};

/** Nobody is asked any more what the attempt has asked. */
export const withdraw = ({ id: taskId, attempt, clarification }: TaskState): readonly Fact[] =>
  clarification ? [{ type: 'ClarificationWithdrawn', data: { taskId, attempt } }] : [];

/** Nobody has answered in time. */
export const expire = (state: State, task: TaskState, clarification: Clarification, now: number): readonly Fact[] =>
  expired(clarification, (code, message) => {
    const error: Failure = { code, message, retryable: true };
    return failAttempt(state, task, now, (final) => ({ type: 'TaskFailed', data: { taskId: task.id, attempt: task.attempt, error, final } }), error);
  });

const TIMED_OUT = { code: 'TASK_TIMED_OUT', retryable: true } as const;

/** The running attempt has passed its deadline. Whoever runs it has to end it: it is no longer the current one. */
export const timeOut = (state: State, task: TaskState, now: number): readonly Fact[] => {
  const timeoutMs = planOf(state, task)?.timeoutMs ?? 0;
  const { id: taskId, attempt } = task;
  return [
    ...closeStep(task, `no end within ${timeoutMs} ms`),
    ...withdraw(task),
    ...failAttempt(state, task, now, (final) => ({ type: 'TaskTimedOut', data: { taskId, attempt, timeoutMs, final } }), TIMED_OUT),
  ];
};

const withResult = (result: JsonObject | undefined): { result?: JsonObject } => (result === undefined ? {} : { result });

const ignore = (state: State, taskId: string, attempt: number): readonly Fact[] => {
  if (state.ignored >= MAX_IGNORED || !state.tasks.has(taskId)) return [];
  const task = state.tasks.get(taskId);
  const why = isTerminal(state.status)
    ? `execution ${state.status}`
    : `attempt ${task?.attempt ?? 0} is ${task?.status ?? 'unknown'}`;
  return [{ type: 'TaskResultIgnored', data: { taskId, attempt, why } }];
};

/** The task when `attempt` is the one that runs now. */
export const current = (state: State, taskId: string, attempt: number): TaskState | undefined => {
  const task = state.tasks.get(taskId);
  return task?.status === 'running' && task.attempt === attempt && !isTerminal(state.status) ? task : undefined;
};

/** True when this very outcome is what the attempt ended with: reported twice, it changes nothing. */
const isRecorded = (state: State, taskId: string, attempt: number, outcome: TaskOutcome): boolean => {
  const task = state.tasks.get(taskId);
  if (task?.attempt !== attempt) return false;
  return outcome.ok ? task.status === 'completed' : task.error?.code === outcome.error.code;
};

export const recordOutcome = (
  state: State,
  taskId: string,
  attempt: number,
  outcome: TaskOutcome,
  now: number,
): readonly Fact[] => {
  const task = current(state, taskId, attempt);
  // Nothing runs in a wait, so nothing comes of it but what the core says itself.
  if (!task || task.executor === '') return isRecorded(state, taskId, attempt, outcome) ? [] : ignore(state, taskId, attempt);
  if (outcome.ok) {
    return [...closeStep(task, undefined), { type: 'TaskCompleted', data: { taskId, attempt, result: outcome.result } }];
  }
  const { error } = outcome;
  const steps = closeStep(task, error.message);
  if (state.cancel?.mode === 'immediate') {
    return [...steps, { type: 'TaskCancelled', data: { taskId, attempt, ...withResult(outcome.result) } }];
  }
  const failed = (final: boolean): Fact => ({
    type: 'TaskFailed',
    data: { taskId, attempt, error, final, ...withResult(outcome.result) },
  });
  return [...steps, ...failAttempt(state, task, now, failed, error, outcome.retryAfterMs)];
};

/** Found twice, or by two owners, it changes nothing. */
export const recordEvent = (state: State, taskId: string, attempt: number, event: JsonObject): readonly Fact[] =>
  current(state, taskId, attempt)?.event === undefined ? [] : [{ type: 'TaskCompleted', data: { taskId, attempt, result: event } }];

export const recordProgress = (state: State, taskId: string, attempt: number, progress: TaskProgress): readonly Fact[] =>
  current(state, taskId, attempt) ? [{ type: 'TaskProgressed', data: { taskId, attempt, ...progress } }] : [];

export const recordLostAttempt = (state: State, taskId: string, attempt: number, now: number): readonly Fact[] => {
  const task = current(state, taskId, attempt);
  if (!task || task.executor === '') return [];
  const message = `its executor ${task.executor} is gone`;
  const steps = closeStep(task, message);
  if (state.cancel && !mayRetry(state, task)) return [...steps, { type: 'TaskCancelled', data: { taskId, attempt } }];
  const again = mayRetry(state, task) && planOf(state, task)?.onLost !== 'fail' && task.losses + 1 < MAX_LOSSES;
  const error: Failure = { code: 'ATTEMPT_LOST', message, retryable: again };
  const failed: Fact = { type: 'TaskFailed', data: { taskId, attempt, error, final: !again } };
  return again ? [...steps, failed, retryAfter(task, now, 0)] : [...steps, failed];
};

/** The same value again is no news. */
export const recordMetadata = (state: State, { taskId, attempt, key, value }: EventData['ExecutionMetadataRecorded']): readonly Fact[] => {
  const { metadata, metadataChanges } = state;
  const isFull = metadataChanges >= MAX_METADATA.changes || (!metadata.has(key) && metadata.size >= MAX_METADATA.keys);
  if (!current(state, taskId, attempt) || isFull || metadata.get(key) === value) return [];
  return [{ type: 'ExecutionMetadataRecorded', data: { taskId, attempt, key, value } }];
};

/** `number`: 1 for the first that the attempt starts. */
export const stepIdOf = (taskId: string, attempt: number, number: number): string => `${taskId}.${attempt}.${number}`;

export const recordStep = (state: State, taskId: string, attempt: number, step: StepProgress): readonly Fact[] => {
  const task = current(state, taskId, attempt);
  if (!task) return [];
  switch (step.kind) {
    case 'completed':
      return closeStep(task, undefined);
    case 'failed':
      return closeStep(task, step.error);
    case 'started': {
      if (task.steps >= MAX_STEPS) return [];
      const stepId = stepIdOf(taskId, attempt, task.steps + 1);
      const { name, metadata } = step;
      return [...closeStep(task, undefined), { type: 'StepStarted', data: { taskId, attempt, stepId, name, metadata } }];
    }
  }
};
