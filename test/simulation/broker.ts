import type { ExecutionRef } from '#libs/contracts';
import { type Append, type AppendResult, type HistoryRange, MemoryLog, type Position, type StoredCommit } from '#libs/ledger';
import type { Scheduler } from './scheduler.js';
import type { Tell } from './trace.js';

/** What outlives every process: the log and the checkpoints. */
export class Broker {
  private readonly log: MemoryLog;
  private readonly commits: StoredCommit[] = [];
  private readonly followers = new Set<() => void>();
  private readonly checkpoints = new Map<string, string>();
  /** When it was purged, by sequence. */
  private readonly purged = new Map<number, number>();

  constructor(
    private readonly scheduler: Scheduler,
    private readonly tell: Tell,
  ) {
    this.log = new MemoryLog(() => scheduler.now);
  }

  /** All that was ever stored. */
  get all(): readonly StoredCommit[] {
    return this.commits;
  }

  /** What is left of it. */
  get held(): readonly StoredCommit[] {
    return this.commits.filter((stored) => this.isHeld(stored));
  }

  isHeld({ sequence }: StoredCommit, at = this.scheduler.now): boolean {
    return (this.purged.get(sequence) ?? Infinity) > at;
  }

  purge(ref: ExecutionRef, before: number): Promise<void> {
    this.tell('log', () => `${ref.execution} is purged before ${before}`);
    for (const stored of this.commits) {
      if (stored.sequence < before && stored.ref.execution === ref.execution && this.isHeld(stored)) this.purged.set(stored.sequence, this.scheduler.now);
    }
    return this.log.purge(ref, before);
  }

  async append(append: Append): Promise<AppendResult> {
    const result = await this.log.append(append);
    if (!result.stored) return result;
    const stored = this.log.stored(result.sequence);
    if (!stored || 'unreadable' in stored) throw new Error('what was appended is no commit');
    this.commits.push(stored);
    this.tell('log', () => `${stored.ref.execution} v${stored.commit.version} at ${stored.sequence}: ${stored.commit.events.map(describe).join(', ')}`);
    for (const wake of this.followers) wake();
    return result;
  }

  /** As it was `agoMs` ago: whoever answers may be that far behind. */
  history(ref: ExecutionRef, { after = 0, upTo = Infinity, limit = Infinity }: HistoryRange, agoMs = 0): readonly StoredCommit[] {
    const until = this.scheduler.now - agoMs;
    const isWanted = (stored: StoredCommit): boolean =>
      stored.ref.execution === ref.execution && stored.sequence > after && stored.sequence <= upTo && Date.parse(stored.storedAt) <= until && this.isHeld(stored, until);
    return this.commits.filter(isWanted).slice(0, limit);
  }

  head(): Position {
    return this.log.position(this.log.lastSequence);
  }

  /** Calls back whenever something was stored. Returns what ends it. */
  watch(callback: () => void): () => void {
    this.followers.add(callback);
    return () => this.followers.delete(callback);
  }

  getCheckpoint(key: string): unknown {
    const value = this.checkpoints.get(key);
    return value === undefined ? undefined : JSON.parse(value);
  }

  putCheckpoint(key: string, json: string): void {
    this.checkpoints.set(key, json);
  }
}

const describe = (event: StoredCommit['commit']['events'][number]): string => {
  const data = event.data as { readonly taskId?: string; readonly attempt?: number; readonly executor?: string };
  const attempt = data.attempt === undefined ? '' : `/${data.attempt}`;
  const executor = data.executor ? ` on ${data.executor}` : '';
  return `${event.type}${data.taskId === undefined ? '' : ` ${data.taskId}${attempt}`}${executor}`;
};
