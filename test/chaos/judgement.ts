import { type Event, isTombstone } from '#libs/contracts';
import type { StoredCommit } from '#libs/ledger';
import type { ListAnswer, TaskView } from '#libs/projections';
import type { Answer } from '../simulation/client.js';
import { ofAnswers, ofExecution } from '../simulation/invariants.js';
import type { Clients } from './clients.js';
import type { Effect } from './effects.js';
import type { Done } from './faults.js';
import type { Gateways } from './gateways.js';
import type { History } from './history.js';

/** How long the processes of an executor that was killed may outlive it. */
const REAPED_WITHIN_MS = 1_000;

const withEffects = ['command', 'http'];

/** What must hold of the log, once all is over. Whether its commits and events are right in themselves, `verify` says. */
export function* ofLog({ commits, models, complaints, torn }: History, clients: Clients): Generator<string> {
  yield* complaints;
  for (const [name, model] of models) {
    // What was purged before it was seen is judged by its deletion alone.
    const history = commits.filter(({ ref, commit }) => ref.execution === name && (!torn.has(name) || isTombstone(commit)));
    if (history.length === 0) yield `${name} has lost commits, and is not deleted`;
    if (history.length === 0) continue;
    yield* ofExecution(name, history, model, Date.now(), new Set());
    if (!model.hasEnded) yield `${name} has not ended: it is ${model.status}`;
  }
  yield* ofAnswers(clients.answers.filter(({ ref }) => !torn.has(ref.execution)), commits);
  yield* ofRequests(commits, clients.answers);
}

