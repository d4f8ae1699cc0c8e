import type { State } from '#libs/execution';
import type { Moment } from './moments.js';

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

/** Incarnations of executors. */
export type Alive = ReadonlySet<string>;

export const call = (id: string, verb: string): EndedBy => ({ kind: 'client', name: `POST /api/v1/executions/${id}/${verb}` });
export const anyExecutor: EndedBy = { kind: 'executor', name: 'any' };
/** `until`: RFC 3339; null where no time ends it. */
export const byTime = (until: string | null): readonly EndedBy[] => (until === null ? [] : [{ kind: 'time', name: until }]);

export const iso = (ms: number): string => new Date(ms).toISOString();

export const cancellingOf = ({ cancel }: State): string => (cancel ? `; the execution is being cancelled (${cancel.mode})` : '');

/** The clock ends nothing by itself: somebody has to look at it. */
export const nobodyOf = (alive: Alive | undefined): string => (alive?.size === 0 ? '; no executor is alive: start one' : '');
