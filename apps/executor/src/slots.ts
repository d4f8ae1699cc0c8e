/** How many attempts with side effects may run at once in this process, and who waits for one, first come first served. */
export class Slots<Waiter> {
  private used = 0;
  private readonly waiters = new Set<Waiter>();

  constructor(
    private readonly limit: number,
    private readonly wake: (waiter: Waiter) => void,
  ) {}

  /** False when none is free: the waiter is woken when one is. */
  take(waiter: Waiter): boolean {
    if (this.used >= this.limit) {
      this.waiters.add(waiter);
      return false;
    }
    this.waiters.delete(waiter);
    this.used += 1;
    return true;
  }

  release(): void {
    this.used -= 1;
    this.offer();
  }

  /** Wakes the first that waits, if a slot is free; one that was woken and takes none calls this for the next. */
  offer(): void {
    const [first] = this.waiters;
    if (first === undefined || this.used >= this.limit) return;
    this.waiters.delete(first);
    this.wake(first);
  }

  forget(waiter: Waiter): void {
    this.waiters.delete(waiter);
  }

  get inUse(): number {
    return this.used;
  }
}
