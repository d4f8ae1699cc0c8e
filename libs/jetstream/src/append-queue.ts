import { randomUUID } from 'node:crypto';
import { type MsgHdrs, errors, headers } from '@nats-io/transport-node';
import { logSubject } from '#libs/contracts';
import { type Append, type AppendResult, LogError, parseCommit } from '#libs/ledger';
import { type PublishAnswer, isConflict, isFull, parseAnswer } from './codes.js';
import type { Nats } from './connection.js';
import { directLast, leaderNext } from './read.js';

/** From here on one batch costs less than single publishes (measured with every write synced). */
const BATCH_FROM = 16;
const BATCH_MAX = 300;
/** The broker takes 50 a stream from everyone together. */
const BATCHES_IN_FLIGHT = 2;
const SINGLES_IN_FLIGHT = 16;
const ANSWER_TIMEOUT_MS = 5_000;
/** How long an outcome may stay unknown before the caller is told so. */
const RESOLVE_WITHIN_MS = 10_000;

type Item = {
  readonly append: Append;
  readonly subject: string;
  /** It may have been stored by an earlier try: a conflict then proves nothing until the log has been read. */
  tried: boolean;
  /** To be published by itself. */
  single: boolean;
  readonly resolve: (result: AppendResult) => void;
  readonly reject: (error: Error) => void;
};

const unavailable = (why: string): LogError => new LogError('LOG_UNAVAILABLE', `nothing was stored: ${why}; try again in a moment`);

const refusal = (answer: PublishAnswer): LogError => {
  const code = answer.error?.err_code;
  const why = `${answer.error?.description ?? 'no reason given'} (${code ?? 'no code'})`;
  if (isFull(code)) return new LogError('LOG_FULL', `the log is full: ${why}; give stream LOG more max_bytes`);
  return unavailable(why);
};

/**
 * Group commit. While few commits wait they are published singly, several at a time; when many do, as one atomic batch,
 * each with its own expectation: the broker syncs a batch once. At most one append is in flight per subject.
 */
export class AppendQueue {
  private readonly waiting: Item[] = [];
  private readonly inFlight = new Set<string>();
  private batches = 0;
  private singles = 0;
  private scheduled = false;

  constructor(
    private readonly nats: Nats,
    private readonly alarm: (message: string) => void,
  ) {}

  append(append: Append): Promise<AppendResult> {
    if (!this.nats.connected) return Promise.reject(unavailable('no connection to the broker'));
    return new Promise((resolve, reject) => {
      this.waiting.push({ append, subject: logSubject(append.ref), tried: false, single: false, resolve, reject });
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
    });
  }

  private pump(): void {
    while (this.waiting.length > 0) {
      const batch = this.waiting.length >= BATCH_FROM;
      if (batch ? this.batches >= BATCHES_IN_FLIGHT : this.singles >= SINGLES_IN_FLIGHT || this.batches > 0) return;
      const items = this.take(batch ? BATCH_MAX : 1);
      if (items.length === 0) return;
      if (items.length === 1) void this.sendSingle(items[0]!);
      else void this.sendBatch(items);
    }
  }

  /** Items whose subjects are free; one that has to go singly comes alone. */
  private take(limit: number): Item[] {
    const taken: Item[] = [];
    for (let i = 0; i < this.waiting.length && taken.length < limit; ) {
      const item = this.waiting[i]!;
      if (this.inFlight.has(item.subject) || (item.single && taken.length > 0)) {
        i += 1;
        continue;
      }
      this.waiting.splice(i, 1);
      this.inFlight.add(item.subject);
      taken.push(item);
      if (item.single) break;
    }
    return taken;
  }

  private finish(item: Item, outcome: AppendResult | Error): void {
    this.inFlight.delete(item.subject);
    if (outcome instanceof Error) item.reject(outcome);
    else item.resolve(outcome);
    if (this.waiting.length > 0) this.schedule();
  }

  private headersOf(item: Item): MsgHdrs {
    const all = headers();
    all.set('Nats-Expected-Last-Subject-Sequence', String(item.append.expected));
    all.set('Content-Type', 'application/json');
    return all;
  }

  private async sendSingle(item: Item): Promise<void> {
    this.singles += 1;
    try {
      this.finish(item, await this.publishSingle(item));
    } catch (error) {
      this.finish(item, error instanceof Error ? error : new Error(String(error)));
    } finally {
      this.singles -= 1;
      this.schedule();
    }
  }

  /** Publishes until the outcome is known, for a bounded time. Compare-and-set makes a second publish of the same harmless. */
  private async publishSingle(item: Item): Promise<AppendResult> {
    const until = Date.now() + RESOLVE_WITHIN_MS;
    for (;;) {
      const answer = await this.ask(item.subject, item.append.body, this.headersOf(item));
      if (answer !== 'unknown' && answer !== 'not sent') {
        if (answer.error === undefined) return this.stored(answer);
        if (!isConflict(answer.error.err_code)) {
          if (!item.tried) throw refusal(answer);
        } else if (!item.tried) {
          return { stored: false };
        }
      } else if (answer === 'not sent' && !item.tried) {
        throw unavailable('no stream answers');
      }
      item.tried = true;
      const found = await this.lookUp(item, until);
      if (found !== 'absent') return found;
      if (Date.now() >= until) throw unknown();
    }
  }

