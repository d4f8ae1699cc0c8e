import type { Event, EventData } from '#libs/contracts';
import { isExpanded } from './children.js';
import { startable } from './starting.js';
import type { State } from './state.js';
import { type TaskState, isTerminal } from './task-state.js';

const unless = (holds: boolean, why: string): string | undefined => (holds ? undefined : why);

const about = ({ id, status, attempt }: TaskState): string => `task '${id}' is ${status}${attempt > 0 ? ` in attempt ${attempt}` : ''}`;

const runs = (task: TaskState, attempt: number): string | undefined =>
  unless(task.status === 'running' && attempt === task.attempt, `it is about attempt ${attempt}, and ${about(task)}`);

const isOpen = (task: TaskState, stepId: string): string | undefined => unless(task.openStep === stepId, `step ${stepId} is not open`);

const isSignalled = ({ signals }: State, { signal }: TaskState): string | undefined =>
  unless(signal === undefined || signals.some(({ name }) => name === signal), `signal '${signal}', which it waits for, has not come`);

const mayAnswer = ({ id, clarification }: TaskState, actor: string): string | undefined => {
  if (!clarification) return `task '${id}' has asked nobody`;
  return unless(!clarification.answers.some(({ by }) => by === actor), `${actor} has answered already`);
};

const allEnded = ({ open }: State): string | undefined => unless(open === 0, `${open} of its tasks have not ended`);

/** What a request takes over in part is begun with that, before the request is told to its end. */
const isTakenOver = ({ incomplete, origin, graph }: State, { id, status, waitingFor }: TaskState): boolean =>
  incomplete !== undefined && origin !== undefined && status === 'pending' && waitingFor === 0 && isExpanded(graph.task.get(id) ?? {});

const starts = (state: State, task: TaskState, attempt: number, at: string): string | undefined =>
  startable(state, task, Date.parse(at)) || isTakenOver(state, task)
    ? unless(attempt === task.attempt + 1, `attempt ${attempt} follows attempt ${task.attempt}`)
    : `it was not due to start: ${about(task)}, the execution ${state.status ?? 'unborn'}`;

const carries = ({ origin, graph }: State, task: TaskState, { status }: EventData['TaskCarriedOver']): string | undefined => {
  if (!origin) return 'the execution carries on no other one';
  if (task.status !== 'pending' || task.attempt > 0) return about(task);
  return unless(status !== 'failed' || graph.task.get(task.id)?.onFailure === 'continue', 'a task that failed is carried over only where the plan passes that over');
};

type TaskEvent = Extract<Event, { readonly data: { readonly taskId: string } }>;
type ArtifactEvent = Extract<Event, { readonly data: { readonly artifactId: string } }>;

const isOfArtifact = (event: Event): event is ArtifactEvent => 'artifactId' in event.data;
const isOfTask = (event: Exclude<Event, ArtifactEvent>): event is TaskEvent => 'taskId' in event.data;

const faultOfArtifact = ({ artifacts }: State, { type, data, at }: ArtifactEvent): string | undefined => {
  const known = artifacts.get(data.artifactId);
  switch (type) {
    case 'ArtifactCreated':
      return unless(!known, `there is an artifact ${data.artifactId} already`);
    case 'ArtifactDeleted':
      return unless(known !== undefined, `there is no artifact ${data.artifactId}`);
    case 'ArtifactExpired':
      return unless((known?.expiresAt ?? Infinity) <= Date.parse(at), `there is no artifact ${data.artifactId} whose time has come`);
  }
};

