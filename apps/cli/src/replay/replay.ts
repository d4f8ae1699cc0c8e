import type { ExecutionRef } from '#libs/contracts';
import { childIds } from '#libs/execution';
import { type StoredCommit, checked } from '#libs/ledger';
import { type ExecutionDetail, ExecutionView, type TaskView } from '#libs/projections';
import { type Change, changesOf } from './changes.js';

/** One commit, and what it changed. */
export type ReplayedCommit = {
  readonly sequence: number;
  readonly version: number;
  readonly storedAt: string;
  readonly events: StoredCommit['commit']['events'];
  readonly changes: readonly Change[];
  /** The execution after it, null once it is deleted, and of its tasks those that it touched. */
  readonly execution: ExecutionDetail | null;
  readonly tasks: readonly TaskView[];
};

const tasksOf = ({ type, data }: StoredCommit['commit']['events'][number]): readonly string[] => {
  if (!('taskId' in data)) return [];
  return type === 'TaskExpanded' ? [data.taskId, ...childIds(data)] : [data.taskId];
};

/** A history folded into what the status projection shows, a commit at a time. */
export class Replay {
  private readonly view: ExecutionView;

  constructor(private readonly ref: ExecutionRef) {
    this.view = new ExecutionView(ref);
  }

  /** Throws BrokenHistory before anything is folded. */
  *commits(history: readonly StoredCommit[]): Generator<ReplayedCommit> {
    for (const stored of checked(this.ref, history)) yield this.step(stored);
  }

  /** After the last commit taken; undefined before the first, and once it is deleted. */
  get state(): { readonly execution: ExecutionDetail; readonly tasks: readonly TaskView[] } | undefined {
    const { execution, taskViews: tasks } = this.view;
    return execution && { execution, tasks };
  }

  private step(stored: StoredCommit): ReplayedCommit {
    const { sequence, storedAt, commit } = stored;
    const { version, events } = commit;
    const ids = [...new Set(events.flatMap(tasksOf))];
    const before = this.part(ids);
    this.view.apply(stored);
    const after = this.part(ids);
    const execution = this.view.execution ?? null;
    const tasks = ids.flatMap((id) => this.view.taskView(id) ?? []);
    return { sequence, version, storedAt, events, changes: changesOf(before, after), execution, tasks };
  }

  /** What a commit about these tasks can change; where it stands in the log is no news. */
  private part(ids: readonly string[]): object {
    const { version: _version, sequence: _sequence, ...execution }: Partial<ExecutionDetail> = this.view.execution ?? {};
    const tasks = Object.fromEntries(ids.map((id) => [id, this.view.taskView(id)]));
    return { execution: this.view.execution && execution, tasks };
  }
}
