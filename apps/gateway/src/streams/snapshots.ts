import type { ExecutionRef } from '#libs/contracts';
import { ExecutionView, type ListAnswer, type ListQuery } from '#libs/projections';
import { FEED_START, type FeedPlace } from '#libs/jetstream';
import { type LogStore } from '#libs/ledger';
import { mustNotBeDeleted } from '../execution-reads.js';
import type { ReadModels } from '../read-models.js';
import { endsExecution } from './filter.js';
import { cursorOf } from './frame.js';
import { together } from './together.js';

/** What there is, and the place it stands for: what comes behind it is not in it. */
export type Snapshot = {
  readonly place: FeedPlace;
  readonly body: Buffer;
  /** The event that has ended the execution. */
  readonly endedAt?: FeedPlace | undefined;
};

/**
 * States to begin with. Those who ask for the same while it is read get the same answer, so that a thousand clients that come at once
 * cost one: what was committed since then comes behind its place.
 */
export class Snapshots {
  private readonly executions = new Map<string, Promise<Snapshot | undefined>>();
  private readonly lists = new Map<string, Promise<Snapshot>>();

  constructor(
    private readonly log: Pick<LogStore, 'history' | 'at'>,
    private readonly readModels: Pick<ReadModels, 'list'>,
  ) {}

  /** From the log itself. Undefined where there is no such execution. Throws Refused EXECUTION_DELETED, LogError. */
  execution(ref: ExecutionRef): Promise<Snapshot | undefined> {
    return together(this.executions, `${ref.tenant}/${ref.execution}`, () => this.fold(ref));
  }

  /** The newest executions that fit. Throws Problem PROJECTION_UNAVAILABLE, LogError. */
  list(query: ListQuery): Promise<Snapshot> {
    return together(this.lists, JSON.stringify(query), () => this.read(query));
  }

  private async read(query: ListQuery): Promise<Snapshot> {
    const { asOfSeq, executions, next }: ListAnswer = await this.readModels.list(query);
    const stored = asOfSeq > 0 ? await this.log.at(asOfSeq) : undefined;
    const place = asOfSeq > 0 ? { sequence: asOfSeq, index: (stored?.commit.events.length ?? 1) - 1 } : FEED_START;
    return { place, body: bodyOf(place, { executions, next }) };
  }

  private async fold(ref: ExecutionRef): Promise<Snapshot | undefined> {
    const history = await this.log.history(ref);
    mustNotBeDeleted(ref, history);
    const view = new ExecutionView(ref);
    for (const stored of history) view.apply(stored);
    const last = history[history.length - 1];
    if (!last || !view.execution) return undefined;
    const place = { sequence: last.sequence, index: last.commit.events.length - 1 };
    const endedAt = history.flatMap(({ sequence, commit }) => commit.events.map(({ type }, index) => ({ type, place: { sequence, index } }))).find(({ type }) => endsExecution(type))?.place;
    return { place, endedAt, body: bodyOf(place, { execution: view.execution, tasks: view.taskViews }) };
  }
}

const bodyOf = (place: FeedPlace, content: object): Buffer => Buffer.from(JSON.stringify({ position: cursorOf(place), ...content }));
