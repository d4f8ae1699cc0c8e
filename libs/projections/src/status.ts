import type { Event, EventData, Failure, JsonObject, Origin, PlanTask } from '#libs/contracts';
import { childId, childIds } from '#libs/execution';
import type { WaitsFor } from './views.js';

type Value = string | number | null;
type Columns = Readonly<Record<string, Value>>;

/** One change of the status read model's rows, below one execution. Columns and tables are the projection's own names. */
export type StatusChange =
  | { readonly op: 'insert'; readonly table: 'executions' | 'labels' | 'tasks' | 'steps' | 'clarifications' | 'answers' | 'metadata'; readonly row: Columns }
  | { readonly op: 'update'; readonly table: 'executions'; readonly set: Columns; readonly add?: Columns }
  | { readonly op: 'update'; readonly table: 'tasks' | 'steps' | 'clarifications' | 'metadata'; readonly id: string; readonly set: Columns }
  /** Running again, or pending where it had never started. */
  | { readonly op: 'resume' }
  /** Nothing of it is left. */
  | { readonly op: 'delete' };

const json = (value: JsonObject | Failure | Origin | WaitsFor | readonly string[] | undefined): string | null =>
  value === undefined ? null : JSON.stringify(value);

const execution = (set: Columns, add?: Columns): StatusChange =>
  add ? { op: 'update', table: 'executions', set, add } : { op: 'update', table: 'executions', set };

const task = (id: string, set: Columns): StatusChange => ({ op: 'update', table: 'tasks', id, set });
const step = (id: string, set: Columns): StatusChange => ({ op: 'update', table: 'steps', id, set });

type OfAttempt = { readonly taskId: string; readonly attempt: number };

const clarificationId = ({ taskId, attempt }: OfAttempt): string => `${taskId}.${attempt}`;

const closed = (of: OfAttempt, status: string, at: string): StatusChange => ({
  op: 'update',
  table: 'clarifications',
  id: clarificationId(of),
  set: { status, ended_at: at },
});

/** At one time somebody says one thing at most. */
const answer = (of: OfAttempt, { at, actor }: Event, said: { decision?: string; reason?: string; to?: string }): StatusChange => {
  const { decision = null, reason = null, to = null } = said;
  const row = { id: `${clarificationId(of)}.${at}.${actor}`, clarification: clarificationId(of), by_actor: actor, decision, reason, to_actor: to, at };
  return { op: 'insert', table: 'answers', row };
};

const ended = (failed: boolean): StatusChange => execution({}, { tasks_ended: 1, ...(failed && { tasks_failed: 1 }) });

const waitsForOf = ({ wakeAt, signal, event, child }: EventData['TaskStarted']): WaitsFor | undefined => {
  if (wakeAt !== undefined) return { kind: 'time', name: wakeAt };
  if (event) return { kind: 'event', name: event.subject };
  if (child !== undefined) return { kind: 'execution', name: child };
  return signal === undefined ? undefined : { kind: 'signal', name: signal };
};

const failedAttempt = (id: string, final: boolean, at: string, set: Columns): StatusChange[] =>
  final
    ? [task(id, { status: 'failed', ended_at: at, retry_at: null, waits_for: null, ...set }), ended(true)]
    : [task(id, { status: 'pending', waits_for: null, ...set })];

/** Tasks of the plan, the first of which is number `first`, counted from 0. */
const tasksFrom = (first: number, tasks: readonly PlanTask[]): StatusChange[] =>
  tasks.map(({ id, runner, dependsOn }, n) => {
    const row = { id, position: first + n, runner, depends_on: JSON.stringify(dependsOn), status: 'pending', attempt: 0 };
    return { op: 'insert', table: 'tasks', row };
  });

