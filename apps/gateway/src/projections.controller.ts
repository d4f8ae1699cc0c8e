import { randomUUID } from 'node:crypto';
import { Body, Controller, Get, HttpCode, Inject, Param, Post, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { derivedId } from '#libs/ledger';
import type { ProjectionInfo, ProjectionsAnswer, Rebuild } from '#libs/projections';
import { Allow, principalOf } from './access.js';
import { idempotencyOf } from './idempotency-key.js';
import { describeProjections as describe } from './openapi-projections.js';
import { Problem } from './problem.js';
import { ReadModels } from './read-models.js';
import { TENANT } from './request-context.js';

const base = '/api/v1/projections';

/** Throws Problem BODY_INVALID. */
const mustBeEmpty = (body: unknown): void => {
  if (body === undefined || JSON.stringify(body) === '{}') return;
  throw new Problem(400, 'BODY_INVALID', 'a rebuild takes no body; leave it out, or send {}');
};

@Controller(base)
export class ProjectionsController {
  constructor(
    private readonly readModels: ReadModels,
    @Inject(TENANT) private readonly tenant: string,
  ) {}

  @Get()
  @Allow('projections.read')
  @describe.list()
  async list(): Promise<ProjectionsAnswer> {
    return await this.readModels.projections();
  }

  @Get(':name')
  @Allow('projections.read')
  @describe.one()
  async read(@Param('name') name: string): Promise<ProjectionInfo> {
    const { projections } = await this.readModels.projections();
    const found = projections.find((projection) => projection.name === name);
    if (found) return found;
    throw new Problem(404, 'PROJECTION_UNKNOWN', `no projection has this name; there are ${projections.map((known) => known.name).join(', ')}`);
  }

  @Post(':name/rebuild')
  @Allow('projections.rebuild')
  @HttpCode(202)
  @describe.rebuild()
  async rebuild(
    @Param('name') name: string,
    @Body() body: unknown,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Rebuild> {
    this.mustRunTheServer(request);
    mustBeEmpty(body);
    const key = idempotencyOf(request, 'RebuildProjection', body)?.key;
    const rebuild = await this.readModels.rebuild({ projection: name, id: key === undefined ? randomUUID() : derivedId(name, key) });
    void reply.header('location', `${base}/${name}`);
    return rebuild;
  }

  /** Read models hold every tenant's rows. Throws Problem OPERATOR_ONLY. */
  private mustRunTheServer(request: FastifyRequest): void {
    const { tenant } = principalOf(request);
    if (tenant === undefined || tenant === this.tenant) return;
    throw new Problem(403, 'OPERATOR_ONLY', "a rebuild concerns every tenant: only admins of the server's own tenant may ask for one");
  }
}
