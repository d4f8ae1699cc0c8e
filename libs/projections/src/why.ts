import type { Commit, ExecutionStatus, Failure } from '#libs/contracts';
import { type Clarification, type Children, REQUEST_WITHIN_MS, type State, type TaskState, childId, countOf, isBusy, isTerminal, mayStart, startBy } from '#libs/execution';

/** A moment in the log. */
export type Moment = { readonly time: string; readonly sequence: number };

/** Who or what could end a wait: the clock, a task, an executor, or a client's call. */
export type EndedBy = {
  readonly kind: 'time' | 'task' | 'executor' | 'client' | 'event' | 'execution';
  /** The time, the task's id, the subject of an event, the execution's id, the executor's incarnation (`any` where it may be any), or the call. */
  readonly name: string;
};

/** One thing that an execution waits for. */
export type Wait = {
  readonly kind: 'resume' | 'request' | 'attempt' | 'timer' | 'signal' | 'approval' | 'event' | 'execution' | 'retry' | 'executor' | 'concurrency' | 'tasks' | 'dependencies' | 'compensation';
  /** The task that waits; null for the execution itself. */
  readonly task: string | null;
  /** For people. */
  readonly text: string;
  readonly since: Moment;
  /** RFC 3339; null where no time ends it. */
  readonly until: string | null;
  readonly endedBy: readonly EndedBy[];
};

export type Why = {
  readonly id: string;
  readonly status: ExecutionStatus;
  /** Nearest to going on first; at most 100. */
  readonly waitsFor: readonly Wait[];
  /** How many there are. */
  readonly total: number;
  /** When the execution fails by itself; null where the plan sets no time. */
  readonly deadlineAt: string | null;
  /** How and when it ended; null while it has not. */
  readonly ended: (Moment & { readonly reason: Failure | null }) | null;
};

/** Incarnations of executors. */
type Alive = ReadonlySet<string>;

type Stored = { readonly sequence: number; readonly commit: Commit };

const MAX_WAITS = 100;
const rank: Record<Wait['kind'], number> = { resume: 0, request: 1, attempt: 2, timer: 3, signal: 4, approval: 5, event: 6, execution: 7, retry: 8, executor: 9, concurrency: 10, tasks: 11, dependencies: 12, compensation: 13 };

const call = (id: string, verb: string): EndedBy => ({ kind: 'client', name: `POST /api/v1/executions/${id}/${verb}` });
const anyExecutor: EndedBy = { kind: 'executor', name: 'any' };
const iso = (ms: number): string => new Date(ms).toISOString();
const later = (a: Moment, b: Moment | undefined): Moment => (b && b.sequence > a.sequence ? b : a);

/** When things that a wait can go back to happened. */
class Moments {
  readonly started = new Map<string, Moment>();
  readonly retried = new Map<string, Moment>();
  readonly ended = new Map<string, Moment>();
  readonly expanded = new Map<string, Moment>();
  first: Moment = { time: '', sequence: 0 };
  last: Moment = this.first;
  /** When the last part of its plan came, of those after the first. */
  extended: Moment | undefined;
  paused: Moment | undefined;
  resumed: Moment | undefined;
  /** When undoing began, or the last task of it ended. */
  undoing: Moment | undefined;

  constructor(history: readonly Stored[]) {
    for (const { sequence, commit } of history) for (const event of commit.events) this.take(event, sequence);
  }

  private take(event: Commit['events'][number], sequence: number): void {
    const moment = { time: event.at, sequence };
    this.last = moment;
    if (event.type === 'ExecutionRequested') this.first = moment;
    else if (event.type === 'ExecutionPlanExtended') this.extended = moment;
    else if (event.type === 'ExecutionPaused') this.paused = moment;
    else if (event.type === 'ExecutionResumed') this.resumed = moment;
    else if (event.type === 'ExecutionCompensationStarted') this.undoing = moment;
    else if (event.type === 'TaskStarted') this.started.set(event.data.taskId, moment);
    else if (event.type === 'TaskExpanded') this.expanded.set(event.data.taskId, moment);
    else if (event.type === 'TaskRetryScheduled') this.retried.set(event.data.taskId, moment);
    else if (event.type === 'TaskCompleted' || event.type === 'TaskFailed' || event.type === 'TaskTimedOut' || event.type === 'TaskCarriedOver') {
      this.ended.set(event.data.taskId, moment);
      if (this.undoing) this.undoing = moment;
    }
  }
}

