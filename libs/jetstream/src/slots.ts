/** So many at once, the others in the order in which they came. */
export class Slots {
  private readonly waiting = new Set<() => void>();

  constructor(private free: number) {}

  /** What `work` gives. Throws what it throws, and `late` where its turn has not come within so many milliseconds. */
  async take<T>(work: () => Promise<T>, withinMs?: number, late: () => Error = () => new Error('too late')): Promise<T> {
    if (this.free > 0) this.free -= 1;
    else await this.turn(withinMs, late);
    try {
      return await work();
    } finally {
      const [next] = this.waiting;
      if (next) next();
      else this.free += 1;
    }
  }

  private turn(withinMs: number | undefined, late: () => Error): Promise<void> {
    return new Promise((resolve, reject) => {
      const enter = (): void => {
        clearTimeout(timer);
        this.waiting.delete(enter);
        resolve();
      };
      const timer = withinMs === undefined ? undefined : setTimeout(() => {
        this.waiting.delete(enter);
        reject(late());
      }, withinMs);
      this.waiting.add(enter);
    });
  }
}
