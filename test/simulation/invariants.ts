import type { Event } from '#libs/contracts';
import { isTerminal, keyedCause } from '#libs/execution';
import { Audit, type Execution, type StoredCommit, replay, unborn } from '#libs/ledger';
import { whyOf } from '#libs/projections';
import type { Broker } from './broker.js';
import type { Answer, Client } from './client.js';
import type { Effects } from './effects.js';
import type { SimulatedExecutor } from './executor.js';
import type { Model } from './model.js';
import type { Scheduler } from './scheduler.js';

type Played = {
  readonly broker: Broker;
  readonly client: Client;
  readonly effects: Effects;
  readonly scheduler: Scheduler;
  readonly models: ReadonlyMap<string, Model>;
  readonly up: readonly SimulatedExecutor[];
};

/** What must hold once all faults have ended and all has settled. What must hold after every commit is in the model, and at every start in the effects. */
export function* finalViolations(played: Played): Generator<string> {
  const { broker, client, effects, models, scheduler, up } = played;
  const alive = new Set(up.map(({ host }) => host.name));
  yield* ofAudit(broker.all, broker.all.length);
  yield* ofAudit(broker.held, broker.all.length);
  for (const [name, model] of models) {
    const history = broker.all.filter(({ ref }) => ref.execution === name);
    yield* ofExecution(name, history, model, scheduler.now, alive);
    yield* ofEffects(name, history, effects);
    const left = broker.held.filter(({ ref }) => ref.execution === name).length;
    if (model.isDeleted && left !== 1) yield `${name} is deleted, and ${left} commits of it are left`;
    if (!model.isDeleted && left !== history.length) yield `${name} is not deleted, and ${history.length - left} commits of it are gone`;
  }
  yield* ofAnswers(client.answers, broker.all);
  yield* ofLeftovers(played);
}

type History = readonly StoredCommit[];

/** Of one execution, by its history: what became of it is what the model says, it is not stuck, and each attempt of it has one outcome. */
export function* ofExecution(name: string, history: History, model: Model, now: number, alive: ReadonlySet<string>): Generator<string> {
  const execution = replay(unborn(history[0]!.ref), history);
  yield* ofModel(name, execution, model);
  yield* ofEnd(name, execution, history, now, alive);
  yield* ofOutcomes(name, history);
}

/** Whole, and as it is once what was deleted is purged. */
function* ofAudit(log: History, lastSequence: number): Generator<string> {
  const audit = new Audit('log');
  const faults = [...log.flatMap((stored) => audit.take(stored)), ...audit.end(lastSequence)];
  for (const { code, message } of faults) yield `the audit finds ${code}: ${message}`;
}

function* ofModel(name: string, { state }: Execution, model: Model): Generator<string> {
  if (state.status !== model.status) yield `${name} is ${state.status}, in the model ${model.status}`;
  for (const [id, expected] of model.tasks) {
    const task = state.tasks.get(id);
    const [is, should] = [`${task?.status} in attempt ${task?.attempt}`, `${expected.status} in attempt ${expected.attempt}`];
    if (is !== should) yield `${name} ${id} is ${is}, in the model ${should}`;
  }
}

/** It has ended, or waits for a client's call and for nothing else. */
function* ofEnd(name: string, { state }: Execution, history: History, now: number, alive: ReadonlySet<string>): Generator<string> {
  if (isTerminal(state.status)) return;
  const why = whyOf(name, history, state, now, alive);
  const stuck = why.waitsFor.filter(({ kind }) => kind !== 'resume');
  if (why.total === 0) yield `${name} is ${why.status} and waits for nothing that why could name`;
  for (const { task, text } of stuck) yield `${name} ${task ?? ''} is stuck: ${text}`;
}

function* ofOutcomes(name: string, history: History): Generator<string> {
  const open = new Set<string>();
  const ended = history.flatMap(({ commit }) => commit.events).some(({ type }) => /^Execution(Completed|Failed|Cancelled)$/.test(type));
  for (const { type, data } of history.flatMap(({ commit }) => commit.events)) {
    if (!('taskId' in data) || !('attempt' in data)) continue;
    const attempt = `${data.taskId}/${data.attempt}`;
    if (type === 'TaskStarted') open.add(attempt);
    else if (type === 'TaskCompleted' || type === 'TaskFailed' || type === 'TaskTimedOut' || type === 'TaskCancelled') {
      if (!open.delete(attempt)) yield `${name} ${attempt} has no start, or more than one outcome`;
    }
  }
  if (ended) for (const attempt of open) yield `${name} ${attempt} has no outcome`;
}

/** A completed attempt is one that ran, and its result is what came of that run. */
function* ofEffects(name: string, history: History, { all }: Effects): Generator<string> {
  for (const { type, data } of history.flatMap(({ commit }) => commit.events)) {
    if (type !== 'TaskCompleted' || data.result?.['effect'] === undefined) continue;
    const effect = all[Number(data.result['effect']) - 1];
    const isOwn = effect?.execution === name && effect.taskId === data.taskId && effect.attempt === data.attempt;
    if (!isOwn) yield `${name} ${data.taskId}/${data.attempt} has the result of another run`;
  }
}

/** A client that was told that its command was applied finds it in the log, once. The cause of an answer may be its key alone. */
export function* ofAnswers(answers: readonly Answer[], log: History): Generator<string> {
  for (const { ref, command, cause, told } of answers) {
    const isOf = (event: Event): boolean => event.cause === cause || event.cause.startsWith(keyedCause(cause, ''));
    const own = log.filter((stored) => stored.ref.execution === ref.execution && stored.commit.events.some(isOf));
    // Of one request there may be more commits than one, behind the first each with a part of its plan, or of what was done of it before.
    const applied = command.type === 'RequestExecution' ? own.filter(({ commit }) => commit.events.some(({ type }) => type === 'ExecutionRequested')) : own;
    const what = `${command.type} ${cause} of ${ref.execution}`;
    if (applied.length > 1) yield `${what} was applied ${applied.length} times`;
    if (told === 'applied' && applied.length === 0) yield `${what} is told to be applied, and is not in the log`;
    if (told === undefined) yield `${what} was never answered`;
  }
}

function* ofLeftovers({ up, models, effects }: Played): Generator<string> {
  const active = [...models.values()].filter(({ hasEnded }) => !hasEnded).length;
  let held = 0;
  for (const { host, owner } of up) {
    const { running } = owner.counts;
    held += owner.counts.active;
    if (owner.counts.deleted !== 0) yield `${host.name} has ${owner.counts.deleted} deleted executions left to clean up`;
    if (running !== 0) yield `${host.name} holds ${running} slots, and nothing runs`;
  }
  if (held !== active) yield `${active} executions are active, and executors hold ${held}`;
  for (const { host, execution, taskId, attempt, isRunning } of effects.all) if (isRunning) yield `${execution} ${taskId}/${attempt} still runs on ${host.name}`;
}
