import { Controller, Inject } from '@nestjs/common';
import { MessagePattern, Payload } from '@nestjs/microservices';
import type { ExecutionRef } from '#libs/contracts';
import { type Answer, type ExecutionDetail, type ListAnswer, type ListQuery, type StatsAnswer, type TaskView, queries } from '#libs/projections';
import type { Projection } from './projection.js';
import { StatsModel } from './stats-model.js';
import { CursorInvalid, StatusModel } from './status-model.js';

type Refusal = { readonly refused: { readonly code: string; readonly message: string } };

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
  ) {}

  @MessagePattern(queries.execution)
  execution(@Payload() ref: ExecutionRef): Answer<ExecutionDetail> {
    return { asOfSeq: this.statusProjection.asOfSeq, found: this.status.detail(ref) };
  }

  @MessagePattern(queries.tasks)
  tasks(@Payload() ref: ExecutionRef): Answer<readonly TaskView[]> {
    return { asOfSeq: this.statusProjection.asOfSeq, found: this.status.tasks(ref) };
  }

  @MessagePattern(queries.list)
  list(@Payload() query: ListQuery): ListAnswer | Refusal {
    try {
      return { asOfSeq: this.statusProjection.asOfSeq, ...this.status.list(query) };
    } catch (error) {
      if (!(error instanceof CursorInvalid)) throw error;
      return { refused: { code: error.code, message: error.message } };
    }
  }

  @MessagePattern(queries.stats)
  readStats(@Payload() { tenant }: { readonly tenant: string }): StatsAnswer {
    return { asOfSeq: this.statsProjection.asOfSeq, ...this.stats.read(tenant) };
  }
}
