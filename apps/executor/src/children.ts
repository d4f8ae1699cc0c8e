import type { ExecutionRef } from '#libs/contracts';
import type { ChildEnd, SubExecution, State } from '#libs/execution';
import { Child, type ChildSurroundings } from './child.js';
import type { CancelTimer } from './clock.js';

type Ended = (wait: SubExecution, end: ChildEnd) => void;

type Watched = { readonly child: Child; readonly ended: Ended; delayMs: number; isLooking: boolean; again: boolean; isOver: boolean; cancelTimer: CancelTimer };

/** Who ends a child tells its parent: looking is for what was not told, and takes its time. */
const LOOK_MS = { first: 500, last: 60_000 } as const;
const LOOKS_AT_ONCE = 16;

const keyOf = ({ tenant, execution }: ExecutionRef): string => `${tenant}.${execution}`;

/** Sees to the children of the executions that this process drives. */
export class Children {
  private readonly watched = new Map<string, Map<string, Watched>>();
  private readonly queue: Watched[] = [];
  private looking = 0;

  constructor(
    private readonly around: ChildSurroundings,
    private readonly warn: (error: unknown) => void,
  ) {}

  /** All children that an execution waits for now, instead of those before. `ended` is called once for each of them at most. */
  watch(parent: ExecutionRef, state: State, waits: readonly SubExecution[], ended: Ended): void {
    const key = keyOf(parent);
    const known = this.watched.get(key);
    if (waits.length === 0 && !known) return;
    const current = new Map(waits.map((wait) => [wait.child, known?.get(wait.child) ?? this.begin(parent, state, wait, ended)]));
    for (const [id, watched] of known ?? []) if (!current.has(id)) this.forget(watched);
    if (current.size > 0) this.watched.set(key, current);
    else this.watched.delete(key);
    for (const wait of waits) {
      const watched = current.get(wait.child);
      if (!watched || watched.child.wait.cancel === wait.cancel) continue;
      watched.child.wait = wait;
      watched.delayMs = LOOK_MS.first;
      this.look(watched);
    }
  }

  private begin(parent: ExecutionRef, state: State, wait: SubExecution, ended: Ended): Watched {
    const child = new Child(this.around, parent, state, wait);
    const watched: Watched = { child, ended, delayMs: LOOK_MS.first, isLooking: false, again: false, isOver: false, cancelTimer: () => undefined };
    this.look(watched);
    return watched;
  }

  private forget(watched: Watched): void {
    watched.isOver = true;
    watched.cancelTimer();
  }

  private look(watched: Watched): void {
    watched.cancelTimer();
    if (watched.isLooking) {
      watched.again = true;
      return;
    }
    watched.isLooking = true;
    this.queue.push(watched);
    if (this.looking < LOOKS_AT_ONCE) void this.work();
  }

  private async work(): Promise<void> {
    this.looking += 1;
    for (let next = this.queue.shift(); next; next = this.queue.shift()) if (!next.isOver) await this.lookAt(next);
    this.looking -= 1;
  }

  private async lookAt(watched: Watched): Promise<void> {
    const { child, ended } = watched;
    watched.again = false;
    let end: ChildEnd | undefined;
    try {
      end = await child.look();
    } catch (error) {
      this.warn(error);
    }
    watched.isLooking = false;
    if (watched.isOver) return;
    if (end) {
      this.forget(watched);
      return ended(child.wait, end);
    }
    if (watched.again) return this.look(watched);
    watched.cancelTimer = this.around.clock.after(watched.delayMs, () => this.look(watched));
    watched.delayMs = Math.min(watched.delayMs * 2, LOOK_MS.last);
  }
}
