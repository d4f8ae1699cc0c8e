import type { CancelMode, EventData, ExecutionStatus, Failure, JsonObject, Origin, Plan, PlanTask } from '#libs/contracts';
import { GrowingMap } from './growing-map.js';
import type { Listener, Signal } from './signals.js';
import { TaskTable } from './task-table.js';

/** The plan's edges, computed once. */
type Graph = {
  readonly task: GrowingMap<PlanTask>;
  readonly dependents: GrowingMap<readonly string[]>;
  /** True where a task may wait for its start for so long only. */
  readonly limitsStarts: boolean;
  /** By the task that is undone, the one that undoes it. */
  readonly compensations: GrowingMap<string>;
};

/** Tasks in the order to run them. */
type Undo = { readonly id: string; readonly next: Undo } | undefined;

/** When, milliseconds since the epoch, and by whom. */
export type Deletion = { readonly at: number; readonly by: string; readonly reason: string | undefined };

/** An artifact that is there: neither deleted nor expired. Times are milliseconds since the epoch. */
type ArtifactState = { readonly expiresAt: number | undefined };

/** An execution as its events tell it. `status` is undefined before the first event. */
export type State = {
  readonly status: ExecutionStatus | undefined;
  readonly plan: Plan;
  /** Set while events of the request are missing: how many, and when the last one came. Nothing starts before all are there. */
  readonly incomplete: { readonly missing: number; readonly since: number } | undefined;
  readonly graph: Graph;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly input: JsonObject;
  readonly dialect: string;
  /** The execution that it carries on. */
  readonly origin: Origin | undefined;
  /** The attempt of another execution that this one is. */
  readonly parent: EventData['ExecutionRequested']['parent'] | undefined;
  /** The actor who requested it. */
  readonly requestedBy: string;
  /** Of the request; what the owner does for it carries the same. */
  readonly correlationId: string;
  /** The cause of its request, which no other execution of its tenant has. */
  readonly seed: string;
  readonly tasks: TaskTable;
  /** Tasks that have not ended, and of those the ones that run, or wait by themselves. */
  readonly open: number;
  readonly running: number;
  /** Tasks that have not ended and undo nothing. */
  readonly forward: number;
  /** Tasks that are to be skipped because of one that they depend on. */
  readonly orphans: number;
  /** Tasks that are to end because their children have. */
  readonly joins: number;
  /** Time of the last event; no later event is older. */
  readonly at: number;
  readonly startedAt: number | undefined;
  /** No task could start before: it was paused, or its plan was not whole. */
  readonly resumedAt: number | undefined;
  readonly deadlineAt: number | undefined;
  readonly cancel: { readonly mode: CancelMode; readonly reason: string | undefined } | undefined;
  /** The task whose failure decides the execution's: the first that failed and was not to be passed over. */
  readonly failedTask: string | undefined;
  /** Compensations that have not ended of tasks that completed, the last completed first. */
  readonly undo: Undo;
  /** Set once what was done is being undone, with how the execution is going to fail. */
  readonly compensating: { readonly reason: Failure | undefined } | undefined;
  /** The first compensation that failed. */
  readonly notUndone: string | undefined;
  /** True once tasks were given up because the execution's time was over, or the rest of its plan never came. */
  readonly gaveUp: boolean;
  /** The task whose failure stops the execution (onFailure: stop). */
  readonly stoppedBy: string | undefined;
  /** Fingerprints of the client commands applied so far, by their keys: a repeated one changes nothing. See parseCause. */
  readonly applied: GrowingMap<string>;
  /** Signals that no task has taken yet, oldest first, and the tasks that wait for one, longest first. */
  readonly signals: readonly Signal[];
  readonly listeners: readonly Listener[];
  /** Those that are there, by id. */
  readonly artifacts: ReadonlyMap<string, ArtifactState>;
  /** What attempts have said of the execution, and how often. */
  readonly metadata: ReadonlyMap<string, string>;
  readonly metadataChanges: number;
  readonly events: number;
  readonly ignored: number;
  readonly reason: Failure | undefined;
  readonly result: JsonObject | undefined;
  /** Nothing follows, and nothing else is known any more but the status: whatever was read before, the state is the same. */
  readonly deleted: Deletion | undefined;
};

const nothing: Plan = { name: '', tasks: [] };
const empty: Graph = { task: GrowingMap.of(), dependents: GrowingMap.of(), limitsStarts: false, compensations: GrowingMap.of() };

export const initial: State = {
  status: undefined,
  plan: nothing,
  incomplete: undefined,
  graph: empty,
  name: '',
  labels: {},
  input: {},
  dialect: '',
  origin: undefined,
  parent: undefined,
  requestedBy: '',
  correlationId: '',
  seed: '',
  tasks: TaskTable.of([]),
  open: 0,
  running: 0,
  forward: 0,
  orphans: 0,
  joins: 0,
  at: 0,
  startedAt: undefined,
  resumedAt: undefined,
  deadlineAt: undefined,
  cancel: undefined,
  failedTask: undefined,
  undo: undefined,
  compensating: undefined,
  notUndone: undefined,
  gaveUp: false,
  stoppedBy: undefined,
  applied: GrowingMap.of(),
  signals: [],
  listeners: [],
  artifacts: new Map(),
  metadata: new Map(),
  metadataChanges: 0,
  events: 0,
  ignored: 0,
  reason: undefined,
  result: undefined,
  deleted: undefined,
};

/** What is left of an execution that has ended, as far as anything that may still follow goes by it. */
export const remainsOf = ({ status, at, artifacts, deleted }: State): State => ({ ...initial, status, at, artifacts, deleted });

/** The edges with those of further tasks. */
export const withEdges = (graph: Graph, tasks: readonly PlanTask[]): Graph => {
  const dependents = new Map<string, string[]>();
  for (const { id, dependsOn } of tasks) {
    for (const dependency of dependsOn) {
      const known = dependents.get(dependency);
      if (known) known.push(id);
      else dependents.set(dependency, [...(graph.dependents.get(dependency) ?? []), id]);
    }
  }
  const compensations = tasks.flatMap(({ id, compensates }) => (compensates === undefined ? [] : [[compensates, id] as const]));
  return {
    task: graph.task.plus(tasks.map((task) => [task.id, task])),
    dependents: graph.dependents.plus(dependents),
    limitsStarts: graph.limitsStarts || tasks.some(({ scheduleToStartMs }) => scheduleToStartMs !== undefined),
    compensations: graph.compensations.plus(compensations),
  };
};
