import { Controller, Inject } from '@nestjs/common';
import { MessagePattern, Payload } from '@nestjs/microservices';
import type { ExecutionRef } from '#libs/contracts';
import {
  type Answer,
  type AtLeast,
  type ClarificationView,
  type ExecutionDetail,
  type ExpiredAnswer,
  type ExpiredQuery,
  type HeadsAnswer,
  type HeadsQuery,
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
  type TenantsAnswer,
  type UsageAnswer,
  queries,
} from '#libs/projections';
import { answer, orRefusal } from './answer.js';
import { ARTIFACTS } from './artifacts-queries.controller.js';
import type { Projection } from './projection.js';
import { QueryRefused } from './query-refused.js';
import { StatsModel } from './stats-model.js';
import { StatusModel } from './status-model.js';

/** Names of the two projections, for injection. */
export const STATUS = Symbol('status projection');
export const STATS = Symbol('stats projection');

@Controller()
export class QueriesController {
  constructor(
    private readonly status: StatusModel,
    private readonly stats: StatsModel,
    @Inject(STATUS) private readonly statusProjection: Projection,
    @Inject(STATS) private readonly statsProjection: Projection,
    @Inject(ARTIFACTS) private readonly artifactsProjection: Projection,
  ) {}

  private get all(): readonly Projection[] {
    return [this.statusProjection, this.statsProjection, this.artifactsProjection];
  }

  @MessagePattern(queries.execution)
  execution(@Payload() query: ExecutionRef & AtLeast): Promise<Answer<ExecutionDetail> | QueryRefusal> {
    return answer(this.statusProjection, query, () => ({ found: this.status.detail(query) }));
  }

  @MessagePattern(queries.tasks)
  tasks(@Payload() query: ExecutionRef & AtLeast): Promise<Answer<readonly TaskView[]> | QueryRefusal> {
    return answer(this.statusProjection, query, () => ({ found: this.status.tasks(query) }));
  }

  @MessagePattern(queries.clarifications)
  clarifications(@Payload() query: ExecutionRef & AtLeast): Promise<Answer<readonly ClarificationView[]> | QueryRefusal> {
    return answer(this.statusProjection, query, () => ({ found: this.status.clarifications(query) }));
  }

  @MessagePattern(queries.pending)
  pending(@Payload() query: PendingQuery & AtLeast): Promise<PendingAnswer | QueryRefusal> {
    return answer(this.statusProjection, query, () => this.status.pending(query));
  }

  @MessagePattern(queries.list)
  list(@Payload() query: ListQuery & AtLeast): Promise<ListAnswer | QueryRefusal> {
    return answer(this.statusProjection, query, () => this.status.list(query));
  }

  @MessagePattern(queries.select)
  select(@Payload() query: ListQuery & AtLeast): Promise<SelectAnswer | QueryRefusal> {
    return answer(this.statusProjection, query, () => this.status.select(query));
  }

  @MessagePattern(queries.tenants)
  tenants(@Payload() query: AtLeast): Promise<TenantsAnswer | QueryRefusal> {
    return answer(this.statusProjection, query, () => ({ tenants: this.status.tenants() }));
  }

  @MessagePattern(queries.expired)
  expired(@Payload() query: ExpiredQuery): Promise<ExpiredAnswer | QueryRefusal> {
    return answer(this.statusProjection, query, () => ({ executions: this.status.expired(query) }));
  }

  @MessagePattern(queries.heads)
  heads(@Payload() query: HeadsQuery & AtLeast): Promise<HeadsAnswer | QueryRefusal> {
    return answer(this.statusProjection, query, () => this.status.heads(query));
  }

  @MessagePattern(queries.projections)
  projections(): ProjectionsAnswer {
    return { projections: this.all.map((projection) => projection.info()) };
  }

  @MessagePattern(queries.rebuild)
  rebuild(@Payload() { projection: name, id }: RebuildQuery): Promise<Rebuild | QueryRefusal> {
    return orRefusal(() => {
      const found = this.all.find((projection) => projection.name === name);
      if (found) return found.rebuild(id);
      throw new QueryRefused('PROJECTION_UNKNOWN', `no projection has this name; there are ${this.all.map((known) => known.name).join(', ')}`);
    });
  }

  @MessagePattern(queries.stats)
  readStats(@Payload() query: { readonly tenant: string } & AtLeast): Promise<StatsAnswer | QueryRefusal> {
    return answer(this.statsProjection, query, () => this.stats.read(query.tenant));
  }

  @MessagePattern(queries.usage)
  usage(@Payload() query: { readonly tenant: string } & AtLeast): Promise<UsageAnswer | QueryRefusal> {
    return answer(this.statsProjection, query, () => this.stats.usage(query.tenant));
  }
}