/**
 * What an execution waits for, since when, until when, and who could end it, as of the end of `history` and at `now` (milliseconds
 * since the epoch). `state` is what the history folds to; it must not be empty. `alive`: incarnations of the executors that are,
 * where that is known.
 */
export const whyOf = (id: string, history: readonly Stored[], state: State, now: number, alive?: Alive): Why => {
  const { status = 'pending', reason = null, deadlineAt } = state;
  const moments = new Moments(history);
  if (isTerminal(status)) {
    return { id, status, waitsFor: [], total: 0, deadlineAt: null, ended: { ...endOf(history, moments), reason } };
  }
  const waits = [...state.tasks.values()].flatMap((task) => waitOf(id, state, task, moments, now, alive) ?? []);
  if (state.incomplete && !state.cancel) waits.push(requestWait(state, state.incomplete, moments, now, alive));
  if (status === 'paused') waits.push(resumeWait(id, state, moments));
  const waitsFor = waits.toSorted((a, b) => rank[a.kind] - rank[b.kind]).slice(0, MAX_WAITS);
  return { id, status, waitsFor, total: waits.length, deadlineAt: deadlineAt === undefined ? null : iso(deadlineAt), ended: null };
};

/** Results that came too late may follow the end. */
const endOf = (history: readonly Stored[], { last }: Moments): Moment => {
  for (const { sequence, commit } of history) {
    const end = commit.events.find(({ type }) => type === 'ExecutionCompleted' || type === 'ExecutionFailed' || type === 'ExecutionCancelled');
    if (end) return { time: end.at, sequence };
  }
  return last;
};

const resumeWait = (id: string, state: State, moments: Moments): Wait => ({
  kind: 'resume',
  task: null,
  text: state.running > 0 ? `paused: ${state.running} running, nothing more starts until it is resumed` : 'paused: nothing starts until it is resumed',
  since: moments.paused ?? moments.first,
  until: null,
  endedBy: [call(id, 'resume'), call(id, 'cancel')],
});

const requestWait = ({ plan }: State, { missing, since }: NonNullable<State['incomplete']>, moments: Moments, now: number, alive?: Alive): Wait => {
  const until = since + REQUEST_WITHIN_MS;
  const giveUp = until <= now ? `is given up${nobodyOf(alive) || ': an executor does that'}` : `is given up at ${iso(until)}${nobodyOf(alive)}`;
  const text = `${plan.tasks.length} tasks of its plan are there, more have to come in ${missing} further events: send the same request again, or it ${giveUp}`;
  const endedBy: EndedBy[] = [{ kind: 'client', name: 'POST /api/v1/executions' }, until <= now ? anyExecutor : { kind: 'time', name: iso(until) }];
  return { kind: 'request', task: null, text, since: moments.extended ?? moments.first, until: iso(until), endedBy };
};

const waitOf = (id: string, state: State, task: TaskState, moments: Moments, now: number, alive?: Alive): Wait | undefined => {
  if (task.status === 'running') {
    if (task.children) return childrenWait(state, task, task.children, moments, alive);
    if (task.wakeAt !== undefined) return timerWait(id, state, task, moments, now, alive);
    if (task.event) return eventWait(id, state, task, task.event.subject, moments, alive);
    if (task.subExecution !== undefined) return subExecutionWait(id, state, task, task.subExecution, moments, alive);
    if (task.clarification) return approvalWait(id, state, task, task.clarification, moments);
    return task.signal === undefined ? attemptWait(id, state, task, moments, alive) : signalWait(id, state, task, task.signal, moments);
  }
  // A paused execution's tasks wait for nothing but the resume.
  if (task.status !== 'pending' || !mayStart(state, task)) return undefined;
  // Whose turn has not come is counted by the task that it is a part of.
  if (task.parent && task.waitingFor > 0) return undefined;
  if (task.compensates !== undefined && task.waitingFor > 0) return compensationWait(state, task, task.compensates, moments);
  return task.waitingFor > 0 ? dependenciesWait(state, task, moments) : startWait(id, state, task, moments, now, alive);
};

