import type { Event } from '#libs/contracts';
import { withArtifact, withoutArtifact } from './artifacts.js';
import { type Draft, addTasks, attemptFailed, cameIn, change, expand, idle, remember, undoNext } from './draft.js';
import { Refused } from './refused.js';
import { withoutFirst } from './signals.js';
import { type State, initial } from './state.js';

const timeOf = (value: string | undefined): number | undefined => (value === undefined ? undefined : Date.parse(value));

const apply = (draft: Draft, event: Event): void => {
  draft.at = Date.parse(event.at);
  draft.events += 1;
  switch (event.type) {
    case 'ExecutionRequested': {
      const { plan, name, labels, input, dialect, origin, parent, following = 0 } = event.data;
      draft.status = 'pending';
      Object.assign(draft, { plan, name, labels, input, dialect, origin, parent });
      if (following > 0) draft.incomplete = { missing: following, since: draft.at };
      addTasks(draft, plan.tasks);
      draft.correlationId = event.correlationId;
      draft.requestedBy = event.actor;
      draft.seed = event.cause;
      remember(draft, event);
      return;
    }
    case 'ExecutionPlanExtended': {
      const { tasks } = event.data;
      draft.plan = { ...draft.plan, tasks: [...draft.plan.tasks, ...tasks] };
      addTasks(draft, tasks);
      cameIn(draft);
      return;
    }
    case 'ExecutionStarted':
      draft.status = 'running';
      draft.startedAt = draft.at;
      draft.deadlineAt = timeOf(event.data.deadlineAt);
      return;
    case 'ExecutionPaused':
      draft.status = 'paused';
      remember(draft, event);
      return;
    case 'ExecutionResumed':
      draft.status = draft.startedAt === undefined ? 'pending' : 'running';
      draft.resumedAt = draft.at;
      remember(draft, event);
      return;
    case 'ExecutionCancelRequested':
      draft.status = 'cancelling';
      draft.cancel = { mode: event.data.mode, reason: event.data.reason };
      remember(draft, event);
      return;
    case 'ExecutionCommandSatisfied':
      remember(draft, event);
      return;
    case 'ExecutionCompensationStarted':
      draft.compensating = { reason: event.data.reason };
      undoNext(draft);
      return;
    case 'ExecutionCancelled':
      draft.status = 'cancelled';
      return;
    case 'ExecutionCompleted':
      draft.status = 'completed';
      draft.result = event.data.result;
      return;
    case 'ExecutionFailed':
      draft.status = 'failed';
      draft.reason = event.data.reason;
      return;
    case 'ExecutionDeleted': {
      const { status, workspace, reason } = event.data;
      const labels = workspace === undefined ? {} : { workspace };
      Object.assign(draft, initial, { status, labels, at: draft.at, events: 1, deleted: { at: draft.at, by: event.actor, reason } });
      remember(draft, event);
      return;
    }
    case 'SignalReceived': {
      const { name, payload } = event.data;
      draft.signals = [...draft.signals, { name, payload, receivedAt: event.at, by: event.actor }];
      remember(draft, event);
      return;
    }
    case 'ArtifactCreated':
      draft.artifacts = withArtifact(draft, event.data);
      // What an attempt has made was asked for by nobody.
      if (event.data.attempt === undefined) remember(draft, event);
      return;
    case 'ArtifactDeleted':
      draft.artifacts = withoutArtifact(draft, event.data.artifactId);
      remember(draft, event);
      return;
    case 'ArtifactExpired':
      draft.artifacts = withoutArtifact(draft, event.data.artifactId);
      return;
    case 'ExecutionMetadataRecorded':
      draft.metadata = new Map([...draft.metadata, [event.data.key, event.data.value]]);
      draft.metadataChanges += 1;
      return;
    case 'TaskStarted':
      change(draft, event.data.taskId, {
        status: 'running',
        attempt: event.data.attempt,
        executor: event.data.executor,
        deadlineAt: timeOf(event.data.deadlineAt),
        wakeAt: timeOf(event.data.wakeAt),
        signal: event.data.signal,
        event: event.data.event,
        subExecution: event.data.child,
        clarification: undefined,
        retryAt: undefined,
        steps: 0,
        openStep: undefined,
      });
      cameIn(draft);
      return;
    case 'TaskExpanded':
      expand(draft, event.data);
      cameIn(draft);
      return;
    case 'TaskCompleted': {
      const { taskId, result } = event.data;
      draft.signals = withoutFirst(draft.signals, draft.tasks.get(taskId)?.signal);
      change(draft, taskId, { ...idle, status: 'completed', result, error: undefined });
      return;
    }
    case 'TaskFailed': {
      const { taskId, error, final, result } = event.data;
      const task = draft.tasks.get(taskId);
      const count =
        error.code === 'ATTEMPT_LOST' ? { losses: (task?.losses ?? 0) + 1 } : { failures: (task?.failures ?? 0) + 1 };
      attemptFailed(draft, taskId, final, { ...count, error, result });
      return;
    }
    case 'TaskTimedOut': {
      const { taskId, timeoutMs, final } = event.data;
      const error = { code: 'TASK_TIMED_OUT', message: `no end within ${timeoutMs} ms`, retryable: true };
      attemptFailed(draft, taskId, final, { failures: (draft.tasks.get(taskId)?.failures ?? 0) + 1, error });
      return;
    }
    case 'TaskRetryScheduled': {
      const retryAt = Date.parse(event.data.at);
      change(draft, event.data.taskId, { retryAt, dueAt: retryAt });
      return;
    }
    case 'TaskSkipped':
      if (event.data.kind === 'timeout' || event.data.kind === 'incomplete') draft.gaveUp = true;
      change(draft, event.data.taskId, { ...idle, status: 'skipped', passedOver: event.data.kind === 'condition' });
      if (event.data.kind === 'origin') cameIn(draft);
      return;
    case 'TaskCancelled':
      if (event.data.kind === 'timeout') draft.gaveUp = true;
      change(draft, event.data.taskId, { ...idle, status: 'cancelled', result: event.data.result });
      return;
    case 'TaskProgressed': {
      const { taskId, attempt: _, ...progress } = event.data;
      change(draft, taskId, { progress });
      return;
    }
    case 'TaskCarriedOver': {
      const { taskId, status, from, result, error } = event.data;
      change(draft, taskId, { status, passedOver: status === 'skipped', carriedFrom: from, result, error });
      cameIn(draft);
      return;
    }
    case 'TaskResultIgnored':
      draft.ignored += 1;
      return;
    case 'ClarificationRequested': {
      const { taskId, expiresAt } = event.data;
      change(draft, taskId, { clarification: { asked: event.data, expiresAt: timeOf(expiresAt), answers: [], delegations: [] } });
      return;
    }
    case 'ClarificationResponded': {
      const { taskId, decision, reason } = event.data;
      const { clarification } = draft.tasks.get(taskId) ?? {};
      const answer = { by: event.actor, decision, reason, at: event.at };
      if (clarification) change(draft, taskId, { clarification: { ...clarification, answers: [...clarification.answers, answer] } });
      remember(draft, event);
      return;
    }
    case 'ClarificationDelegated': {
      const { taskId, to } = event.data;
      const { clarification } = draft.tasks.get(taskId) ?? {};
      const delegation = { from: event.actor, to };
      if (clarification) change(draft, taskId, { clarification: { ...clarification, delegations: [...clarification.delegations, delegation] } });
      remember(draft, event);
      return;
    }
    case 'ClarificationExpired':
    case 'ClarificationWithdrawn':
      return;
    case 'StepStarted':
      change(draft, event.data.taskId, {
        openStep: event.data.stepId,
        steps: (draft.tasks.get(event.data.taskId)?.steps ?? 0) + 1,
      });
      return;
    case 'StepCompleted':
    case 'StepFailed':
    case 'StepSkipped':
      change(draft, event.data.taskId, { openStep: undefined });
      return;
  }
  // Reached only by data from a later version: who decides on a history must know all of it.
  const unknown: { type: string } = event;
  throw new Refused('EVENT_UNKNOWN', `event type ${unknown.type} is not known to this version; upgrade before going on`);
};

/**
 * Folds events in order; the state handed in stays as it was. `before` sees each event with the state that it meets, which is not to
 * be kept. Throws Refused EVENT_UNKNOWN, and what `before` throws.
 */
export const fold = (state: State, events: readonly Event[], before?: (state: State, event: Event) => void): State => {
  if (events.length === 0) return state;
  const draft: Draft = { ...state };
  for (const event of events) {
    before?.(draft, event);
    apply(draft, event);
  }
  return draft;
};

export const evolve = (state: State, event: Event): State => fold(state, [event]);
