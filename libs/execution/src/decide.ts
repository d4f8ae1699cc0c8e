import type { Event, Fact, Failure, Plan } from '#libs/contracts';
import { addArtifact, deleteArtifact, expireArtifact, recordArtifact } from './artifacts.js';
import { begin, decideLoop, isExpanded, isUndecided } from './children.js';
import { answered, delegated, questionOf, whyNot } from './clarifications.js';
import { type ClientCommand, type Command, type Context, parseCause, stamp } from './commands.js';
import { consequences, due, endingOf, kindOf } from './consequences.js';
import { deletionOf, ofDeleted } from './deletion.js';
import { fold } from './evolve.js';
import { MAX_CONSEQUENCES, MAX_SIGNALS } from './limits.js';
import { recordEvent, recordLostAttempt, recordMetadata, recordOutcome, recordProgress, recordStep } from './outcome.js';
import { Refused } from './refused.js';
import { startable } from './starting.js';
import type { State } from './state.js';
import { recordChildEnd } from './sub-executions.js';
import { type TaskState, isTerminal } from './task-state.js';
import { waitOf } from './waits.js';

const reasonOf = (command: { readonly reason?: string }): { reason?: string } =>
  command.reason === undefined ? {} : { reason: command.reason };

const refuseEnded = (state: State, verb: string): never => {
  const reason = state.reason ? ` (${state.reason.message})` : '';
  throw new Refused(
    'EXECUTION_TERMINAL',
    `the execution is ${state.status}${reason} and can't be ${verb}; request a new one`,
  );
};

/** True for a command that was applied already. Throws Refused for another one under the same key. */
const isRepeated = (state: State, { cause }: Context): boolean => {
  const { key, fingerprint } = parseCause(cause);
  const known = state.applied.get(key);
  if (known === undefined || known === fingerprint) return known !== undefined;
  throw new Refused('IDEMPOTENCY_KEY_REUSED', 'this idempotency key came with another command before; give every command a key of its own');
};

/** Nothing to do now. A command that its client named is remembered all the same: sent again later, it must not be applied then. */
const satisfied = (command: ClientCommand, { cause }: Context): readonly Fact[] =>
  parseCause(cause).fingerprint === '' ? [] : [{ type: 'ExecutionCommandSatisfied', data: { command: command.type } }];

type OfArtifact = Extract<ClientCommand, { readonly type: 'AddArtifact' | 'DeleteArtifact' | 'ExpireArtifact' }>;

const ofArtifact = (command: OfArtifact, state: State, now: number): readonly Fact[] => {
  switch (command.type) {
    case 'AddArtifact':
      return addArtifact(state, command.artifact);
    case 'DeleteArtifact':
      return deleteArtifact(state, command.artifactId);
    case 'ExpireArtifact':
      return expireArtifact(state, command.artifactId, now);
  }
};

type Answering = Extract<ClientCommand, { readonly type: 'RespondToClarification' | 'DelegateClarification' }>;

/** An answer, or its delegation, while the question is open: not after it has ended, and not past its time, whoever has looked at that. */
const clarify = (command: Answering, state: State, context: Context, now: number): readonly Fact[] => {
  const { taskId, roles } = command;
  const task = state.tasks.get(taskId);
  const { clarification } = task ?? {};
  if (!task || !clarification) throw new Refused('CLARIFICATION_NOT_FOUND', `task '${taskId}' has not asked for an approval; see what the execution waits for`);
  const who = { actor: context.actor, roles };
  const before = clarification.answers.find(({ by }) => by === context.actor);
  const wanted = command.type === 'RespondToClarification' ? command.decision : undefined;
  if (before && before.decision === wanted) return isTerminal(state.status) ? [] : satisfied(command, context);
  if (before) throw new Refused('ALREADY_ANSWERED', `you have answered ${before.decision} at ${before.at}; an answer is final`);
  const refusal = whyNot(clarification, who, state.requestedBy);
  if (refusal) throw refusal;
  const isExpired = now >= (clarification.expiresAt ?? Infinity);
  if (task.status !== 'running' || isExpired) {
    const why = task.status === 'running' ? `expired at ${clarification.asked.expiresAt}` : `task '${taskId}' is ${task.status}`;
    throw new Refused('CLARIFICATION_CLOSED', `nobody is asked any more: ${why}`);
  }
  if (command.type === 'DelegateClarification') return [delegated(clarification, context.actor, command.to, state.requestedBy)];
  return answered(clarification, { by: context.actor, decision: command.decision, reason: command.reason, at: new Date(now).toISOString() });
};

