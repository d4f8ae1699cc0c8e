import type { TaskProgress } from '#libs/execution';
import type { Course, Progress } from '#libs/runners';

/** One attempt on its way: nobody waits in it for what will not come any more once it has to end. */
export class AttemptCourse implements Course {
  readonly last: Progress | undefined;
  private isPaused = false;
  private hasEnded = false;
  private readonly held = new Set<() => void>();
  private readonly telling = new Set<() => void>();

  constructor(
    last: TaskProgress | undefined,
    private readonly store: (progress: Progress, settled: () => void) => void,
  ) {
    this.last = last && { ...last, resume: last.resume ?? {} };
  }

  async tell(progress: Progress): Promise<void> {
    if (this.hasEnded) return;
    await new Promise<void>((resolve) => {
      this.telling.add(resolve);
      this.store(progress, () => {
        this.telling.delete(resolve);
        resolve();
      });
    });
  }

  async mayGoOn(): Promise<void> {
    while (this.isPaused && !this.hasEnded) await new Promise<void>((resolve) => void this.held.add(resolve));
  }

  hold(isPaused: boolean): void {
    this.isPaused = isPaused;
    if (!isPaused) wake(this.held);
  }

  end(): void {
    this.hasEnded = true;
    wake(this.held);
    wake(this.telling);
  }
}

const wake = (waiting: Set<() => void>): void => {
  for (const resolve of waiting) resolve();
  waiting.clear();
};