/** The rows that an event changes. Every event carries enough: nothing is looked up, so a rebuild ends in the same rows. */
export const statusChanges = (event: Event): readonly StatusChange[] => {
  const { at } = event;
  switch (event.type) {
    case 'ExecutionRequested': {
      const { plan, name, labels, input, dialect, origin, parent } = event.data;
      return [
        {
          op: 'insert',
          table: 'executions',
          row: {
            name,
            dialect,
            status: 'pending',
            labels: JSON.stringify(labels),
            input: JSON.stringify(input),
            requested_at: at,
            tasks_total: plan.tasks.length,
            ...(origin && { origin: json(origin), origin_execution: origin.execution }),
            ...(parent && { parent: json(parent), parent_execution: parent.execution }),
          },
        },
        ...Object.entries(labels).map(([key, value]): StatusChange => ({ op: 'insert', table: 'labels', row: { key, value } })),
        ...tasksFrom(0, plan.tasks),
      ];
    }
    case 'ExecutionPlanExtended': {
      const { tasks, first } = event.data;
      return [execution({}, { tasks_total: tasks.length }), ...tasksFrom(first, tasks)];
    }
    case 'ExecutionStarted':
      return [execution({ status: 'running', started_at: at })];
    case 'ExecutionPaused':
      return [execution({ status: 'paused' })];
    case 'ExecutionResumed':
      return [{ op: 'resume' }];
    case 'ExecutionCancelRequested': {
      const { mode, reason = null } = event.data;
      return [execution({ status: 'cancelling', cancel: JSON.stringify({ mode, reason }) })];
    }
    case 'ExecutionCancelled':
      return [execution({ status: 'cancelled', ended_at: at })];
    case 'ExecutionCompleted':
      return [execution({ status: 'completed', ended_at: at, result: json(event.data.result) })];
    case 'ExecutionFailed':
      return [execution({ status: 'failed', ended_at: at, reason: json(event.data.reason) })];
    case 'ExecutionDeleted':
      return [{ op: 'delete' }];
    case 'TaskStarted': {
      const { taskId, attempt, child } = event.data;
      const running = { status: 'running', attempt, started_at: at, retry_at: null, waits_for: json(waitsForOf(event.data)) };
      return [task(taskId, child === undefined ? running : { ...running, sub_execution: child })];
    }
    case 'TaskExpanded': {
      const { taskId, runner, first, count, items, notBefore = null } = event.data;
      const children = childIds(event.data).map((id, n): StatusChange => {
        const item = items[n] === undefined ? null : JSON.stringify(items[n]);
        const row = { id, position: first + n, runner, depends_on: '[]', status: 'pending', attempt: 0, parent: taskId, item, retry_at: notBefore };
        return { op: 'insert', table: 'tasks', row };
      });
      return [execution({}, { tasks_total: count }), task(taskId, { waits_for: json({ kind: 'tasks', name: childId(taskId, '*') }) }), ...children];
    }
    case 'TaskCompleted': {
      const { taskId, result } = event.data;
      return [task(taskId, { status: 'completed', ended_at: at, result: json(result), error: null, waits_for: null }), ended(false)];
    }
    case 'TaskFailed': {
      const { taskId, error, final, result } = event.data;
      return failedAttempt(taskId, final, at, { error: json(error), result: json(result) });
    }
    case 'TaskTimedOut': {
      const { taskId, timeoutMs, final } = event.data;
      const error: Failure = { code: 'TASK_TIMED_OUT', message: `no end within ${timeoutMs} ms`, retryable: true };
      return failedAttempt(taskId, final, at, { error: json(error) });
    }
    case 'TaskRetryScheduled':
      return [task(event.data.taskId, { retry_at: event.data.at })];
    case 'TaskSkipped':
      return [task(event.data.taskId, { status: 'skipped', ended_at: at, why: event.data.why, retry_at: null }), ended(false)];
    case 'TaskCancelled': {
      const { taskId, result } = event.data;
      return [task(taskId, { status: 'cancelled', ended_at: at, result: json(result), waits_for: null }), ended(false)];
    }
    case 'TaskProgressed': {
      const { taskId, done, failed, total } = event.data;
      return [task(taskId, { progress: JSON.stringify({ done, failed, total }) })];
    }
    case 'TaskCarriedOver': {
      const { taskId, status, from, result, error, why = null } = event.data;
      return [task(taskId, { status, ended_at: at, result: json(result), error: json(error), why, carried_from: from }), ended(status === 'failed')];
    }
    case 'TaskResultIgnored':
    case 'ExecutionCommandSatisfied':
    case 'ExecutionCompensationStarted':
    case 'SignalReceived':
    case 'ArtifactCreated':
    case 'ArtifactDeleted':
    case 'ArtifactExpired':
      return [];
    case 'ExecutionMetadataRecorded': {
      const { key, value } = event.data;
      return [
        { op: 'insert', table: 'metadata', row: { id: key, value } },
        { op: 'update', table: 'metadata', id: key, set: { value } },
      ];
    }
    case 'StepStarted': {
      const { stepId, taskId, name, metadata } = event.data;
      const number = Number(stepId.slice(stepId.lastIndexOf('.') + 1));
      const row = { id: stepId, task: taskId, number, name, status: 'running', started_at: at, metadata: JSON.stringify(metadata) };
      return [{ op: 'insert', table: 'steps', row }];
    }
    case 'StepCompleted':
      return [step(event.data.stepId, { status: 'completed', ended_at: at })];
    case 'StepFailed':
      return [step(event.data.stepId, { status: 'failed', ended_at: at, error: event.data.error })];
    case 'ClarificationRequested': {
      const { taskId, attempt, title, description = null, approvers, required, expiresAt = null, onExpiry, delegable } = event.data;
      const [id, list] = [clarificationId(event.data), JSON.stringify(approvers)];
      const asked = { id, task: taskId, attempt, title, description, approvers: list, required, expires_at: expiresAt, on_expiry: onExpiry };
      return [
        { op: 'insert', table: 'clarifications', row: { ...asked, delegable: delegable ? 1 : 0, status: 'pending', requested_at: at } },
        task(taskId, { waits_for: json({ kind: 'approval', name: title }) }),
      ];
    }
    case 'ClarificationResponded': {
      const { data } = event;
      const said = answer(data, event, data);
      return data.outcome === 'pending' ? [said] : [said, closed(data, data.outcome, at)];
    }
    case 'ClarificationDelegated':
      return [answer(event.data, event, event.data)];
    case 'ClarificationExpired':
      return [closed(event.data, 'expired', at)];
    case 'ClarificationWithdrawn':
      return [closed(event.data, 'withdrawn', at)];
    case 'StepSkipped':
      return [step(event.data.stepId, { status: 'skipped', ended_at: at })];
  }
  // A later version's event: a projection skips what it does not know.
  return [];
};
