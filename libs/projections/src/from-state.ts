import type { ExecutionRef } from '#libs/contracts';
import type { State } from '#libs/execution';
import type { ExecutionDetail, TaskView } from './queries.js';

type Head = { readonly version: number; readonly sequence: number; readonly requestedAt: string };

const iso = (ms: number | undefined): string | null => (ms === undefined ? null : new Date(ms).toISOString());

/** An execution folded from its own history, in the shape of the status projection: for one that the projection does not know yet. */
export const detailOf = (ref: ExecutionRef, state: State, head: Head): ExecutionDetail => {
  const tasks = [...state.tasks.values()];
  const hasEnded = state.status === 'completed' || state.status === 'failed' || state.status === 'cancelled';
  return {
    id: ref.execution,
    name: state.name,
    status: state.status ?? 'pending',
    labels: state.labels,
    dialect: state.dialect,
    requestedAt: head.requestedAt,
    startedAt: iso(state.startedAt),
    endedAt: hasEnded ? iso(state.at) : null,
    tasks: {
      total: tasks.length,
      ended: tasks.length - state.open,
      failed: tasks.filter((task) => task.status === 'failed').length,
    },
    version: head.version,
    sequence: head.sequence,
    input: state.input,
    result: state.result ?? null,
    reason: state.reason ?? null,
    cancel: state.cancel ? { mode: state.cancel.mode, reason: state.cancel.reason ?? null } : null,
  };
};

/** Its tasks, without the times and steps that only a projection keeps. */
export const tasksOf = (state: State): readonly TaskView[] =>
  [...state.tasks.values()].map((task) => ({
    id: task.id,
    runner: state.graph.task.get(task.id)?.runner ?? '',
    status: task.status,
    dependsOn: state.graph.task.get(task.id)?.dependsOn ?? [],
    attempt: task.attempt,
    startedAt: null,
    endedAt: null,
    retryAt: iso(task.retryAt),
    result: task.result ?? null,
    error: task.error ?? null,
    why: null,
    steps: [],
  }));
