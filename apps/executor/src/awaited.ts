import type { ExecutionRef } from '#libs/contracts';
import { type OwnerCommand, type State, subExecutionsOf, runningAttempts } from '#libs/execution';
import type { Children } from './children.js';
import type { EventWait, EventWatch } from './event-watch.js';

export type Lookout = { readonly events: Pick<EventWatch, 'watch'>; readonly children: Pick<Children, 'watch'> };

type Report = (command: OwnerCommand & { readonly taskId: string }, attempt: number) => void;

/** Looks out for what ends attempts in which nothing runs, beside the time: events, and the ends of children. For none of them while `now` is undefined. */
export const lookOut = ({ events, children }: Lookout, ref: ExecutionRef, state: State, now: number | undefined, report: Report): void => {
  const waits = (now === undefined ? [] : runningAttempts(state)).flatMap(({ taskId, attempt }): EventWait[] => {
    const awaited = state.tasks.get(taskId)?.event;
    return awaited ? [{ taskId, attempt, ...awaited }] : [];
  });
  events.watch(ref, state.labels, waits, ({ taskId, attempt }, event) => report({ type: 'RecordEvent', taskId, attempt, event }, attempt));
  const ends = now === undefined ? [] : subExecutionsOf(state, now);
  children.watch(ref, state, ends, ({ taskId, attempt }, end) => report({ type: 'RecordChildEnd', taskId, attempt, end }, attempt));
};
