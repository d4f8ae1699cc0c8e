import { Problem } from './problem.js';

/** A turn that has not come within this time is not waited for any longer, milliseconds. */
const WITHIN_MS = 5_000;

/** One after another what concerns the same thing: racing each other to the log, all but one would lose and begin again. */
export class Turns {
  private readonly last = new Map<string, Promise<unknown>>();

  constructor(private readonly withinMs = WITHIN_MS) {}

  /** What `work` gives, after all before it under the same name have ended. Throws Problem EXECUTION_BUSY, and what `work` throws. */
  async take<T>(name: string, work: () => Promise<T>): Promise<T> {
    const until = Date.now() + this.withinMs;
    const turn = (this.last.get(name) ?? Promise.resolve()).then(() => (Date.now() > until ? busy() : work()));
    // Whoever comes next waits for the end, be it good or bad.
    const ended = turn.then(nothing, nothing);
    this.last.set(name, ended);
    try {
      return await turn;
    } finally {
      if (this.last.get(name) === ended) this.last.delete(name);
    }
  }
}

const nothing = (): void => undefined;

const busy = (): never => {
  throw new Problem(503, 'EXECUTION_BUSY', 'too many commands wait for this execution; this one changed nothing, send it again', {
    retryAfterSeconds: 1,
  });
};