const cancellingOf = ({ cancel }: State): string => (cancel ? `; the execution is being cancelled (${cancel.mode})` : '');

/** The clock ends nothing by itself: somebody has to look at it. */
const nobodyOf = (alive: Alive | undefined): string => (alive?.size === 0 ? '; no executor is alive: start one' : '');

const timerWait = (id: string, state: State, { id: task, wakeAt = 0 }: TaskState, moments: Moments, now: number, alive?: Alive): Wait => {
  const isDue = wakeAt <= now;
  const who = nobodyOf(alive) || (isDue ? '; an executor ends it' : '');
  const text = `${isDue ? 'waited' : 'waits'} until ${iso(wakeAt)}${who}${cancellingOf(state)}`;
  const endedBy: EndedBy[] = [isDue ? anyExecutor : { kind: 'time', name: iso(wakeAt) }, call(id, 'cancel')];
  return { kind: 'timer', task, text, since: moments.started.get(task) ?? moments.first, until: iso(wakeAt), endedBy };
};

const signalWait = (id: string, state: State, { id: task, deadlineAt }: TaskState, name: string, moments: Moments): Wait => {
  const until = deadlineAt === undefined ? null : iso(deadlineAt);
  const endedBy: EndedBy[] = [call(id, `signals/${name}`), ...(until === null ? [] : [{ kind: 'time' as const, name: until }]), call(id, 'cancel')];
  const text = `waits for signal '${name}'${until === null ? ', without a time limit' : ''}${cancellingOf(state)}`;
  return { kind: 'signal', task, text, since: moments.started.get(task) ?? moments.first, until, endedBy };
};

const approvalWait = (id: string, state: State, { id: task, deadlineAt }: TaskState, clarification: Clarification, moments: Moments): Wait => {
  const { asked, expiresAt, delegations } = clarification;
  const ends = [deadlineAt, expiresAt].filter((time) => time !== undefined);
  const until = ends.length === 0 ? null : iso(Math.min(...ends));
  const { approvers, onExpiry } = asked;
  const who = [approvers.length === 0 ? 'whoever may' : approvers.slice(0, 5).join(', '), ...(approvers.length > 5 ? [`${approvers.length - 5} more`] : [])].join(' and ');
  const left = delegations.slice(-3).map(({ from, to }) => `; ${from} has left it to ${to}`).join('');
  const expiry = expiresAt === undefined ? ', without a time limit' : `; at ${iso(expiresAt)} it is ${{ reject: 'rejected', approve: 'approved', fail: 'failed' }[onExpiry] ?? 'over'}`;
  const text = `waits for approval '${asked.title}': ${countOf(clarification)} by ${who}${left}${expiry}${cancellingOf(state)}`;
  const endedBy: EndedBy[] = [call(id, `clarifications/${task}/respond`), ...(until === null ? [] : [{ kind: 'time' as const, name: until }]), call(id, 'cancel')];
  return { kind: 'approval', task, text, since: moments.started.get(task) ?? moments.first, until, endedBy };
};

const eventWait = (id: string, state: State, { id: task, event, deadlineAt }: TaskState, subject: string, moments: Moments, alive?: Alive): Wait => {
  const until = deadlineAt === undefined ? null : iso(deadlineAt);
  const fields = event?.match === undefined ? '' : ` with ${JSON.stringify(event.match)}`;
  const text = `waits for an event ${subject}${fields} of another execution${until === null ? ', without a time limit' : ''}${cancellingOf(state)}${nobodyOf(alive)}`;
  const endedBy: EndedBy[] = [{ kind: 'event', name: subject }, ...(until === null ? [] : [{ kind: 'time' as const, name: until }]), call(id, 'cancel')];
  return { kind: 'event', task, text, since: moments.started.get(task) ?? moments.first, until, endedBy };
};