  private stored(answer: PublishAnswer): AppendResult {
    if (answer.duplicate) this.alarm('the log answered "duplicate": a publisher sets message ids, and commits may be lost');
    return { stored: true, sequence: answer.seq ?? 0 };
  }

  private async ask(subject: string, body: Uint8Array, all: MsgHdrs): Promise<PublishAnswer | 'unknown' | 'not sent'> {
    try {
      const message = await this.nats.connection.request(subject, body, { timeout: ANSWER_TIMEOUT_MS, headers: all });
      return parseAnswer(message.data);
    } catch (error) {
      if (error instanceof errors.NoRespondersError || error instanceof errors.RequestError) {
        return error instanceof errors.NoRespondersError || error.isNoResponders() ? 'not sent' : 'unknown';
      }
      return 'unknown';
    }
  }

  /** Looks for the own commit among everything stored behind the expectation. The last commit alone would not tell: others append within milliseconds. */
  private async lookUp(item: Item, until: number): Promise<AppendResult | 'absent'> {
    for (;;) {
      try {
        let others = false;
        for (let from = item.append.expected + 1; ; ) {
          const next = await leaderNext(this.nats, 'LOG', item.subject, from);
          if (!next) return others ? { stored: false } : 'absent';
          const commit = parseCommit(next.data);
          if ('id' in commit && commit.id === item.append.id) return { stored: true, sequence: next.sequence };
          others = true;
          from = next.sequence + 1;
        }
      } catch {
        if (Date.now() >= until) throw unknown();
        await pause(100);
      }
    }
  }

  private async sendBatch(items: Item[]): Promise<void> {
    this.batches += 1;
    try {
      const left = await this.publishBatch(items);
      // What a refusal left over goes once more together, then each by itself.
      const again = left.length > 1 ? await this.publishBatch(left) : left;
      for (const item of again) {
        item.single = true;
        this.inFlight.delete(item.subject);
      }
      this.waiting.unshift(...again);
    } catch (error) {
      for (const item of items) this.finish(item, error instanceof Error ? error : new Error(String(error)));
    } finally {
      this.batches -= 1;
      this.schedule();
    }
  }

  /** Finishes every item whose outcome is known; returns those that are to be tried again. */
  private async publishBatch(items: readonly Item[]): Promise<Item[]> {
    const id = randomUUID();
    const { connection } = this.nats;
    const last = items.length - 1;
    let answer: PublishAnswer | 'unknown' | 'not sent' = 'unknown';
    try {
      for (const [i, item] of items.entries()) {
        const all = this.headersOf(item);
        all.set('Nats-Batch-Id', id);
        all.set('Nats-Batch-Sequence', String(i + 1));
        if (i < last) {
          connection.publish(item.subject, item.append.body, { headers: all });
        } else {
          all.set('Nats-Batch-Commit', '1');
          answer = await this.ask(item.subject, item.append.body, all);
        }
      }
    } catch {
      // The connection closed half-way: a batch without its last message is never stored.
      answer = 'not sent';
    }
    if (answer === 'unknown') return this.decideByMember(items);
    if (answer !== 'not sent' && answer.error === undefined) {
      const end = this.stored(answer);
      if (end.stored) items.forEach((item, i) => this.finish(item, { stored: true, sequence: end.sequence - last + i }));
      return [];
    }
    if (answer === 'not sent') {
      for (const item of items) this.finish(item, unavailable('no stream answers'));
      return [];
    }
    if (isFull(answer.error?.err_code)) {
      for (const item of items) this.finish(item, refusal(answer));
      return [];
    }
    return isConflict(answer.error?.err_code) ? this.dropStale(items) : [...items];
  }

  /** The refusal names no member: the subjects' last sequences do. */
  private async dropStale(items: readonly Item[]): Promise<Item[]> {
    try {
      const lasts = await directLast(this.nats, 'LOG', items.map((item) => item.subject));
      const sequence = new Map(lasts.map((message) => [message.subject, message.sequence]));
      const left: Item[] = [];
      for (const item of items) {
        if ((sequence.get(item.subject) ?? 0) > item.append.expected && !item.tried) this.finish(item, { stored: false });
        else left.push(item);
      }
      return left;
    } catch {
      return [...items];
    }
  }

  /** All or nothing was stored: one member that is found, or not, decides for all. */
  private async decideByMember(items: readonly Item[]): Promise<Item[]> {
    for (const item of items) item.tried = true;
    try {
      const found = await this.lookUp(items[0]!, Date.now() + RESOLVE_WITHIN_MS);
      if (found === 'absent' || !found.stored) return [...items];
      items.forEach((item, i) => this.finish(item, { stored: true, sequence: found.sequence + i }));
    } catch (error) {
      for (const item of items) this.finish(item, error instanceof Error ? error : unknown());
    }
    return [];
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const unknown = (): LogError =>
  new LogError('OUTCOME_UNKNOWN', 'the broker did not say whether it was stored, and could not be asked; retry with the same key');
