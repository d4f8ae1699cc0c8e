import { Controller, Get, Param } from '@nestjs/common';
import type { ProjectionInfo, ProjectionsAnswer } from '#libs/projections';
import { describe } from './openapi.js';
import { Problem } from './problem.js';
import { ReadModels } from './read-models.js';

const base = '/api/v1/projections';

@Controller(base)
export class ProjectionsController {
  constructor(private readonly readModels: ReadModels) {}

  @Get()
  @describe.projections()
  async list(): Promise<ProjectionsAnswer> {
    return await this.readModels.projections();
  }

  @Get(':name')
  @describe.projection()
  async read(@Param('name') name: string): Promise<ProjectionInfo> {
    const { projections } = await this.readModels.projections();
    const found = projections.find((projection) => projection.name === name);
    if (found) return found;
    throw new Problem(404, 'PROJECTION_UNKNOWN', `no projection has this name; there are ${projections.map((known) => known.name).join(', ')}`);
  }
}
