import type { CommitDraft, Report } from './commit-draft.js';

type Sent = Pick<CommitDraft, 'taken' | 'started'>;

/** What was reported of one execution and is not stored yet, in order: each is let go once, when a commit that holds it is known to be in the log. */
export class UnsettledReports {
  private readonly reports: Report[] = [];
  /**
   * Appends of which nobody knows yet what becomes of them, by the hash of the commit. All expect the same position, so that one of them
   * at most can be stored, however late, and none any more once a commit stands behind it.
   */
  private readonly appends = new Map<string, Sent>();

  get all(): readonly Report[] {
    return this.reports;
  }

  get isEmpty(): boolean {
    return this.reports.length === 0 && this.appends.size === 0;
  }

  add(report: Report): void {
    this.reports.push(report);
  }

  /** To be called before an append, which holds the first `taken` of them. */
  sending(hash: string, { taken, started }: Sent): void {
    this.appends.set(hash, { taken, started });
  }

  /** That append was not stored, and will not be. */
  failed(hash: string): void {
    this.appends.delete(hash);
  }

  /** To be called with every commit of the execution. Returns the attempts that it starts, where it is one of those sent. */
  settle(hash: string): readonly string[] {
    const own = this.appends.get(hash);
    this.appends.clear();
    if (!own) return [];
    this.letGo(own.taken);
    return own.started;
  }

  /** Nothing is left to store of the first ones. */
  letGo(count: number): void {
    for (const { settled } of this.reports.splice(0, count)) settled();
  }
}
