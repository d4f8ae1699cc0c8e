import type { Fact, JsonObject } from '#libs/contracts';
import type { TaskState } from './task-state.js';
import type { TaskTable } from './task-table.js';

/** A signal that no task has taken yet; `receivedAt` is RFC 3339, `by` the actor who sent it. */
export type Signal = { readonly name: string; readonly payload: JsonObject; readonly receivedAt: string; readonly by: string };

/** A task that waits for a signal. */
export type Listener = { readonly taskId: string; readonly name: string };

/** As far as a state tells who waits for what. */
type Listening = { readonly signals: readonly Signal[]; readonly listeners: readonly Listener[]; readonly tasks: TaskTable };

/** The listeners once the task waits for the signal it names, or for none any more. */
export const relisten = (listeners: readonly Listener[], { id, signal }: TaskState): readonly Listener[] => {
  const others = listeners.filter(({ taskId }) => taskId !== id);
  return signal === undefined ? others : [...others, { taskId: id, name: signal }];
};

/** The signals without the oldest of the name. */
export const withoutFirst = (signals: readonly Signal[], name: string | undefined): readonly Signal[] => {
  const taken = name === undefined ? -1 : signals.findIndex((signal) => signal.name === name);
  return taken < 0 ? signals : signals.toSpliced(taken, 1);
};

/** The ends of tasks whose signal is there, at most `limit`: the oldest signal of a name goes to the task that has waited longest for it. */
export const deliveries = ({ signals, listeners, tasks }: Listening, limit: number): readonly Fact[] => {
  if (signals.length === 0 || listeners.length === 0) return [];
  const byName = new Map<string, Signal[]>();
  for (const signal of signals) byName.set(signal.name, [...(byName.get(signal.name) ?? []), signal]);
  const facts: Fact[] = [];
  for (const { taskId, name } of listeners) {
    if (facts.length >= limit) break;
    const signal = byName.get(name)?.shift();
    const task = signal && tasks.get(taskId);
    if (!task) continue;
    const { payload, receivedAt, by } = signal;
    facts.push({ type: 'TaskCompleted', data: { taskId, attempt: task.attempt, result: { payload, receivedAt, by } } });
  }
  return facts;
};
