import { randomUUID } from 'node:crypto';
import { logSubject } from '#libs/contracts';
import { type Append, type AppendResult, LogError } from '#libs/ledger';
import { type PublishAnswer, isConflict, isFull } from './codes.js';
import type { Nats } from './connection.js';
import { type Publication, type Timing, appendHeaders, ask, lookUp, notStored, outcomeUnknown, publishSingly, refusal } from './publish.js';
import { directLast } from './read.js';

/** From here on one batch costs less than single publishes (measured with every write synced). */
const BATCH_FROM = 16;
const BATCH_MAX = 300;
const BATCH_MAX_BYTES = 4 * 1024 * 1024;
/** The broker takes 50 a stream, from everyone together. */
const BATCHES_IN_FLIGHT = 2;
const SINGLES_IN_FLIGHT = 16;
/** A subject that conflicted has others writing to it: it could refuse a whole batch again. */
const CONFLICT_MEMORY_MS = 1_000;
const CONFLICTS_REMEMBERED = 1_000;

type Item = Publication & {
  readonly since: number;
  /** To be published by itself. */
  single: boolean;
  readonly resolve: (result: AppendResult) => void;
  readonly reject: (error: Error) => void;
};

/**
 * Group commit. While few commits wait they are published singly, several at a time; when many do, as one atomic batch,
 * each with its own expectation: the broker syncs a batch once. At most one append is in flight per subject.
 */
export class AppendQueue {
  private waiting: Item[] = [];
  private readonly inFlight = new Set<string>();
  private readonly conflicted = new Map<string, number>();
  private batches = 0;
  private singles = 0;
  private scheduled = false;
  private expiry: NodeJS.Timeout | undefined;

  constructor(
    readonly nats: Nats,
    private readonly alarm: (message: string) => void,
    readonly timing: Timing,
  ) {
    nats.onDisconnect(() => this.refuseUnsent(() => true, 'the connection to the broker was lost'));
  }

  append(append: Append): Promise<AppendResult> {
    if (!this.nats.connected) return Promise.reject(notStored('no connection to the broker'));
    const subject = logSubject(append.ref);
    return new Promise((resolve, reject) => {
      const single = Date.now() - (this.conflicted.get(subject) ?? 0) < CONFLICT_MEMORY_MS;
      this.waiting.push({ ...append, subject, inDoubt: false, since: Date.now(), single, resolve, reject });
      this.schedule();
    });
  }

