import { Controller, Get, Inject, Param, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type ExecutionRef } from '#libs/contracts';
import { Allow, principalOf } from '../access.js';
import { visibleRef } from '../execution-control.js';
import { ExecutionReads } from '../execution-reads.js';
import { TENANT, tenantOf } from '../request-context.js';
import type { Query as RequestQuery } from '../request-query.js';
import { actsIn, within } from '../workspaces.js';
import { describeStream } from './openapi-streams.js';
import { type StreamQuery, parseStreamQuery } from './stream-query.js';
import { Streams } from './streams.js';

@Controller('/api/v1')
export class StreamsController {
  constructor(
    private readonly streams: Streams,
    private readonly reads: ExecutionReads,
    @Inject(TENANT) private readonly tenant: string,
  ) {}

  @Get('executions/:id/stream')
  @Allow('executions.read', { browser: true, workspaces: true, follows: true })
  @describeStream.execution()
  async execution(@Param('id') id: string, @Query() query: RequestQuery, @Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const wanted = this.parse(query, request, false);
    const ref: ExecutionRef = await visibleRef(this.reads, tenantOf(request, this.tenant), id, request);
    await this.reads.mustExist(ref);
    await this.streams.ofExecution(ref, wanted, principalOf(request), request, reply);
  }

  @Get('stream')
  @Allow('executions.read', { browser: true, workspaces: true, follows: true })
  @describeStream.tenant()
  async ofTenant(@Query() query: RequestQuery, @Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const wanted = this.parse(query, request, true);
    const workspace = actsIn(request);
    const labels = workspace === undefined ? wanted.labels : within(workspace, wanted.labels ?? {});
    await this.streams.ofTenant(tenantOf(request, this.tenant), labels ? { ...wanted, labels } : wanted, principalOf(request), request, reply);
  }

  private parse(query: RequestQuery, { headers }: FastifyRequest, ofTenant: boolean): StreamQuery {
    const { 'last-event-id': lastEventId } = headers;
    return parseStreamQuery(query, typeof lastEventId === 'string' ? lastEventId : undefined, ofTenant);
  }
}
