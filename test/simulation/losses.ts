import type { Event } from '#libs/contracts';
import type { Host } from './scheduler.js';

/** Who has just joined was told of nobody whose key had lapsed, and may miss who is slow to be back. */
const NEW_FOR_MS = 10_000;

/** Whose attempts others may give up: of an executor that nothing has befallen but that the broker was away, from all, for however long, none. */
export class Losses {
  private readonly executors = new Map<string, { readonly joinedAt: number; mayLose: boolean }>();
  /** Who runs `<execution>/<task>/<attempt>`. */
  private readonly runs = new Map<string, string>();

  joined({ name }: Host, now: number): void {
    this.executors.set(name, { joinedAt: now, mayLose: false });
  }

  /** It was killed, stopped, frozen, or cut off from others that were not. */
  mayLose({ name }: Host): void {
    this.executors.get(name)!.mayLose = true;
  }

  /** Returns what must not be. */
  take(execution: string, event: Event, now: number): readonly string[] {
    const { type, data, actor } = event;
    if (type === 'TaskStarted') this.runs.set(`${execution}/${data.taskId}/${data.attempt}`, data.executor);
    if (type !== 'TaskFailed' || data.error.code !== 'ATTEMPT_LOST') return [];
    const owner = this.runs.get(`${execution}/${data.taskId}/${data.attempt}`) ?? '';
    const by = actor.replace('executor/', '');
    const { joinedAt = now } = this.executors.get(by) ?? {};
    if (by === owner || now - joinedAt < NEW_FOR_MS || this.executors.get(owner)?.mayLose !== false) return [];
    return [`${data.taskId}/${data.attempt} is given up by ${by}, although ${owner} was cut off by nothing but outages`];
  }
}
