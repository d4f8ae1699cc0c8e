import { BULK, type BulkInput, type ExecutionRef } from '#libs/contracts';
import { type ClientCommand, type Context, Refused, keyedCause, successorOf } from '#libs/execution';
import { BrokenHistory, LogError, type LogStore, checked, derivedId, submit } from '#libs/ledger';
import type { AtLeast, ListQuery, SelectAnswer } from '#libs/projections';
import type { Attempt, Course, Outcome, Runner } from '#libs/runners';
import type { Clock } from './clock.js';

/** Targets that are taken at once: each such page is told before anything is done with it, so that nothing is done and not counted. */
const PAGE = { least: 10, most: 200 } as const;
/** Failures that the result tells one by one. */
const FAILURES_MAX = 20;
/** Longest wait for the read model to know what was there when the operation began, milliseconds. */
const KNOWN_WITHIN_MS = 4_000;

/** Nobody says what fits. */
export class SelectError extends Error {
  override readonly name = 'SelectError';
  readonly code = 'PROJECTION_UNAVAILABLE';
}

/** What fits, as the status read model knows it. Throws SelectError. */
export type Select = (query: ListQuery & AtLeast) => Promise<SelectAnswer>;

export type BulkOptions = { readonly log: LogStore; readonly select: Select; readonly clock: Clock };

type Failed = { readonly id: string; readonly code: string };

/** What is done before the page, the page, and where the next one begins. */
type Place = { readonly page: readonly string[]; readonly next: string | null; readonly failures: readonly Failed[] };

/**
 * Does one thing to many executions, one after the other. Each gets its command under a cause that follows from the operation and the execution, so
 * that it is applied once, however often it is sent: an attempt that is lost is followed by one that goes on with the page it had told last.
 */
export const bulkRunner = (options: BulkOptions): Runner => ({
  name: BULK,
  sideEffects: true,
  check: () => [],
  run: async (attempt) => {
    const { course } = attempt;
    if (!course) throw new TypeError('a bulk operation is run where its progress is kept');
    const run = new BulkRun(attempt, course, attempt.input as unknown as BulkInput, options);
    try {
      return await run.toItsEnd();
    } catch (error) {
      // Another attempt goes on where this one had come to.
      if (error instanceof LogError || error instanceof SelectError) return run.stopped(error.code, error.message);
      throw error;
    }
  },
});

class BulkRun {
  private done = 0;
  private failed = 0;
  private total = 0;
  private failures: readonly Failed[] = [];
  private notBefore = 0;
  /** Of the operation as whoever asked for it would have said it. */
  private readonly command: Exclude<ClientCommand, { readonly type: 'RequestExecution' }> | undefined;

  constructor(
    private readonly attempt: Attempt,
    private readonly course: Course,
    private readonly input: BulkInput,
    private readonly options: BulkOptions,
  ) {
    this.command = commandOf(input);
  }

  async toItsEnd(): Promise<Outcome> {
    let place = this.lastPlace() ?? (await this.turnTo(undefined));
    for (;;) {
      for (const execution of place.page) {
        await this.pace();
        await this.course.mayGoOn();
        if (this.attempt.signal.aborted) return this.stopped('BULK_STOPPED', 'it was ended before it was through');
        await this.send(execution);
      }
      if (place.next === null) break;
      place = await this.turnTo(place.next);
    }
    await this.tell({ page: [], next: null, failures: this.failures });
    return { ok: true, result: this.result() };
  }

  stopped(code: string, message: string): Outcome {
    return { ok: false, error: { code, message, retryable: true }, result: this.result() };
  }

  private result(): { readonly done: number; readonly failed: number; readonly failures: readonly Failed[] } {
    return { done: this.done, failed: this.failed, failures: this.failures };
  }

  private lastPlace(): Place | undefined {
    const { last } = this.course;
    if (!last) return undefined;
    const place = last.resume as unknown as Place;
    Object.assign(this, { done: last.done, failed: last.failed, total: last.total, failures: place.failures });
    return place;
  }

