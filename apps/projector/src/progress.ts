/** How far a reader of the log has come, for those who wait for it. */
export class Progress {
  private known = 0;
  private readonly waiting = new Map<() => void, number>();

  /** The log sequence up to which everything is known. */
  get sequence(): number {
    return this.known;
  }

  advance(sequence: number): void {
    if (sequence <= this.known) return;
    this.known = sequence;
    for (const [wake, wanted] of this.waiting) if (wanted <= sequence) wake();
  }

  /** The log is another one than was read: what is known begins anew. */
  reset(): void {
    this.known = 0;
  }

  /** Nobody waits any more. */
  close(): void {
    for (const wake of this.waiting.keys()) wake();
  }

  /** Resolves once `sequence` is known, or the signal or close() says that nobody waits any more. */
  async reach(sequence: number, signal: AbortSignal): Promise<void> {
    if (sequence <= this.known || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        this.waiting.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      this.waiting.set(wake, sequence);
      signal.addEventListener('abort', wake);
    });
  }
}