/** Parts of executions that are executions themselves, and what is retried in bulk, nobody else asks for. */
function* ofRequests(commits: History['commits'], answers: readonly Answer[]): Generator<string> {
  const asked = new Set(answers.flatMap(({ command, cause }) => (command.type === 'RequestExecution' ? [cause] : [])));
  for (const { ref, commit } of commits) {
    for (const event of commit.events) {
      const isAskedFor = event.type === 'ExecutionRequested' && event.data.parent === undefined && !event.cause.startsWith('bulk ');
      if (isAskedFor && !asked.has(event.cause.replace(/#[^#]*$/, ''))) yield `${ref.execution} was requested by ${event.cause}, which is nobody's`;
    }
  }
}

/** An attempt is given up for lost only where something was done to its executor; a broker that is away loses none. */
export function* ofLosses({ commits }: History, faults: readonly Done[], incarnations: ReadonlyMap<string, string>): Generator<string> {
  const running = new Map<string, { readonly executor: string; readonly since: number }>();
  for (const { ref, storedAt, commit } of commits) {
    for (const { type, data } of commit.events) {
      if (!('taskId' in data) || !('attempt' in data)) continue;
      const name = `${ref.execution}/${data.taskId}/${data.attempt}`;
      if (type === 'TaskStarted') running.set(name, { executor: data.executor, since: Date.parse(storedAt) });
      const attempt = running.get(name);
      if (type !== 'TaskFailed' || data.error.code !== 'ATTEMPT_LOST' || !attempt) continue;
      const victim = incarnations.get(attempt.executor);
      const isExcused = faults.some((fault) => fault.victim === victim && fault.at <= Date.parse(storedAt) && (fault.until ?? Infinity) >= attempt.since);
      if (victim !== undefined && !isExcused) yield `${name} was given up for lost, and nothing was done to ${victim} meanwhile`;
    }
  }
}

type Attempt = { readonly task: string; readonly started: Extract<Event, { readonly type: 'TaskStarted' }>['data'] };

/** What was done to the world is what the log says: each attempt once at most, none that is not in it, and all that it calls completed. */
export function* ofEffects({ commits, models, buried, torn }: History, effects: readonly Effect[], faults: readonly Done[], incarnations: ReadonlyMap<string, string>): Generator<string> {
  const attempts = new Map<string, Attempt>();
  const givenUp = new Set<string>();
  const completed: string[] = [];
  for (const { ref, event } of commits.flatMap(eventsOf)) {
    if (!('taskId' in event.data) || !('attempt' in event.data)) continue;
    const task = `${ref.execution}/${event.data.taskId}`;
    const name = `${task}/${event.data.attempt}`;
    if (event.type === 'TaskStarted') attempts.set(name, { task, started: event.data });
    else if (event.type === 'TaskCompleted') completed.push(name);
    else if (event.type === 'TaskTimedOut' || event.type === 'TaskFailed' || event.type === 'TaskCancelled') givenUp.add(name);
  }
  const seen = new Map<string, Effect>();
  for (const effect of effects) {
    if (torn.has(effect.execution)) continue;
    const name = `${effect.execution}/${effect.taskId}/${effect.attempt}`;
    const started = attempts.get(name)?.started;
    if (!started) yield `${name} was run, and its start is not in the log`;
    else if (effect.executor !== '' && started.executor !== effect.executor) yield `${name} was run by ${effect.executor}, and is ${started.executor}'s`;
    if (seen.has(name)) yield `${name} was run twice`;
    seen.set(name, effect);
    const before = `${effect.execution}/${effect.taskId}/${effect.attempt - 1}`;
    if (effect.isBeside && !givenUp.has(before)) yield `${name} was run beside another attempt that nobody had given up`;
    const killed = faults.find(({ kind, victim, at }) => kind === 'kill' && incarnations.get(effect.executor) === victim && at >= effect.beganAt);
    const lived = killed ? (effect.endedAt ?? 0) - killed.at : 0;
    if (lived > REAPED_WITHIN_MS) yield `${name} went on for ${lived} ms after its executor was killed`;
  }
  for (const name of completed) {
    const executor = attempts.get(name)?.started.executor ?? '';
    const effect = seen.get(name);
    const [execution = '', taskId = ''] = name.split('/');
    if (torn.has(execution)) continue;
    const runner = (buried.get(execution) ?? models.get(execution)?.tasks)?.get(taskId)?.plan.runner ?? '';
    if (executor !== '' && withEffects.includes(runner) && effect?.endedAt === undefined) yield `${name} has completed, and ${effect ? 'never came to its end' : 'nothing was done'}`;
  }
}

const eventsOf = ({ ref, commit }: StoredCommit) => commit.events.map((event) => ({ ref, event }));

/** The read models, as any client is answered from them, are what the model derives from the log. */
export async function* ofReadModels({ models: all, commits }: History, gateways: Gateways): AsyncGenerator<string> {
  const models = new Map([...all].filter(([, { isDeleted }]) => !isDeleted));
  const minSeq = commits[commits.length - 1]?.sequence ?? 0;
  const statuses = new Map<string, string>();
  for (let cursor = ''; ; ) {
    const answer = await gateways.read(`/api/v1/executions?limit=100&minSeq=${minSeq}${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
    if (answer?.status !== 200) return yield `the list of executions is not answered: ${JSON.stringify(answer)}`;
    const { executions, next } = answer.body as unknown as ListAnswer;
    for (const { id, status } of executions) statuses.set(id, status);
    if (next === null) break;
    cursor = next;
  }
  if (statuses.size !== models.size) yield `${statuses.size} executions are listed, and ${models.size} are in the log`;
  for (const [id, model] of models) {
    if (statuses.get(id) !== model.status) yield `${id} is listed as ${statuses.get(id)}, and ${model.status} in the model`;
    const answer = await gateways.read(`/api/v1/executions/${id}/tasks?minSeq=${minSeq}`);
    const tasks = (answer?.body['tasks'] ?? []) as readonly TaskView[];
    if (tasks.length !== model.tasks.size) yield `${id} is shown with ${tasks.length} tasks of ${model.tasks.size}`;
    for (const task of tasks) {
      const expected = model.tasks.get(task.id);
      if (task.status !== expected?.status || task.attempt !== expected.attempt) {
        yield `${id} ${task.id} is shown as ${task.status} in attempt ${task.attempt}, and ${expected?.status} in attempt ${expected?.attempt} in the model`;
      }
    }
  }
}
