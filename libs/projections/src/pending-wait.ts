import { type State, type TaskState, isBusy, isTerminal, mayStart, startBy } from '#libs/execution';
import { type Moment, type Moments, later } from './moments.js';
import { type Alive, type EndedBy, type Wait, anyExecutor, byTime, call, iso, nobodyOf } from './wait.js';

/** What a task that has yet to start waits for; undefined where it will not, or another's wait tells it. */
export const pendingWait = (id: string, state: State, task: TaskState, moments: Moments, now: number, alive?: Alive): Wait | undefined => {
  // A paused execution's tasks wait for nothing but the resume.
  if (task.status !== 'pending' || !mayStart(state, task)) return undefined;
  // Whose turn has not come is counted by the task that it is a part of.
  if (task.parent && task.waitingFor > 0) return undefined;
  if (task.compensates !== undefined && task.waitingFor > 0) return compensationWait(state, task, task.compensates, moments);
  return task.waitingFor > 0 ? dependenciesWait(state, task, moments) : startWait(id, state, task, moments, now, alive);
};

const dependenciesWait = (state: State, { id: task }: TaskState, moments: Moments): Wait => {
  const open = (state.graph.task.get(task)?.dependsOn ?? []).filter((name) => !isTerminal(state.tasks.get(name)?.status));
  const shown = open.length > 5 ? `${open.slice(0, 5).join(', ')} and ${open.length - 5} more` : open.join(', ');
  const endedBy = open.slice(0, 20).map((name): EndedBy => ({ kind: 'task', name }));
  return { kind: 'dependencies', task, text: `waits for ${shown}`, since: moments.first, until: null, endedBy };
};

const compensationWait = (state: State, { id: task }: TaskState, target: string, moments: Moments): Wait => {
  const current = state.undo?.id ?? '';
  const text = `undoes '${target}' once '${current}' has ended, and what completed after it is undone`;
  return { kind: 'compensation', task, text, since: moments.undoing ?? moments.first, until: null, endedBy: [{ kind: 'task', name: current }] };
};

const startWait = (
  id: string,
  state: State,
  waiting: TaskState,
  moments: Moments,
  now: number,
  alive?: Alive,
): Wait => {
  const { id: task, retryAt, attempt, error, parent } = waiting;
  if (retryAt !== undefined && retryAt > now) {
    const endedBy: EndedBy[] = [{ kind: 'time', name: iso(retryAt) }, call(id, 'cancel')];
    const since = moments.retried.get(task) ?? moments.expanded.get(parent?.id ?? '') ?? moments.first;
    const failed = error ? `attempt ${attempt} failed (${error.code}: ${error.message}), ` : '';
    const text = `${failed}attempt ${attempt + 1} follows at ${iso(retryAt)}${nobodyOf(alive)}`;
    return { kind: 'retry', task, text, since, until: iso(retryAt), endedBy };
  }
  const dependencies = (state.graph.task.get(task)?.dependsOn ?? []).map((name) => moments.ended.get(name));
  const called = waiting.compensates === undefined ? undefined : moments.undoing;
  const since = [...dependencies, called, moments.expanded.get(parent?.id ?? ''), moments.retried.get(task), moments.resumed].reduce<Moment>(later, moments.first);
  const limit = startBy(state, waiting);
  const until = limit === undefined ? null : iso(limit);
  const orFails = until === null ? '' : `, or it fails at ${until}`;
  const { concurrency } = state.plan;
  if (concurrency !== undefined && state.running >= concurrency) {
    const running = [...state.tasks.values()].filter(isBusy).slice(0, 20);
    const text = `the plan lets ${concurrency} ${concurrency === 1 ? 'task' : 'tasks'} run at once${orFails}`;
    const endedBy = [...running.map(({ id: name }): EndedBy => ({ kind: 'task', name })), ...byTime(until)];
    return { kind: 'concurrency', task, text, since, until, endedBy };
  }
  const text = `is due${nobodyOf(alive) || '; an executor with a free slot will start it'}${orFails}`;
  return { kind: 'executor', task, text, since, until, endedBy: [anyExecutor, ...byTime(until)] };
};