  /** After the current turn of the event loop: what it brings together may share a batch. */
  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      this.pump();
      if (this.waiting.length > 0) this.expiry ??= setTimeout(() => this.expire(), 1_000).unref();
    });
  }

  private pump(): void {
    while (this.waiting.length > 0) {
      const together = this.waiting.length >= BATCH_FROM && this.batches < BATCHES_IN_FLIGHT;
      const singly = this.singles < SINGLES_IN_FLIGHT && (this.batches === 0 || this.waiting[0]?.single === true);
      if (!together && !singly) return;
      const items = this.take(together ? BATCH_MAX : 1);
      const [first] = items;
      if (!first) return;
      if (items.length === 1) void this.sendSingly(first);
      else void this.sendTogether(items);
    }
  }

  /** Waiting items whose subjects are free, in order; one that has to go singly comes alone. */
  private take(limit: number): Item[] {
    const taken: Item[] = [];
    const left: Item[] = [];
    let bytes = 0;
    let i = 0;
    for (; i < this.waiting.length && taken.length < limit && bytes < BATCH_MAX_BYTES; i++) {
      const item = this.waiting[i]!;
      const isBusy = this.inFlight.has(item.subject);
      if (isBusy || (item.single && (taken.length > 0 || this.singles >= SINGLES_IN_FLIGHT))) {
        left.push(item);
        continue;
      }
      this.inFlight.add(item.subject);
      bytes += item.body.length;
      taken.push(item);
      if (item.single) limit = 1;
    }
    this.waiting = left.concat(this.waiting.slice(i));
    return taken;
  }

  private finish(item: Item, outcome: AppendResult | Error): void {
    this.inFlight.delete(item.subject);
    if (outcome instanceof Error) return item.reject(outcome);
    if (!outcome.stored) this.remember(item.subject);
    item.resolve(outcome);
  }

  private remember(subject: string): void {
    this.conflicted.delete(subject);
    this.conflicted.set(subject, Date.now());
    const [oldest] = this.conflicted.keys();
    if (oldest !== undefined && this.conflicted.size > CONFLICTS_REMEMBERED) this.conflicted.delete(oldest);
  }

  /** What has not been sent is certainly not stored. */
  private refuseUnsent(which: (item: Item) => boolean, why: string): void {
    this.refuse((item) => !item.inDoubt && which(item), notStored(why));
  }

  private refuse(which: (item: Item) => boolean, error: LogError): void {
    const refused = this.waiting.filter(which);
    if (refused.length === 0) return;
    this.waiting = this.waiting.filter((item) => !which(item));
    for (const item of refused) item.reject(error);
  }

  private expire(): void {
    this.expiry = undefined;
    const now = Date.now();
    const { answerMs, resolveMs } = this.timing;
    this.refuseUnsent((item) => now - item.since > answerMs, 'the broker did not keep up');
    this.refuse((item) => item.inDoubt && now - item.since > answerMs + resolveMs, outcomeUnknown());
    this.schedule();
  }

  private checked(answer: PublishAnswer): number {
    if (answer.duplicate) this.alarm('the log answered "duplicate": a publisher sets message ids, and commits may be lost');
    return answer.seq ?? 0;
  }

  private async sendSingly(item: Item): Promise<void> {
    this.singles += 1;
    try {
      const result = await publishSingly(this, item);
      this.finish(item, 'answer' in result ? { stored: true, sequence: this.checked(result.answer) } : result);
    } catch (error) {
      this.finish(item, toError(error));
    } finally {
      this.singles -= 1;
      this.schedule();
    }
  }

  /** What a refusal leaves over goes once more together, then each by itself. */
  private async sendTogether(items: readonly Item[]): Promise<void> {
    this.batches += 1;
    let left = items;
    try {
      for (let round = 0; round < 2 && left.length > 1 && !left.some((item) => item.inDoubt); round++) {
        left = await this.publishBatch(left);
      }
    } catch (error) {
      for (const item of left) this.finish(item, toError(error));
      left = [];
    } finally {
      for (const item of left) {
        item.single = true;
        this.inFlight.delete(item.subject);
      }
      this.waiting.unshift(...left);
      this.batches -= 1;
      this.schedule();
    }
  }

  /** Finishes every item whose outcome is known and returns the others. Throws what all of them are to be refused with. */
  private async publishBatch(items: readonly Item[]): Promise<readonly Item[]> {
    const answer = await this.askForAll(items);
    if (answer === 'unheard') throw notStored('no stream listens');
    if (answer === 'silent') return await this.decideByMember(items);
    if (answer.error === undefined) {
      const first = this.checked(answer) - items.length + 1;
      items.forEach((item, i) => this.finish(item, { stored: true, sequence: first + i }));
      return [];
    }
    if (isFull(answer.error.err_code)) throw refusal(answer);
    return isConflict(answer.error.err_code) ? await this.dropStale(items) : items;
  }

  /** One atomic batch. Built by hand: nats.js reports a failed expectation in one as a wrong count. */
  private async askForAll(items: readonly Item[]): Promise<PublishAnswer | 'silent' | 'unheard'> {
    const id = randomUUID();
    let sequence = 0;
    try {
      for (const item of items) {
        sequence += 1;
        const all = appendHeaders(item);
        all.set('Nats-Batch-Id', id);
        all.set('Nats-Batch-Sequence', String(sequence));
        if (sequence === items.length) {
          all.set('Nats-Batch-Commit', '1');
          return await ask(this, item, all);
        }
        this.nats.connection.publish(item.subject, item.body, { headers: all });
      }
    } catch {
      // Closed half-way: a batch without its last message is never stored.
    }
    return 'unheard';
  }

  /** The refusal names no member, so the subjects' last sequences must tell. None of the items was ever sent before. */
  private async dropStale(items: readonly Item[]): Promise<readonly Item[]> {
    const lasts = await directLast(this.nats, 'LOG', items.map((item) => item.subject)).catch(() => []);
    const last = new Map(lasts.map((message) => [message.subject, message.sequence]));
    const isStale = (item: Item): boolean => (last.get(item.subject) ?? 0) > item.expected;
    for (const item of items) if (isStale(item)) this.finish(item, { stored: false });
    return items.filter((item) => !isStale(item));
  }

  /** All or none were stored: one member that is found decides for all. */
  private async decideByMember(items: readonly Item[]): Promise<readonly Item[]> {
    for (const item of items) item.inDoubt = true;
    const found = await lookUp(this, items[0]!);
    if (found === 'absent' || !found.stored) return items;
    items.forEach((item, i) => this.finish(item, { stored: true, sequence: found.sequence + i }));
    return [];
  }
}

const toError = (error: unknown): Error =>
  error instanceof LogError ? error : outcomeUnknown(error);
