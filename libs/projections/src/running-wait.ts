import { type Children, type Clarification, type State, type TaskState, childId, countOf, isTerminal } from '#libs/execution';
import type { Moments } from './moments.js';
import { type Alive, type EndedBy, type Wait, anyExecutor, byTime, call, cancellingOf, iso, nobodyOf } from './wait.js';

/** What a task that runs waits for; undefined where nothing of it goes on before the resume. */
export const runningWait = (id: string, state: State, task: TaskState, moments: Moments, now: number, alive?: Alive): Wait | undefined => {
  if (task.children) return childrenWait(state, task, task.children, moments, alive);
  if (task.wakeAt !== undefined) return timerWait(id, state, task, moments, now, alive);
  if (task.event) return eventWait(id, state, task, task.event.subject, moments, alive);
  if (task.subExecution !== undefined) return subExecutionWait(id, state, task, task.subExecution, moments, alive);
  if (task.clarification) return approvalWait(id, state, task, task.clarification, moments);
  return task.signal === undefined ? attemptWait(id, state, task, moments, alive) : signalWait(id, state, task, task.signal, moments);
};

const timerWait = (id: string, state: State, { id: task, wakeAt = 0 }: TaskState, moments: Moments, now: number, alive?: Alive): Wait => {
  const isDue = wakeAt <= now;
  const who = nobodyOf(alive) || (isDue ? '; an executor ends it' : '');
  const text = `${isDue ? 'waited' : 'waits'} until ${iso(wakeAt)}${who}${cancellingOf(state)}`;
  const endedBy: EndedBy[] = [isDue ? anyExecutor : { kind: 'time', name: iso(wakeAt) }, call(id, 'cancel')];
  return { kind: 'timer', task, text, since: moments.started.get(task) ?? moments.first, until: iso(wakeAt), endedBy };
};

const signalWait = (id: string, state: State, { id: task, deadlineAt }: TaskState, name: string, moments: Moments): Wait => {
  const until = deadlineAt === undefined ? null : iso(deadlineAt);
  const endedBy: EndedBy[] = [call(id, `signals/${name}`), ...byTime(until), call(id, 'cancel')];
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
  const endedBy: EndedBy[] = [call(id, `clarifications/${task}/respond`), ...byTime(until), call(id, 'cancel')];
  return { kind: 'approval', task, text, since: moments.started.get(task) ?? moments.first, until, endedBy };
};

const eventWait = (id: string, state: State, { id: task, event, deadlineAt }: TaskState, subject: string, moments: Moments, alive?: Alive): Wait => {
  const until = deadlineAt === undefined ? null : iso(deadlineAt);
  const fields = event?.match === undefined ? '' : ` with ${JSON.stringify(event.match)}`;
  const text = `waits for an event ${subject}${fields} of another execution${until === null ? ', without a time limit' : ''}${cancellingOf(state)}${nobodyOf(alive)}`;
  const endedBy: EndedBy[] = [{ kind: 'event', name: subject }, ...byTime(until), call(id, 'cancel')];
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
  if (alive && !alive.has(executor)) {
    const text = `attempt ${attempt} ran on executor ${executor}, which is gone${nobodyOf(alive) || '; another one takes over within seconds'}`;
    return { kind: 'attempt', task, text: text + cancellingOf(state), since, until, endedBy: [anyExecutor] };
  }
  const far = progress ? `, ${progress.done + progress.failed} of ${progress.total} done${progress.failed > 0 ? `, ${progress.failed} of them in vain` : ''}` : '';
  const text = `attempt ${attempt} runs on executor ${executor}${far}${until === null ? ', without a time limit' : ''}${cancellingOf(state)}`;
  return { kind: 'attempt', task, text, since, until, endedBy: [{ kind: 'executor', name: executor }, ...byTime(until), call(id, 'cancel')] };
};

const childrenWait = (state: State, { id: task }: TaskState, { count, open: left, admitted, isUndecided }: Children, moments: Moments, alive?: Alive): Wait | undefined => {
  const since = moments.expanded.get(task) ?? moments.first;
  const loop = state.graph.task.get(task)?.loop;
  const open = Array.from({ length: admitted }, (_, index) => childId(task, index)).flatMap((child) => state.tasks.get(child) ?? []).filter(({ status }) => !isTerminal(status));
  if (isUndecided) {
    const text = `iteration ${count - 1} has ended${nobodyOf(alive) || '; an executor decides whether another one follows'}`;
    return { kind: 'executor', task, text, since, until: null, endedBy: [anyExecutor] };
  }
  // None of the others starts before the resume.
  if (state.status === 'paused' && !open.some(({ status }) => status === 'running')) return undefined;
  const waiting = count - admitted;
  const turns = waiting > 0 ? `, ${waiting} of them ${waiting === 1 ? 'waits for its' : 'wait for their'} turn` : '';
  const text = loop ? `iteration ${count - 1} of at most ${loop.maxIterations} has not ended` : `${left} of ${count} items have not ended${turns}`;
  return { kind: 'tasks', task, text: text + cancellingOf(state), since, until: null, endedBy: open.slice(0, 20).map(({ id: name }) => ({ kind: 'task', name })) };
};
