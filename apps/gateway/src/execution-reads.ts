import { type ExecutionRef, eventId, isTombstone } from '#libs/contracts';
import { refusalOf } from '#libs/execution';
import { type LogStore, type StoredCommit, checked, replay, unborn } from '#libs/ledger';
import { type ClarificationView, type ExecutionDetail, ExecutionView, type TaskView, type Why, whyOf } from '#libs/projections';
import { Problem } from './problem.js';
import type { ReadModels } from './read-models.js';
import type { AsOf, EventPosition, ReadAt } from './request-query.js';

/** An event as clients read it. */
type EventView = {
  readonly id: string;
  readonly position: string;
  readonly type: string;
  readonly at: string;
  readonly storedAt: string;
  readonly cause: string;
  readonly actor: string;
  readonly correlationId: string;
  readonly data: unknown;
};

type Known = { readonly asOfSeq: number };
type Past = Known & { readonly history: readonly StoredCommit[] };

/**
 * Reads of one execution, now or as of an earlier sequence or time. Now is what the status projection says; what it does not know
 * yet, and everything while it can't be asked, is folded from the log, which always knows.
 */
export class ExecutionReads {
  constructor(
    private readonly log: LogStore,
    private readonly readModels: Pick<ReadModels, 'execution' | 'tasks' | 'clarifications'>,
    /** Incarnations of the executors that are alive, for the answer to why nothing happens. */
    private readonly executors: () => Promise<ReadonlySet<string>>,
  ) {}

  /** Throws Problem EXECUTION_NOT_FOUND, SEQUENCE_NOT_REACHED, QUERY_INVALID; Refused EXECUTION_DELETED; LogError, BrokenHistory. So do all others. */
  async detail(ref: ExecutionRef, at: ReadAt = {}): Promise<ExecutionDetail & Known> {
    const known = at.asOf ? undefined : await this.projected(this.readModels.execution(ref), at);
    if (known) return { ...known.found, asOfSeq: known.asOfSeq };
    const { view, asOfSeq } = await this.folded(ref, at);
    if (!view.execution) throw notFound(ref, at.asOf);
    return { ...view.execution, asOfSeq };
  }

  async tasks(ref: ExecutionRef, at: ReadAt = {}): Promise<{ readonly tasks: readonly TaskView[] } & Known> {
    const known = at.asOf ? undefined : await this.projected(this.readModels.tasks(ref), at);
    if (known) return { tasks: known.found, asOfSeq: known.asOfSeq };
    const { view, asOfSeq } = await this.folded(ref, at);
    return { tasks: view.taskViews, asOfSeq };
  }

  async clarifications(ref: ExecutionRef, at: ReadAt = {}): Promise<{ readonly clarifications: readonly ClarificationView[] } & Known> {
    const known = at.asOf ? undefined : await this.projected(this.readModels.clarifications(ref), at);
    if (known) return { clarifications: known.found, asOfSeq: known.asOfSeq };
    const { view, asOfSeq } = await this.folded(ref, at);
    return { clarifications: view.clarificationViews, asOfSeq };
  }

  async why(ref: ExecutionRef, at: ReadAt = {}): Promise<Why & Known> {
    const { history, asOfSeq } = await this.history(ref, at);
    const now = at.asOf ? await this.clockAt(at.asOf, history) : Date.now();
    const alive = at.asOf ? undefined : await this.executors();
    return { ...whyOf(ref.execution, history, replay(unborn(ref), history).state, now, alive), asOfSeq };
  }

  async events(
    ref: ExecutionRef,
    after: EventPosition,
    limit: number,
    at: ReadAt = {},
  ): Promise<{ readonly events: readonly EventView[]; readonly next: string | null }> {
    const page = await this.page(ref, after, limit, at);
    if (page.length === 0) await this.mustExist(ref, at);
    const events = page
      .flatMap(({ sequence, storedAt, commit }) =>
        commit.events.map((event, index) => ({ event, sequence, index, storedAt, version: commit.version })),
      )
      // A position names the last event read; index 0 of sequence 0 comes before everything.
      .filter(({ sequence, index }) => sequence > after.sequence || (sequence === after.sequence && index > after.index));
    const views = events.slice(0, limit).map(({ event, sequence, index, storedAt, version }) => ({
      id: eventId(ref.execution, version, index),
      position: `${sequence}/${index}`,
      storedAt,
      ...event,
    }));
    return { events: views, next: events.length > limit ? (views[views.length - 1]?.position ?? null) : null };
  }

  /** The broker's time up to which things count as of `asOf`, milliseconds since the epoch; undefined for now. */
  async timeOf(at: ReadAt): Promise<number | undefined> {
    await this.bound(at);
    const { asOf } = at;
    if (asOf === undefined || 'time' in asOf) return asOf?.time;
    const stored = await this.log.at(asOf.sequence);
    if (!stored) throw new Problem(400, 'QUERY_INVALID', `no commit stands at log sequence ${asOf.sequence}; take one from an event's position`);
    return Date.parse(stored.storedAt);
  }

  /** As it was requested with; undefined where there is no such execution. Throws LogError. */
  async labels(ref: ExecutionRef): Promise<Readonly<Record<string, string>> | undefined> {
    const [first] = await this.log.history(ref, { limit: 1 });
    const event = first?.commit.events[0];
    if (event?.type === 'ExecutionDeleted') return event.data.workspace === undefined ? {} : { workspace: event.data.workspace };
    return event?.type === 'ExecutionRequested' ? event.data.labels : undefined;
  }

