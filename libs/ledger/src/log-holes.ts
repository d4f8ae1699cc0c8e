/** Sequences that hold nothing, `missing` of which no tombstone accounts for. */
type Hole = { readonly from: number; readonly to: number; readonly missing: number };

/**
 * The sequences of a log that hold nothing, against those that its tombstones say were purged. Each purged commit was one message before
 * its tombstone: so many holes, and no others, there should be before each.
 */
export class LogHoles {
  private readonly holes: { readonly from: number; readonly to: number }[] = [];
  private readonly claims: { readonly before: number; readonly count: number }[] = [];

  /** In the order of the log. */
  add(from: number, to: number): void {
    this.holes.push({ from, to });
  }

  /** A tombstone stands at `before`, and so many commits of its execution do not stand before it. */
  claim(before: number, count: number): void {
    this.claims.push({ before, count });
  }

  /** Holes that nothing accounts for, and how many commits are said to be purged that have left no hole. */
  judge(): { readonly holes: readonly Hole[]; readonly surplus: number } {
    const unexplained: Hole[] = [];
    let room = 0;
    let next = this.claims.length - 1;
    for (const { from, to } of this.holes.toReversed()) {
      for (let claim = this.claims[next]; claim && claim.before > to; claim = this.claims[--next]) room += claim.count;
      const length = to - from + 1;
      const missing = Math.max(0, length - room);
      room -= length - missing;
      if (missing > 0) unexplained.unshift({ from, to, missing });
    }
    for (; next >= 0; next--) room += this.claims[next]?.count ?? 0;
    return { holes: unexplained, surplus: room };
  }
}
