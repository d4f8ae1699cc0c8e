import { GrowingMap } from './growing-map.js';
import { type TaskState, isActionable } from './task-state.js';

/** About the square root of the most tasks there can be, where a change costs least. */
const CHUNK = 64;

/** Written to while the table that it belongs to is being made, never after. */
type Chunk = { readonly tasks: TaskState[]; readonly actionable: number };

/** The tasks of an execution in the plan's order, then those that came later. Immutable: a changed table shares all but one chunk with the one before. */
export class TaskTable {
  private constructor(
    private readonly places: GrowingMap<number>,
    private readonly chunks: readonly Chunk[],
  ) {}

  static of(all: readonly TaskState[]): TaskTable {
    return new TaskTable(GrowingMap.of(), []).plus(all);
  }

  get size(): number {
    const { chunks } = this;
    return Math.max(0, chunks.length - 1) * CHUNK + (chunks[chunks.length - 1]?.tasks.length ?? 0);
  }

  get(id: string): TaskState | undefined {
    const place = this.places.get(id);
    return place === undefined ? undefined : this.chunks[Math.floor(place / CHUNK)]?.tasks[place % CHUNK];
  }

  has(id: string): boolean {
    return this.places.has(id);
  }

  /** The table with these behind the others; none of an id that is in it may be among them. */
  plus(added: readonly TaskState[]): TaskTable {
    const { size } = this;
    const chunks = this.chunks.slice(0, Math.floor(size / CHUNK));
    const open = this.chunks[chunks.length]?.tasks ?? [];
    const all = [...open, ...added];
    for (let from = 0; from < all.length; from += CHUNK) {
      const tasks = all.slice(from, from + CHUNK);
      chunks.push({ tasks, actionable: tasks.filter(isActionable).length });
    }
    return new TaskTable(this.places.plus(added.map(({ id }, n) => [id, size + n])), chunks);
  }

  /** The table with each of these in the place of the one of its id; one of an id that is not in the table is left out. */
  with(changed: readonly TaskState[]): TaskTable {
    const chunks = this.chunks.slice();
    for (const task of changed) {
      const place = this.places.get(task.id) ?? -1;
      const index = Math.floor(place / CHUNK);
      const chunk = chunks[index];
      const before = chunk?.tasks[place % CHUNK];
      if (!chunk || !before) continue;
      const tasks = chunk === this.chunks[index] ? chunk.tasks.slice() : chunk.tasks;
      tasks[place % CHUNK] = task;
      chunks[index] = { tasks, actionable: chunk.actionable + Number(isActionable(task)) - Number(isActionable(before)) };
    }
    return new TaskTable(this.places, chunks);
  }

  *values(): Generator<TaskState, void, void> {
    for (const { tasks } of this.chunks) yield* tasks;
  }

  /** The actionable ones of `values()`, without a look at most of the others where they are few. */
  *actionable(): Generator<TaskState, void, void> {
    for (const { tasks, actionable } of this.chunks) {
      if (actionable === 0) continue;
      for (const task of tasks) if (isActionable(task)) yield task;
    }
  }
}