const control = (command: Exclude<ClientCommand, { type: 'RequestExecution' } | Answering | OfArtifact>, state: State, context: Context): readonly Fact[] => {
  switch (command.type) {
    case 'PauseExecution':
      if (isTerminal(state.status)) return refuseEnded(state, 'paused');
      if (state.cancel) throw new Refused('EXECUTION_CANCELLING', "the execution is being cancelled and can't be paused");
      if (state.status === 'paused') return satisfied(command, context);
      return [{ type: 'ExecutionPaused', data: reasonOf(command) }];
    case 'ResumeExecution':
      if (isTerminal(state.status)) return refuseEnded(state, 'resumed');
      if (state.cancel) throw new Refused('EXECUTION_CANCELLING', "the execution is being cancelled and can't be resumed");
      if (state.status !== 'paused') return satisfied(command, context);
      return [{ type: 'ExecutionResumed', data: reasonOf(command) }];
    case 'CancelExecution': {
      // Nothing follows an end, and it stays what it is: there is nothing to remember.
      if (state.status === 'cancelled') return [];
      if (isTerminal(state.status)) return refuseEnded(state, 'cancelled');
      const stronger = state.cancel?.mode === 'graceful' && command.mode === 'immediate';
      if (state.cancel && !stronger) return satisfied(command, context);
      return [{ type: 'ExecutionCancelRequested', data: { mode: command.mode, ...reasonOf(command) } }];
    }
    case 'DeleteExecution':
      return [deletionOf(state, command.reason)];
    case 'SendSignal': {
      if (isTerminal(state.status)) return refuseEnded(state, 'signalled');
      if (state.cancel && !state.compensating) throw new Refused('EXECUTION_CANCELLING', "the execution is being cancelled: no task of it waits for a signal any more");
      if (state.signals.length >= MAX_SIGNALS) {
        throw new Refused('SIGNALS_FULL', `the execution has ${MAX_SIGNALS} signals that no task has taken; send this one once tasks have`);
      }
      return [{ type: 'SignalReceived', data: { name: command.name, payload: command.payload } }];
    }
  }
};

type Starting = Extract<Command, { type: 'StartTask' | 'SkipTask' | 'FailTask' }>;

const failedForGood = ({ id: taskId, attempt }: TaskState, error: Failure): Fact => ({ type: 'TaskFailed', data: { taskId, attempt, error, final: true } });

const started = ({ timeoutMs }: Plan, now: number): Fact => ({
  type: 'ExecutionStarted',
  data: timeoutMs === undefined ? {} : { deadlineAt: new Date(now + timeoutMs).toISOString() },
});

/** What becomes of a task that is due; the first one starts the execution. */
const startTask = (state: State, command: Starting, now: number): Fact[] => {
  const { taskId } = command;
  const plan = state.graph.task.get(taskId);
  const task = state.tasks.get(taskId);
  if (task && command.type === 'FailTask' && isUndecided(state, task)) return [failedForGood(task, command.error)];
  if (!plan || !task || !startable(state, task, now)) {
    throw new Refused('TASK_NOT_STARTABLE', `task '${taskId}' is not due to start`);
  }
  const facts: Fact[] = state.startedAt === undefined ? [started(state.plan, now)] : [];
  switch (command.type) {
    case 'StartTask': {
      const { executor, after = 0, child, input = plan.input, items = [] } = command;
      const attempt = task.attempt + 1;
      if (isExpanded(plan)) return [...facts, ...begin(state, plan, attempt, items)];
      const rendered = { ...plan, input };
      const wait = waitOf(rendered, now, { after, child }) ?? { executor };
      const deadline = plan.timeoutMs === undefined ? {} : { deadlineAt: new Date(now + plan.timeoutMs).toISOString() };
      facts.push({ type: 'TaskStarted', data: { taskId, attempt, ...deadline, ...wait } });
      if (plan.runner === 'approval') facts.push({ type: 'ClarificationRequested', data: questionOf(rendered, attempt, now) });
      return facts;
    }
    case 'SkipTask':
      return [...facts, { type: 'TaskSkipped', data: { taskId, why: `its condition is false: ${plan.when ?? ''}`, kind: 'condition' } }];
    case 'FailTask':
      return [...facts, failedForGood(task, command.error)];
  }
};

