import { Controller, Inject } from '@nestjs/common';
import { MessagePattern, Payload } from '@nestjs/microservices';
import {
  type ArtifactAnswer,
  type ArtifactRef,
  type ArtifactUsage,
  type ArtifactsAnswer,
  type ArtifactsQuery,
  type AtLeast,
  type DueAnswer,
  type DueQuery,
  type KnownAnswer,
  type KnownQuery,
  type QueryRefusal,
  artifactQueries,
} from '#libs/projections';
import { answer } from './answer.js';
import { ArtifactsModel } from './artifacts-model.js';
import type { Projection } from './projection.js';

/** Name of the projection, for injection. */
export const ARTIFACTS = Symbol('artifacts projection');

@Controller()
export class ArtifactsQueriesController {
  constructor(
    private readonly artifacts: ArtifactsModel,
    @Inject(ARTIFACTS) private readonly projection: Projection,
  ) {}

  @MessagePattern(artifactQueries.list)
  list(@Payload() query: ArtifactsQuery & AtLeast): Promise<ArtifactsAnswer | QueryRefusal> {
    return answer(this.projection, query, () => this.artifacts.list(query));
  }

  @MessagePattern(artifactQueries.one)
  one(@Payload() query: ArtifactRef & AtLeast): Promise<ArtifactAnswer | QueryRefusal> {
    return answer(this.projection, query, () => ({ found: this.artifacts.one(query) }));
  }

  @MessagePattern(artifactQueries.usage)
  usage(@Payload() query: { readonly tenant: string }): Promise<ArtifactUsage | QueryRefusal> {
    return answer(this.projection, {}, () => this.artifacts.usage(query));
  }

  @MessagePattern(artifactQueries.due)
  due(@Payload() query: DueQuery): Promise<DueAnswer | QueryRefusal> {
    return answer(this.projection, {}, () => this.artifacts.due(query));
  }

  @MessagePattern(artifactQueries.known)
  known(@Payload() query: KnownQuery): Promise<KnownAnswer | QueryRefusal> {
    return answer(this.projection, query, () => this.artifacts.known(query));
  }
}
