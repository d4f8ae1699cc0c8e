import type { Commit, ExecutionRef } from '#libs/contracts';
import type { ClarificationView, ExecutionDetail, TaskView } from './views.js';
import { type Row, clarificationOf, detailOf, tasksOf } from './rows.js';
import { type StatusChange, statusChanges } from './status.js';

type Draft = Record<string, Row[string]>;

/**
 * One execution folded from its own commits into what the status projection shows of it: the same changes make the same rows, here
 * in memory. What replay, time travel and reads ahead of the projection answer with.
 */
export class ExecutionView {
  private own: Draft = {};
  private readonly tasks = new Map<string, Draft>();
  private readonly steps = new Map<string, Draft>();
  private readonly clarifications = new Map<string, Draft>();
  private readonly answers = new Map<string, Draft>();
  private readonly metadata = new Map<string, Draft>();

  constructor(private readonly ref: ExecutionRef) {}

  /** The next commit of the execution; the order is the caller's to keep. */
  apply({ sequence, commit }: { readonly sequence: number; readonly commit: Commit }): void {
    for (const event of commit.events) for (const change of statusChanges(event)) this.change(change);
    Object.assign(this.own, { version: commit.version, sequence });
  }

  /** Undefined before the first commit, and once it was deleted. */
  get execution(): ExecutionDetail | undefined {
    return this.own['status'] === undefined ? undefined : detailOf({ ...this.own, execution: this.ref.execution }, [...this.metadata.values()]);
  }

  get taskViews(): readonly TaskView[] {
    return tasksOf([...this.tasks.values()], [...this.steps.values()]);
  }

  /** In the order they were asked; of the same moment, by task. */
  get clarificationViews(): readonly ClarificationView[] {
    const answers = [...this.answers.values()];
    return [...this.clarifications.values()]
      .map((row) => clarificationOf(this.ref.execution, row, answers.filter(({ clarification }) => clarification === row['id'])))
      .toSorted((a, b) => compare([a.requestedAt, a.task], [b.requestedAt, b.task]));
  }

  /** One of taskViews, without the others' making. */
  taskView(id: string): TaskView | undefined {
    const row = this.tasks.get(id);
    return row && tasksOf([row], [...this.steps.values()].filter((step) => step['task'] === id))[0];
  }

  private change(change: StatusChange): void {
    if (change.op === 'delete') {
      this.own = {};
      for (const rows of [this.tasks, this.steps, this.clarifications, this.answers, this.metadata]) rows.clear();
    } else if (change.op === 'resume') {
      this.own['status'] = this.own['started_at'] === undefined ? 'pending' : 'running';
    } else if (change.op === 'insert') {
      if (change.table === 'executions') Object.assign(this.own, change.row);
      else if (change.table !== 'labels') this[change.table].set(String(change.row['id']), { ...change.row });
    } else if (change.table === 'executions') {
      Object.assign(this.own, change.set);
      for (const [column, n] of Object.entries(change.add ?? {})) this.own[column] = Number(this.own[column] ?? 0) + Number(n);
    } else {
      Object.assign(this[change.table].get(change.id) ?? {}, change.set);
    }
  }
}

const compare = (a: readonly string[], b: readonly string[]): number => {
  const at = a.findIndex((part, index) => part !== b[index]);
  return at < 0 ? 0 : (a[at] ?? '') < (b[at] ?? '') ? -1 : 1;
};
