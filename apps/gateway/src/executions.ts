import { randomUUID } from 'node:crypto';
import type { ExecutionRef } from '#libs/contracts';
import { eventId } from '#libs/contracts';
import type { ClientCommand, Context } from '#libs/execution';
import { LogError, type LogStore, MAX_COMMIT_BYTES, replay, submit, unborn } from '#libs/ledger';
import { type ExecutionDetail, type TaskView, detailOf, tasksOf } from '#libs/projections';
import { Problem } from './problem.js';
import type { ReadModels } from './read-models.js';
import type { ExecutionRequest } from './request-body.js';
import type { EventPosition } from './request-query.js';
import { uuid7 } from './uuid7.js';

export type Accepted = { readonly id: string; readonly sequence: number; readonly status: string };
export type Controlled = Accepted & { readonly changed: boolean };

/** An event as clients read it. */
export type EventView = {
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

/** Commands in, commits out; reads of one execution. */
export class Executions {
  constructor(
    private readonly log: LogStore,
    private readonly readModels: Pick<ReadModels, 'execution' | 'tasks'>,
    /** True while new executions are refused, so that running ones have room to end. */
    private readonly isNearlyFull: () => boolean,
  ) {}

  async request(tenant: string, request: ExecutionRequest, correlationId: string): Promise<Accepted> {
    if (this.isNearlyFull()) {
      throw new Problem(503, 'LOG_NEARLY_FULL', 'the log is at 85 % of its size: no new executions until there is room', {
        retryAfterSeconds: 30,
      });
    }
    const ref = { tenant, execution: uuid7() };
    const command: ClientCommand = { type: 'RequestExecution', ...request, dialect: 'canonical' };
    try {
      const { execution } = await submit(this.log, ref, command, this.context(correlationId));
      return { id: ref.execution, sequence: execution.sequence, status: 'pending' };
    } catch (error) {
      throw error instanceof LogError ? ofRequest(error, ref) : error;
    }
  }

  async control(ref: ExecutionRef, command: ClientCommand, correlationId: string): Promise<Controlled> {
    const { execution, changed } = await submit(this.log, ref, command, this.context(correlationId));
    return { id: ref.execution, status: execution.state.status ?? 'pending', sequence: execution.sequence, changed };
  }

  /** From the status projection; from the log itself where that does not know the execution yet. */
  async detail(ref: ExecutionRef): Promise<ExecutionDetail & { readonly asOfSeq: number }> {
    const { asOfSeq, found } = await this.readModels.execution(ref);
    return found ? { ...found, asOfSeq } : await this.folded(ref, detailOf);
  }

  async tasks(ref: ExecutionRef): Promise<{ readonly tasks: readonly TaskView[]; readonly asOfSeq: number }> {
    const { asOfSeq, found } = await this.readModels.tasks(ref);
    return found ? { tasks: found, asOfSeq } : await this.folded(ref, (_, state) => ({ tasks: tasksOf(state) }));
  }

  async events(
    ref: ExecutionRef,
    after: EventPosition,
    limit: number,
  ): Promise<{ readonly events: readonly EventView[]; readonly next: string | null }> {
    const history = await this.log.history(ref, { after: Math.max(0, after.sequence - 1) });
    if (history.length === 0) await this.mustExist(ref);
    const events = history
      .flatMap(({ sequence, storedAt, commit }) =>
        commit.events.map((event, index) => ({ event, sequence, index, storedAt, version: commit.version })),
      )
      // A position names the last event read; index 0 of sequence 0 comes before everything.
      .filter(({ sequence, index }) => sequence > after.sequence || (sequence === after.sequence && index > after.index));
    const page = events.slice(0, limit).map(({ event, sequence, index, storedAt, version }) => ({
      id: eventId(ref.execution, version, index),
      position: `${sequence}/${index}`,
      storedAt,
      ...event,
    }));
    return { events: page, next: events.length > limit ? (page[page.length - 1]?.position ?? null) : null };
  }

  /** Throws Problem EXECUTION_NOT_FOUND. */
  async mustExist(ref: ExecutionRef): Promise<void> {
    if ((await this.log.history(ref)).length === 0) throw notFound(ref);
  }

  private async folded<T extends object>(
    ref: ExecutionRef,
    view: (...args: Parameters<typeof detailOf>) => T,
  ): Promise<T & { readonly asOfSeq: number }> {
    const history = await this.log.history(ref);
    const first = history[0]?.commit.events[0];
    if (!first) throw notFound(ref);
    const { state, version, sequence } = replay(unborn(ref), history);
    return { ...view(ref, state, { version, sequence, requestedAt: first.at }), asOfSeq: sequence };
  }

  /** The cause names the command: one that comes again with the same cause changes nothing. Each request is a new one. */
  private context(correlationId: string): Context {
    return { now: Date.now(), cause: randomUUID(), actor: 'anonymous', correlationId };
  }
}

const notFound = (ref: ExecutionRef): Problem =>
  new Problem(404, 'EXECUTION_NOT_FOUND', `no execution ${ref.execution} in tenant ${ref.tenant}; check id and X-Tenant-ID`);

/** What a request that was not stored, or may not have been, has to say beyond what the log knows. */
const ofRequest = (error: LogError, { execution }: ExecutionRef): Error => {
  if (error.code === 'COMMIT_TOO_LARGE') {
    const detail = `the plan, its input and labels are too large together: ${error.message} (${MAX_COMMIT_BYTES / 1024} KiB)`;
    return new Problem(413, 'PLAN_TOO_LARGE', `${detail}; keep large data in files and refer to them`, { cause: error });
  }
  if (error.code !== 'OUTCOME_UNKNOWN') return error;
  const detail = `outcome unknown: the broker did not say whether execution ${execution} was stored`;
  return new Problem(503, error.code, `${detail}; read /api/v1/executions/${execution} before you retry`, {
    retryAfterSeconds: 1,
    cause: error,
  });
};