/** What the same request has not told yet. Once the execution is being given up, that is too late. */
const rest = ({ plan, carried = [] }: Extract<Command, { type: 'RequestExecution' }>, state: State): readonly Fact[] => {
  if (!state.incomplete) return [];
  if (isTerminal(state.status)) return refuseEnded(state, 'requested to the end');
  if (state.cancel) throw new Refused('EXECUTION_CANCELLING', 'the execution was cancelled before all of its plan was there; request a new one');
  if (state.gaveUp) throw new Refused('EXECUTION_TERMINAL', 'the execution is being given up, as the rest of its plan had not come in time; request a new one');
  const first = state.plan.tasks.length;
  const tasks = plan.tasks.slice(first);
  const left = carried.slice(Math.max(0, carried.length - state.incomplete.missing));
  return tasks.length === 0 ? left : [{ type: 'ExecutionPlanExtended', data: { tasks, first } }, ...left];
};

/** What the command itself says, before what follows from it. */
const respond = (command: Command, state: State, context: Context, now: number): readonly Fact[] => {
  if (state.deleted) return ofDeleted(command, state.deleted, () => isRepeated(state, context));
  if (command.type === 'RequestExecution') {
    if (isRepeated(state, context)) return rest(command, state);
    if (state.status !== undefined) throw new Refused('EXECUTION_EXISTS', 'an execution with this id exists; choose another id');
    const { plan, name, labels, input, dialect, origin, parent, carried = [] } = command;
    return [{ type: 'ExecutionRequested', data: { plan, name, labels, input, dialect, ...(origin && { origin }), ...(parent && { parent }) } }, ...carried];
  }
  if (state.status === undefined) throw new Refused('EXECUTION_NOT_FOUND', 'no such execution; check id and tenant');
  switch (command.type) {
    case 'PauseExecution':
    case 'ResumeExecution':
    case 'CancelExecution':
    case 'DeleteExecution':
    case 'SendSignal':
      return isRepeated(state, context) ? [] : control(command, state, context);
    case 'RespondToClarification':
    case 'DelegateClarification':
      return isRepeated(state, context) ? [] : clarify(command, state, context, now);
    case 'AddArtifact':
    case 'DeleteArtifact':
    case 'ExpireArtifact':
      return isRepeated(state, context) ? [] : ofArtifact(command, state, now);
    case 'RecordArtifact':
      return recordArtifact(state, command.taskId, command.attempt, command.artifact);
    case 'StartTask':
    case 'SkipTask':
    case 'FailTask':
      return startTask(state, command, now);
    case 'RecordOutcome':
      return recordOutcome(state, command.taskId, command.attempt, command.outcome, now);
    case 'RecordEvent':
      return recordEvent(state, command.taskId, command.attempt, command.event);
    case 'RecordChildEnd':
      return recordChildEnd(state, command.taskId, command.attempt, command.end, now);
    case 'RecordProgress':
      return recordProgress(state, command.taskId, command.attempt, command.progress);
    case 'RecordLostAttempt':
      return recordLostAttempt(state, command.taskId, command.attempt, now);
    case 'RecordMetadata':
      return recordMetadata(state, command);
    case 'RecordStep':
      return recordStep(state, command.taskId, command.attempt, command.step);
    case 'DecideLoop': {
      const ending = endingOf(state, now);
      return decideLoop(state, command, now, ending && kindOf(ending));
    }
    case 'Advance':
      return due(state, now);
  }
};

/** What was decided, and the state that it leads to. */
export type Decision = { readonly events: readonly Event[]; readonly state: State };

/**
 * What the command changes, with everything that follows from it: a cancelled execution's tasks skipped, the end of the last
 * task as the end of the execution. Empty: already satisfied, answer as before. Of very many consequences the first come with
 * the command, the others at the next Advance. Throws Refused.
 */
export const decision = (command: Command, state: State, context: Context): Decision => {
  const now = Math.max(context.now, state.at);
  const events = stamp(respond(command, state, context, now), context, state.at);
  // Only time that an owner looks at counts, so that a client's command never reports a timeout.
  const until = command.type === 'Advance' ? now : 0;
  let settled = fold(state, events);
  while (events.length < MAX_CONSEQUENCES) {
    const following = stamp(consequences(settled, until, MAX_CONSEQUENCES - events.length), context, settled.at);
    if (following.length === 0) break;
    events.push(...following);
    settled = fold(settled, following);
  }
  return { events, state: settled };
};

/** The events of `decision`. Throws Refused. */
export const decide = (command: Command, state: State, context: Context): readonly Event[] => decision(command, state, context).events;
