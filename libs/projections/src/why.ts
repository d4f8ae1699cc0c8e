import type { ExecutionStatus, Failure } from '#libs/contracts';
import { REQUEST_WITHIN_MS, type State, isTerminal } from '#libs/execution';
import { type Moment, Moments, type Stored, endOf } from './moments.js';
import { pendingWait } from './pending-wait.js';
import { runningWait } from './running-wait.js';
import { type Alive, type EndedBy, type Wait, anyExecutor, call, iso, nobodyOf } from './wait.js';

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

const MAX_WAITS = 100;
const rank: Record<Wait['kind'], number> = { resume: 0, request: 1, attempt: 2, timer: 3, signal: 4, approval: 5, event: 6, execution: 7, retry: 8, executor: 9, concurrency: 10, tasks: 11, dependencies: 12, compensation: 13 };

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
  const waits = [...state.tasks.values()].flatMap((task) => (task.status === 'running' ? runningWait : pendingWait)(id, state, task, moments, now, alive) ?? []);
  if (state.incomplete && !state.cancel) waits.push(requestWait(state, state.incomplete, moments, now, alive));
  if (status === 'paused') waits.push(resumeWait(id, state, moments));
  const waitsFor = waits.toSorted((a, b) => rank[a.kind] - rank[b.kind]).slice(0, MAX_WAITS);
  return { id, status, waitsFor, total: waits.length, deadlineAt: deadlineAt === undefined ? null : iso(deadlineAt), ended: null };
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
