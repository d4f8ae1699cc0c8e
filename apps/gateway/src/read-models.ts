import type { ClientProxy } from '@nestjs/microservices';
import { TimeoutError, firstValueFrom, timeout } from 'rxjs';
import type { ExecutionRef } from '#libs/contracts';
import {
  type Answer,
  type ArtifactAnswer,
  type ArtifactRef,
  type ArtifactUsage,
  type ArtifactsAnswer,
  type ArtifactsQuery,
  type AtLeast,
  type ClarificationView,
  type ExecutionDetail,
  type ListAnswer,
  type ListQuery,
  type PendingAnswer,
  type PendingQuery,
  type ProjectionsAnswer,
  type QueryRefusal,
  type Rebuild,
  type RebuildQuery,
  type SelectAnswer,
  type StatsAnswer,
  type TaskView,
  type UsageAnswer,
  artifactQueries,
  queries,
} from '#libs/projections';
import { Problem } from './problem.js';

const ANSWER_WITHIN_MS = 2_000;

/** A read that waits for its projection waits this long at most, milliseconds. */
const WAIT_MS = 1_500;

const isRefusal = (answer: unknown): answer is QueryRefusal =>
  typeof answer === 'object' && answer !== null && 'refused' in answer;

const unavailable = (why: string, cause?: unknown): Problem =>
  new Problem(503, 'PROJECTION_UNAVAILABLE', `the projector ${why}; nothing is lost, ask again in a moment`, { retryAfterSeconds: 1, cause });

const statuses: Readonly<Record<string, number>> = { PROJECTION_BEHIND: 503, PROJECTION_UNKNOWN: 404 };

const refused = ({ refused: { code, message } }: QueryRefusal): Problem => {
  const status = statuses[code] ?? 400;
  return new Problem(status, code, message, status === 503 ? { retryAfterSeconds: 1 } : {});
};

/** What the projector knows, asked over NATS. */
export class ReadModels {
  constructor(
    private readonly client: ClientProxy,
    /** Without a broker nobody answers: known at once. */
    private readonly isConnected: () => boolean,
  ) {}

  execution(ref: ExecutionRef): Promise<Answer<ExecutionDetail>> {
    return this.ask(queries.execution, ref);
  }

  tasks(ref: ExecutionRef): Promise<Answer<readonly TaskView[]>> {
    return this.ask(queries.tasks, ref);
  }

  clarifications(ref: ExecutionRef): Promise<Answer<readonly ClarificationView[]>> {
    return this.ask(queries.clarifications, ref);
  }

  pending(query: PendingQuery & AtLeast): Promise<PendingAnswer> {
    return this.ask(queries.pending, { ...query, waitMs: WAIT_MS });
  }

  list(query: ListQuery & AtLeast): Promise<ListAnswer> {
    return this.ask(queries.list, { ...query, waitMs: WAIT_MS });
  }

  select(query: ListQuery): Promise<SelectAnswer> {
    return this.ask(queries.select, query);
  }

  stats(tenant: string, { minSeq }: AtLeast = {}): Promise<StatsAnswer> {
    return this.ask(queries.stats, { tenant, minSeq, waitMs: WAIT_MS });
  }

  usage(tenant: string): Promise<UsageAnswer> {
    return this.ask(queries.usage, { tenant });
  }

  artifacts(query: ArtifactsQuery & AtLeast): Promise<ArtifactsAnswer> {
    return this.ask(artifactQueries.list, { ...query, waitMs: WAIT_MS });
  }

  artifact(query: ArtifactRef & AtLeast): Promise<ArtifactAnswer> {
    return this.ask(artifactQueries.one, { ...query, waitMs: WAIT_MS });
  }

  artifactUsage(tenant: string): Promise<ArtifactUsage> {
    return this.ask(artifactQueries.usage, { tenant });
  }

  projections(): Promise<ProjectionsAnswer> {
    return this.ask(queries.projections, {});
  }

  rebuild(query: RebuildQuery): Promise<Rebuild> {
    return this.ask(queries.rebuild, query);
  }

  /** Throws Problem PROJECTION_UNAVAILABLE, PROJECTION_BEHIND, PROJECTION_UNKNOWN, CURSOR_INVALID. */
  private async ask<T>(pattern: string, query: object): Promise<T> {
    if (!this.isConnected()) throw unavailable('can not be reached: no connection to the broker');
    let answer: T | QueryRefusal;
    try {
      answer = await firstValueFrom(this.client.send<T>(pattern, query).pipe(timeout(ANSWER_WITHIN_MS)));
    } catch (error) {
      throw unavailable(error instanceof TimeoutError ? `did not answer within ${ANSWER_WITHIN_MS} ms` : 'can not be reached', error);
    }
    if (isRefusal(answer)) throw refused(answer);
    return answer;
  }
}
