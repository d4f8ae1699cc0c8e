const WINDOW_MS = 60_000;
const CALLERS_MAX = 10_000;

type Seen = { since: number; count: number; omitted: number };

/**
 * Which refusals are worth a record: of each caller the first 60 a minute. Nobody pushes out what others did by being refused for as
 * long as it takes.
 */
export class Refusals {
  private readonly callers = new Map<string, Seen>();

  constructor(
    private readonly most = 60,
    private readonly now: () => number = Date.now,
  ) {}

  /** Undefined: not this one. Else how many were not since the last that was. */
  take(caller: string): number | undefined {
    const now = this.now();
    const known = this.callers.get(caller);
    const seen = known ?? this.remember(caller, now);
    if (now - seen.since >= WINDOW_MS) {
      seen.since = now;
      seen.count = 0;
    }
    seen.count += 1;
    if (seen.count > this.most) {
      seen.omitted += 1;
      return undefined;
    }
    const { omitted } = seen;
    seen.omitted = 0;
    return omitted;
  }

  private remember(caller: string, since: number): Seen {
    const [oldest] = this.callers.keys();
    if (this.callers.size >= CALLERS_MAX && oldest !== undefined) this.callers.delete(oldest);
    const seen = { since, count: 0, omitted: 0 };
    this.callers.set(caller, seen);
    return seen;
  }
}
