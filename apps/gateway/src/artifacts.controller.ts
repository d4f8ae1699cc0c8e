import { Body, Controller, Delete, Get, HttpCode, Inject, Param, Post, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Readable } from 'node:stream';
import { isToken } from '#libs/contracts';
import { ArtifactStore } from '#libs/jetstream';
import type { ArtifactView, ArtifactsAnswer, ArtifactsQuery, AtLeast, StoredArtifact } from '#libs/projections';
import { Allow } from './access.js';
import { ArtifactLookup } from './artifact-lookup.js';
import { sendArtifact } from './artifact-download.js';
import { Artifacts } from './artifacts.js';
import { ExecutionReads } from './execution-reads.js';
import { callerOf, visibleRef } from './execution-control.js';
import { describeArtifacts as describe } from './openapi-artifacts.js';
import { Problem } from './problem.js';
import { ReadModels } from './read-models.js';
import { TENANT, tenantOf } from './request-context.js';
import { parseArtifactsQuery, parseStatsQuery } from './request-query.js';
import type { Query as RequestQuery } from './request-query.js';
import { actsIn } from './workspaces.js';

const base = '/api/v1/artifacts';

const linksOf = (id: string, execution: string): object => ({ self: `${base}/${id}`, download: `${base}/${id}/download`, execution: `/api/v1/executions/${execution}` });

/** Of what is compressed nobody knows what it unpacks to. */
const lengthOf = ({ headers }: FastifyRequest): number | undefined =>
  headers['content-length'] === undefined || headers['content-encoding'] !== undefined ? undefined : Number(headers['content-length']);

const nextPage = (url: string, cursor: string): string => {
  const { pathname, searchParams } = new URL(url, 'http://gateway');
  searchParams.set('cursor', cursor);
  return `${pathname}?${searchParams.toString()}`;
};

/** Files of executions. */
@Controller('/api/v1')
export class ArtifactsController {
  constructor(
    private readonly artifacts: Artifacts,
    private readonly lookup: ArtifactLookup,
    private readonly store: ArtifactStore,
    private readonly reads: ExecutionReads,
    private readonly readModels: ReadModels,
    @Inject(TENANT) private readonly tenant: string,
  ) {}

  @Post('executions/:id/artifacts')
  @Allow('artifacts.write', { workspaces: true, file: true })
  @HttpCode(201)
  @describe.upload()
  async upload(
    @Param('id') id: string,
    @Body() payload: Readable | undefined,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<object> {
    if (!payload) throw new Problem(400, 'BODY_EMPTY', 'the body is empty where multipart/form-data with a file is needed');
    const ref = await visibleRef(this.reads, tenantOf(request, this.tenant), id, request);
    await this.reads.mustExist(ref);
    const contentType = request.headers['content-type'] ?? '';
    const length = lengthOf(request);
    const { artifact, sequence, replayed } = await this.artifacts.upload(ref, { payload, contentType, length, callerOf: (asked) => callerOf(request, 'AddArtifact', asked) });
    if (replayed) void reply.header('idempotency-replayed', 'true');
    const { artifactId, object: _object, ...said } = artifact;
    void reply.header('location', `${base}/${artifactId}`);
    return { id: artifactId, execution: ref.execution, ...said, sequence, links: linksOf(artifactId, ref.execution) };
  }

  @Get('artifacts')
  @Allow('artifacts.read', { workspaces: true })
  @describe.list()
  async list(@Query() query: RequestQuery, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<ArtifactsAnswer> {
    const wanted = parseArtifactsQuery(query, tenantOf(request, this.tenant));
    const workspace = actsIn(request);
    return await this.page(workspace === undefined ? wanted : { ...wanted, workspace }, request, reply);
  }

  @Get('executions/:id/artifacts')
  @Allow('artifacts.read', { workspaces: true })
  @describe.listOfExecution()
  async listOfExecution(
    @Param('id') id: string,
    @Query() query: RequestQuery,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<ArtifactsAnswer> {
    const ref = await visibleRef(this.reads, tenantOf(request, this.tenant), id, request);
    const wanted = parseArtifactsQuery(query, ref.tenant, ref.execution);
    // One without artifacts is an empty list; one that is not there, or is deleted, is not.
    await this.reads.mustExist(ref);
    return await this.page(wanted, request, reply);
  }

  @Get('artifacts/:id/download')
  @Allow('artifacts.read', { browser: true, workspaces: true })
  @describe.download()
  async download(@Param('id') id: string, @Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const tenant = tenantOf(request, this.tenant);
    await sendArtifact(this.store, tenant, await this.visible(tenant, id, request), request, reply);
  }

  @Get('public/:tenant/artifacts/:id')
  @Allow('public')
  @describe.downloadPublic()
  async downloadPublic(@Param('tenant') tenant: string, @Param('id') id: string, @Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const found = isToken(tenant) && isToken(id) ? await this.lookup.find({ tenant, id }) : undefined;
    if (!found?.artifact.public) throw notFound(id);
    await sendArtifact(this.store, tenant, found, request, reply);
  }

  @Get('artifacts/:id')
  @Allow('artifacts.read', { workspaces: true })
  @describe.detail()
  async detail(@Param('id') id: string, @Query() query: RequestQuery, @Req() request: FastifyRequest): Promise<ArtifactView & { readonly links: object }> {
    const found = await this.visible(tenantOf(request, this.tenant), id, request, parseStatsQuery(query).minSeq);
    return { ...found.artifact, links: linksOf(id, found.artifact.execution) };
  }

  @Delete('artifacts/:id')
  @Allow('artifacts.write', { workspaces: true })
  @HttpCode(204)
  @describe.delete()
  async delete(@Param('id') id: string, @Req() request: FastifyRequest): Promise<void> {
    const tenant = tenantOf(request, this.tenant);
    const { artifact, object } = await this.visible(tenant, id, request);
    await this.artifacts.delete({ tenant, execution: artifact.execution }, id, object, callerOf(request, `DeleteArtifact ${id}`, {}));
  }

  private async page(wanted: ArtifactsQuery & AtLeast, request: FastifyRequest, reply: FastifyReply): Promise<ArtifactsAnswer> {
    const answer = await this.readModels.artifacts(wanted);
    if (answer.next !== null) void reply.header('link', `<${nextPage(request.url, answer.next)}>; rel="next"`);
    return answer;
  }

  /** Throws Problem ID_INVALID, ARTIFACT_NOT_FOUND, WORKSPACE_FORBIDDEN. */
  private async visible(tenant: string, id: string, request: FastifyRequest, minSeq = 0): Promise<StoredArtifact> {
    if (!isToken(id)) throw new Problem(400, 'ID_INVALID', "an artifact's id matches ^[A-Za-z0-9_-]{1,64}$; take it from the answer to the upload, or from a list");
    const found = await this.lookup.find({ tenant, id }, minSeq);
    if (!found) throw notFound(id);
    await visibleRef(this.reads, tenant, found.artifact.execution, request);
    return found;
  }
}

const notFound = (id: string): Problem =>
  new Problem(404, 'ARTIFACT_NOT_FOUND', `no artifact ${id}; it may have been deleted, or have expired; check id and X-Tenant-ID`);