  /** The page behind the cursor, once it is told. */
  private async turnTo(cursor: string | undefined): Promise<Place> {
    const { log, select } = this.options;
    const { filter, ratePerSecond } = this.input;
    const { tenant, execution } = this.attempt.ref;
    const limit = Math.max(PAGE.least, Math.min(PAGE.most, ratePerSecond));
    // Whatever was accepted before this operation is among what it is about.
    const known = cursor === undefined ? { minSeq: (await log.head()).sequence, waitMs: KNOWN_WITHIN_MS } : { cursor };
    const { ids, counts, next } = await select({ ...filter, tenant, limit, ...known });
    if (counts) this.total = Object.values(counts).reduce((sum, n) => sum + n, 0);
    const place = { page: ids.filter((id) => id !== execution), next, failures: this.failures };
    await this.tell(place);
    return place;
  }

  private async tell(place: Place): Promise<void> {
    // What changes while it goes on may be more, or less, than was counted first.
    this.total = Math.max(this.total, this.done + this.failed + place.page.length);
    if (place.next === null) this.total = this.done + this.failed + place.page.length;
    await this.course.tell({ done: this.done, failed: this.failed, total: this.total, resume: place as unknown as Record<string, never> });
  }

  private async send(execution: string): Promise<void> {
    const { tenant, execution: own } = this.attempt.ref;
    const ref = { tenant, execution };
    try {
      if (this.command) await submit(this.options.log, ref, this.command, this.context(`bulk ${own}`));
      else await this.retry(ref, `bulk ${own} ${execution}`);
      this.done += 1;
    } catch (error) {
      const isItsOwn = error instanceof Refused || error instanceof BrokenHistory || (error instanceof LogError && error.code === 'COMMIT_TOO_LARGE');
      if (!isItsOwn) throw error;
      this.failed += 1;
      if (this.failures.length < FAILURES_MAX) this.failures = [...this.failures, { id: execution, code: error.code }];
    }
  }

  /** The id of the new execution follows from both, as its cause does. No client's key has a space in it. */
  private async retry(ref: ExecutionRef, name: string): Promise<void> {
    const { log } = this.options;
    const successor = { tenant: ref.tenant, execution: derivedId(ref.tenant, name) };
    // Where a page is done again, either may have been deleted since.
    if ((await log.history(successor, { limit: 1 })).length > 0) return;
    const history = checked(ref, await log.history(ref));
    const predecessor = { execution: ref.execution, sequence: history.at(-1)?.sequence ?? 0, events: history.flatMap(({ commit }) => commit.events) };
    await submit(log, successor, successorOf(predecessor, { kind: 'retry' }), this.context(name));
  }

  private context(key: string): Context {
    const { action, actor, correlationId } = this.input;
    return { now: this.options.clock.now(), cause: keyedCause(key, action), actor, correlationId };
  }

  private async pace(): Promise<void> {
    const { clock } = this.options;
    const now = clock.now();
    const at = Math.max(now, this.notBefore);
    this.notBefore = at + 1_000 / this.input.ratePerSecond;
    if (at > now) await pause(clock, at - now, this.attempt.signal);
  }
}

const commandOf = ({ action, reason, mode = 'immediate' }: BulkInput): BulkRun['command'] => {
  const why = reason === undefined ? {} : { reason };
  switch (action) {
    case 'pause':
      return { type: 'PauseExecution', ...why };
    case 'resume':
      return { type: 'ResumeExecution', ...why };
    case 'cancel':
      return { type: 'CancelExecution', mode, ...why };
    case 'delete':
      return { type: 'DeleteExecution', ...why };
    case 'retry':
      return undefined;
  }
};

const pause = (clock: Clock, ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const over = (): void => {
      cancel();
      signal.removeEventListener('abort', over);
      resolve();
    };
    const cancel = clock.after(ms, over);
    signal.addEventListener('abort', over);
  });
