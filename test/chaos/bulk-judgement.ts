import { BULK, type BulkInput, type Event } from '#libs/contracts';
import { keyedCause } from '#libs/execution';
import type { StoredCommit } from '#libs/ledger';
import type { DryRun } from './clients.js';
import type { History } from './history.js';
import { Listing } from './listing.js';

/** A bulk operation as the log tells of it. */
class Operation {
  /** Executions that it has named before it did anything to them. */
  readonly touched = new Set<string>();
  /** Those of which the log has its command, with how often. */
  readonly commanded = new Map<string, number>();
  ended: string | undefined;
  private told = { done: 0, failed: 0, total: 0 };
  private result: unknown;

  constructor(
    readonly name: string,
    readonly input: BulkInput,
    /** What fitted when it was asked for, and since when. */
    readonly fitted: ReadonlyMap<string, number>,
  ) {}

  *take(event: Event): Generator<string> {
    if (event.type === 'ExecutionCompleted' || event.type === 'ExecutionFailed' || event.type === 'ExecutionCancelled') this.ended = event.type;
    if (event.type === 'TaskCompleted') this.result = event.data.result;
    if (event.type !== 'TaskProgressed') return;
    const { done, failed, total, resume } = event.data;
    if (done + failed !== this.touched.size) yield `bulk ${this.name} tells of ${done} + ${failed} of ${this.touched.size} that it has named`;
    this.told = { done, failed, total };
    for (const id of (resume as { readonly page: readonly string[] }).page) {
      if (this.touched.has(id)) yield `bulk ${this.name} names ${id} twice`;
      this.touched.add(id);
    }
  }

  /** `listing`: as everything is right behind its end. */
  *atItsEnd(listing: Listing, statusOf: (id: string) => string | undefined): Generator<string> {
    const { action } = this.input;
    if (this.ended === 'ExecutionFailed') yield `bulk ${this.name} has failed`;
    if (this.ended !== 'ExecutionCompleted') return;
    const { done, failed, total } = this.told;
    const { done: resultDone, failed: resultFailed, failures } = this.result as { readonly done: number; readonly failed: number; readonly failures: readonly { readonly id: string; readonly code: string }[] };
    const told = `${done} done, ${failed} failed, ${total} in all`;
    if (total !== this.touched.size || done + failed !== total || resultDone !== done || resultFailed !== failed) yield `bulk ${this.name} ends with ${told} of ${this.touched.size} named, and the result ${resultDone}, ${resultFailed}`;
    // What is cancelled, or deleted, already is as it was to be, and nothing is committed.
    const wasSo = [...this.touched].filter((id) => !this.commanded.has(id) && ((action === 'cancel' && statusOf(id) === 'cancelled') || action === 'delete')).length;
    // A page that is done again finds those that were deleted meanwhile.
    const least = action === 'delete' ? this.commanded.size : [...this.commanded.keys()].filter((id) => listing.all.has(id)).length;
    if (done < least || done > this.commanded.size + wasSo) yield `bulk ${this.name} ends with ${told}; of ${this.commanded.size} the log has its command, and ${wasSo} were so before`;
    if (failures.length !== Math.min(failed, 20)) yield `bulk ${this.name} has failed for ${failed}, and says why for ${failures.length}`;
    for (const { id, code } of failures) if (!this.touched.has(id) || !/^[A-Z_]+$/.test(code)) yield `bulk ${this.name} has failed for ${id}, which it never named, or without a reason: ${code}`;
    for (const id of listing.fitting(action, this.input.filter)) {
      const listed = listing.all.get(id);
      if (!this.touched.has(id) && this.fitted.get(id) === listed?.since) yield `bulk ${this.name} has passed over ${id}, which fits since ${listed?.since}`;
    }
  }
}

export type BulkJudged = { readonly violations: readonly string[]; readonly operations: readonly { readonly action: string; readonly touched: number; readonly commanded: number }[] };