const subExecutionWait = (id: string, state: State, { id: task, deadlineAt }: TaskState, child: string, moments: Moments, alive?: Alive): Wait => {
  const until = deadlineAt === undefined ? null : iso(deadlineAt);
  const text = `is execution ${child}, and ends when that has${until === null ? '' : `; it is cancelled at ${until}`}${cancellingOf(state)}${nobodyOf(alive)}`;
  return { kind: 'execution', task, text, since: moments.started.get(task) ?? moments.first, until, endedBy: [{ kind: 'execution', name: child }, call(id, 'cancel')] };
};

const attemptWait = (id: string, state: State, { id: task, attempt, executor, deadlineAt, progress }: TaskState, moments: Moments, alive?: Alive): Wait => {
  const since = moments.started.get(task) ?? moments.first;
  const until = deadlineAt === undefined ? null : iso(deadlineAt);
  const deadline: EndedBy[] = until === null ? [] : [{ kind: 'time', name: until }];
  if (alive && !alive.has(executor)) {
    const text = `attempt ${attempt} ran on executor ${executor}, which is gone${nobodyOf(alive) || '; another one takes over within seconds'}`;
    return { kind: 'attempt', task, text: text + cancellingOf(state), since, until, endedBy: [anyExecutor] };
  }
  const far = progress ? `, ${progress.done + progress.failed} of ${progress.total} done${progress.failed > 0 ? `, ${progress.failed} of them in vain` : ''}` : '';
  const text = `attempt ${attempt} runs on executor ${executor}${far}${until === null ? ', without a time limit' : ''}${cancellingOf(state)}`;
  return { kind: 'attempt', task, text, since, until, endedBy: [{ kind: 'executor', name: executor }, ...deadline, call(id, 'cancel')] };
};

const childrenWait = (state: State, { id: task }: TaskState, { count, open: left, admitted, isUndecided }: Children, moments: Moments, alive?: Alive): Wait | undefined => {
  const since = moments.expanded.get(task) ?? moments.first;
  const loop = state.graph.task.get(task)?.loop;
  const open = Array.from({ length: admitted }, (_, index) => childId(task, index)).flatMap((child) => state.tasks.get(child) ?? []).filter(({ status }) => !isTerminal(status));
  // None of the others starts before the resume.
  if (state.status === 'paused' && !open.some(({ status }) => status === 'running')) return undefined;
  if (isUndecided) {
    const text = `iteration ${count - 1} has ended${nobodyOf(alive) || '; an executor decides whether another one follows'}`;
    return { kind: 'executor', task, text, since, until: null, endedBy: [anyExecutor] };
  }
  const waiting = count - admitted;
  const turns = waiting > 0 ? `, ${waiting} of them ${waiting === 1 ? 'waits for its' : 'wait for their'} turn` : '';
  const text = loop ? `iteration ${count - 1} of at most ${loop.maxIterations} has not ended` : `${left} of ${count} items have not ended${turns}`;
  return { kind: 'tasks', task, text: text + cancellingOf(state), since, until: null, endedBy: open.slice(0, 20).map(({ id: name }) => ({ kind: 'task', name })) };
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
  const inTime: EndedBy[] = until === null ? [] : [{ kind: 'time', name: until }];
  const orFails = until === null ? '' : `, or fails at ${until}`;
  const { concurrency } = state.plan;
  if (concurrency !== undefined && state.running >= concurrency) {
    const running = [...state.tasks.values()].filter(isBusy).slice(0, 20);
    const text = `the plan lets ${concurrency} ${concurrency === 1 ? 'task' : 'tasks'} run at once${orFails}`;
    const endedBy = [...running.map(({ id: name }): EndedBy => ({ kind: 'task', name })), ...inTime];
    return { kind: 'concurrency', task, text, since, until, endedBy };
  }
  const text = `is due${nobodyOf(alive) || '; an executor with a free slot will start it'}${orFails}`;
  return { kind: 'executor', task, text, since, until, endedBy: [anyExecutor, ...inTime] };
};