  /** Throws Problem EXECUTION_NOT_FOUND, Refused EXECUTION_DELETED. */
  async mustExist(ref: ExecutionRef, at: ReadAt = {}): Promise<void> {
    if (!at.asOf && (await this.projected(this.readModels.execution(ref), at))) return;
    await this.history(ref, at);
  }

  /** Undefined where the log has to be asked: the projection is away, behind what is wanted, or does not know the execution. */
  private async projected<T>(
    answer: Promise<{ readonly asOfSeq: number; readonly found: T | undefined }>,
    { minSeq = 0 }: ReadAt,
  ): Promise<{ readonly asOfSeq: number; readonly found: T } | undefined> {
    try {
      const { asOfSeq, found } = await answer;
      return found !== undefined && asOfSeq >= minSeq ? { asOfSeq, found } : undefined;
    } catch (error) {
      if (error instanceof Problem && error.code === 'PROJECTION_UNAVAILABLE') return undefined;
      throw error;
    }
  }

  private async page(ref: ExecutionRef, after: EventPosition, limit: number, at: ReadAt): Promise<readonly StoredCommit[]> {
    // Every commit holds an event at least, and the first one may have been read to its end.
    const range = { after: Math.max(0, after.sequence - 1), limit: limit + 2 };
    if (at.asOf) {
      const { history } = await this.history(ref, at);
      return history.filter(({ sequence }) => sequence > range.after).slice(0, range.limit);
    }
    await this.bound(at);
    const page = await this.log.history(ref, range);
    mustNotBeDeleted(ref, page);
    return page;
  }

  /** What the time was then, as the broker's clock knows it. */
  private async clockAt(asOf: AsOf, history: readonly StoredCommit[]): Promise<number> {
    if ('time' in asOf) return asOf.time;
    const last = history[history.length - 1];
    const stored = last?.sequence === asOf.sequence ? last : ((await this.log.at(asOf.sequence)) ?? last);
    return Date.parse(stored?.storedAt ?? '');
  }

  /** All that had happened by then, checked. */
  async past(ref: ExecutionRef, at: ReadAt): Promise<readonly StoredCommit[]> {
    return checked(ref, (await this.history(ref, at)).history);
  }

  private async folded(ref: ExecutionRef, at: ReadAt): Promise<Known & { readonly view: ExecutionView }> {
    const { history, asOfSeq } = await this.history(ref, at);
    const view = new ExecutionView(ref);
    for (const stored of checked(ref, history)) view.apply(stored);
    return { view, asOfSeq };
  }

  private async history(ref: ExecutionRef, at: ReadAt): Promise<Past> {
    const { upTo, head } = await this.bound(at);
    const all = await this.log.history(ref);
    // Also as of before: what was deleted is not read any more, whether it is purged yet or not.
    mustNotBeDeleted(ref, all);
    const history = until(all, at.asOf);
    const last = history[history.length - 1];
    if (!last) throw notFound(ref, at.asOf);
    return { history, asOfSeq: upTo ?? Math.max(last.sequence, at.asOf ? 0 : (head ?? 0)) };
  }

  /** Checks what is asked for against the log's end, where it needs to be known. */
  private async bound({ asOf, minSeq }: ReadAt): Promise<{ readonly upTo?: number; readonly head?: number }> {
    const upTo = asOf && 'sequence' in asOf ? asOf.sequence : undefined;
    if (upTo === undefined && minSeq === undefined) return {};
    const { sequence: head } = await this.log.head();
    if (minSeq !== undefined && head < minSeq) {
      throw new Problem(503, 'SEQUENCE_NOT_REACHED', `the log ends at ${head}, before minSeq ${minSeq}; take minSeq from the answer to a write`, {
        retryAfterSeconds: 1,
      });
    }
    if (upTo === undefined) return { head };
    if (upTo <= head) return { upTo, head };
    throw new Problem(400, 'QUERY_INVALID', `log sequence ${upTo} is beyond the log's end at ${head}; take one from an event's position, or leave it out for what is known now`);
  }
}

const until = (history: readonly StoredCommit[], asOf: AsOf | undefined): readonly StoredCommit[] => {
  if (!asOf) return history;
  return history.filter(({ sequence, storedAt }) => ('time' in asOf ? Date.parse(storedAt) <= asOf.time : sequence <= asOf.sequence));
};

/** Throws Refused EXECUTION_DELETED. */
export const mustNotBeDeleted = (ref: ExecutionRef, history: readonly StoredCommit[]): void => {
  const last = history[history.length - 1];
  const deleted = last && isTombstone(last.commit) && replay(unborn(ref), [last]).state.deleted;
  if (deleted) throw refusalOf(deleted);
};

const notFound = (ref: ExecutionRef, asOf?: AsOf): Problem => {
  const when = asOf && ('sequence' in asOf ? ` as of log sequence ${asOf.sequence}` : ` as of ${new Date(asOf.time).toISOString()}`);
  return new Problem(
    404,
    'EXECUTION_NOT_FOUND',
    `no execution ${ref.execution} in tenant ${ref.tenant}${when ?? ''}; check id and X-Tenant-ID${when === undefined ? '' : ', or take a later one'}`,
  );
};