/** What bulk operations did is what they tell, each once; what they do not tell of nobody did in their name; and a dry run has said what could be done, and did nothing. */
export const ofBulk = ({ commits, models }: History, dryRuns: readonly DryRun[]): BulkJudged => {
  const violations: string[] = [];
  const operations = new Map<string, Operation>();
  const listing = new Listing();
  const ahead = dryRuns.toSorted((a, b) => a.asOfSeq - b.asOfSeq);
  const compareUpTo = (sequence: number): void => {
    for (; ahead[0] && ahead[0].asOfSeq < sequence; ahead.shift()) violations.push(...ofDryRun(ahead[0], listing));
  };
  const statusOf = (id: string): string | undefined => models.get(id)?.status;
  for (const stored of commits) {
    compareUpTo(stored.sequence);
    listing.take(stored);
    begin(operations, listing, stored);
    const own = operations.get(stored.ref.execution);
    for (const event of stored.commit.events) {
      violations.push(...(own?.take(event) ?? []));
      violations.push(...commanded(operations, stored, event));
    }
    if (own?.ended !== undefined && stored.commit.events.some(({ type }) => type === own.ended)) violations.push(...own.atItsEnd(listing, statusOf));
  }
  compareUpTo(Infinity);
  for (const { key } of dryRuns) {
    if (commits.some(({ commit }) => commit.events.some(({ cause }) => cause.startsWith(keyedCause(key, ''))))) violations.push(`the dry run ${key} has left something in the log`);
  }
  for (const { name, touched, commanded: by } of operations.values()) {
    for (const [id, times] of by) if (times > 1) violations.push(`bulk ${name} did it ${times} times to ${id}`);
    if ([...by.keys()].some((id) => !touched.has(id))) violations.push(`bulk ${name} did it to some that it has not named`);
  }
  return {
    violations,
    operations: [...operations.values()].map(({ input, touched, commanded: by }) => ({ action: input.action, touched: touched.size, commanded: by.size })),
  };
};

const begin = (operations: Map<string, Operation>, listing: Listing, { ref, commit }: StoredCommit): void => {
  const [first] = commit.events;
  if (first?.type !== 'ExecutionRequested' || first.data.plan.tasks[0]?.runner !== BULK) return;
  const input = first.data.plan.tasks[0].input as unknown as BulkInput;
  const fitted = new Map(listing.fitting(input.action, input.filter).map((id) => [id, listing.all.get(id)?.since ?? 0]));
  operations.set(ref.execution, new Operation(ref.execution, input, fitted));
};

/** One of its commands in the log. A retry is another execution, that names the one which it carries on. */
function* commanded(operations: ReadonlyMap<string, Operation>, { ref, sequence }: StoredCommit, event: Event): Generator<string> {
  const [, name = '', action] = /^bulk ([^ #]+)(?: [^#]*)?#(.*)$/.exec(event.cause) ?? [];
  if (name === '') return;
  const operation = operations.get(name);
  // What else follows from it in the same commit has the same cause.
  const isCommand = ['ExecutionPaused', 'ExecutionResumed', 'ExecutionCancelRequested', 'ExecutionCommandSatisfied', 'ExecutionDeleted', 'ExecutionRequested'].includes(event.type);
  if (!isCommand) return;
  const target = event.type === 'ExecutionRequested' ? (event.data.origin?.execution ?? '') : ref.execution;
  if (!operation || action !== operation.input.action) return yield `${event.type} of ${ref.execution} at ${sequence} is by bulk ${name} (${action}), which is not there`;
  if (!operation.touched.has(target)) yield `bulk ${name} did it to ${target} at ${sequence} before it told of it`;
  operation.commanded.set(target, (operation.commanded.get(target) ?? 0) + 1);
}

function* ofDryRun({ key, action, filter, byStatus, asOfSeq }: DryRun, listing: Listing): Generator<string> {
  const right: Record<string, number> = {};
  for (const id of listing.fitting(action, filter)) {
    const { status } = listing.all.get(id)!;
    right[status] = (right[status] ?? 0) + 1;
  }
  const said = (counts: Readonly<Record<string, number>>): string => JSON.stringify(Object.entries(counts).toSorted(([a], [b]) => (a < b ? -1 : 1)));
  if (said(right) !== said(byStatus)) yield `the dry run ${key} of ${action} says ${said(byStatus)} as of ${asOfSeq}, and it is ${said(right)}`;
}