const faultOf = (state: State, event: Exclude<Event, TaskEvent | ArtifactEvent | { readonly type: 'ExecutionDeleted' }>): string | undefined => {
  const { status, startedAt, cancel } = state;
  const is = `the execution is ${status ?? 'unborn'}`;
  switch (event.type) {
    case 'ExecutionRequested':
      return 'the execution exists already';
    case 'ExecutionPlanExtended': {
      const { plan, incomplete, gaveUp } = state;
      if (!incomplete || cancel || gaveUp) return incomplete ? `${is}, and the rest of its plan comes too late` : 'nothing of its plan is missing';
      return unless(event.data.first === plan.tasks.length, `it begins with task ${event.data.first}, and the plan has ${plan.tasks.length} so far`);
    }
    case 'ExecutionStarted':
      if (state.incomplete) return 'its plan is not whole';
      return unless(status === 'pending' && startedAt === undefined, startedAt === undefined ? is : 'it has started already');
    case 'ExecutionPaused':
      return unless(status === 'pending' || status === 'running', is);
    case 'ExecutionResumed':
      return unless(status === 'paused', is);
    case 'ExecutionCancelRequested':
      return unless(!cancel || (cancel.mode === 'graceful' && event.data.mode === 'immediate'), `${is} already`);
    case 'ExecutionCompensationStarted':
      return unless(state.forward === 0 && state.open > 0 && !state.compensating, `${state.forward} tasks that undo nothing have not ended, or it has begun already`);
    case 'ExecutionCancelled':
      return cancel ? allEnded(state) : 'nobody asked for it';
    case 'ExecutionCompleted':
      return state.incomplete ? 'its plan is not whole' : allEnded(state);
    case 'ExecutionFailed':
      return allEnded(state);
    case 'ExecutionCommandSatisfied':
    case 'SignalReceived':
      return undefined;
  }
};

const faultOfTask = (state: State, task: TaskState, event: TaskEvent): string | undefined => {
  switch (event.type) {
    case 'TaskStarted':
      return starts(state, task, event.data.attempt, event.at);
    case 'TaskFailed': {
      const { attempt, final } = event.data;
      return task.status === 'pending' && final ? unless(attempt === task.attempt, `it is about attempt ${attempt}, and ${about(task)}`) : runs(task, attempt);
    }
    case 'TaskCompleted':
      return runs(task, event.data.attempt) ?? isSignalled(state, task) ?? unless((task.children?.open ?? 0) === 0, `${task.children?.open} of its children have not ended`);
    case 'TaskExpanded': {
      const { attempt, first } = event.data;
      const { count = 0, open = 0 } = task.children ?? {};
      if (!isExpanded(state.graph.task.get(task.id) ?? {})) return `task '${task.id}' is not one that is done by others`;
      return runs(task, attempt) ?? unless(open === 0 && first === count, `it is about children from ${first} on, and ${count} there are, ${open} of which have not ended`);
    }
    case 'TaskTimedOut':
    case 'TaskCancelled':
    case 'TaskProgressed':
    case 'ExecutionMetadataRecorded':
    case 'StepStarted':
    case 'ClarificationRequested':
    case 'ClarificationWithdrawn':
      return runs(task, event.data.attempt);
    case 'ClarificationResponded':
    case 'ClarificationDelegated':
      return runs(task, event.data.attempt) ?? mayAnswer(task, event.actor);
    case 'ClarificationExpired':
      return runs(task, event.data.attempt) ?? unless((task.clarification?.expiresAt ?? Infinity) <= Date.parse(event.at), 'its time has not come');
    case 'TaskRetryScheduled': {
      const { attempt } = event.data;
      return unless(task.status === 'pending' && attempt === task.attempt + 1, `it is about attempt ${attempt}, and ${about(task)}`);
    }
    case 'TaskCarriedOver':
      return carries(state, task, event.data);
    case 'TaskSkipped':
      return unless(task.status === 'pending', about(task));
    case 'StepCompleted':
    case 'StepFailed':
    case 'StepSkipped':
      return isOpen(task, event.data.stepId);
    case 'TaskResultIgnored':
      return undefined;
  }
};

/**
 * Why no decision could have led from the state to the event; undefined where one could. The event's shape is taken for granted.
 * Rules that may grow with later versions, such as how often a task is tried, are not among these.
 */
export const illegality = (state: State, event: Event): string | undefined => {
  if (state.deleted) return 'nothing follows the deletion of an execution';
  if (state.status === undefined) return unless(event.type === 'ExecutionRequested', 'an execution begins with ExecutionRequested');
  if (Date.parse(event.at) < state.at) return `its time is before that of the event before it, ${new Date(state.at).toISOString()}`;
  if (isOfArtifact(event)) return faultOfArtifact(state, event);
  if (event.type === 'ExecutionDeleted') return unless(event.data.status === state.status, `the execution is ${state.status}, not ${event.data.status}`);
  if (isTerminal(state.status)) {
    return unless(event.type === 'TaskResultIgnored', `the execution is ${state.status}: only artifacts, a result that came too late, and its deletion may follow`);
  }
  if (!isOfTask(event)) return faultOf(state, event);
  const task = state.tasks.get(event.data.taskId);
  return task ? faultOfTask(state, task, event) : `the plan has no task '${event.data.taskId}'`;
};
