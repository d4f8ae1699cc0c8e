import { Body, Controller, Get, HttpCode, Inject, Param, Post, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ClientCommand } from '#libs/execution';
import type { PendingAnswer } from '#libs/projections';
import { Allow, principalOf } from './access.js';
import { control, visibleRef } from './execution-control.js';
import { ExecutionReads } from './execution-reads.js';
import { Executions } from './executions.js';
import { describeClarifications as describe } from './openapi-clarifications.js';
import { ReadModels } from './read-models.js';
import { parseDelegation, parseResponse } from './request-body.js';
import { TENANT, tenantOf } from './request-context.js';
import { type Query as RequestQuery, parsePendingQuery, parseReadQuery } from './request-query.js';
import { actsIn, within } from './workspaces.js';

/** What executions ask people. */
@Controller('/api/v1')
export class ClarificationsController {
  constructor(
    private readonly executions: Executions,
    private readonly reads: ExecutionReads,
    private readonly readModels: ReadModels,
    @Inject(TENANT) private readonly tenant: string,
  ) {}

  @Get('clarifications')
  @Allow('executions.read', { workspaces: true })
  @describe.pending()
  async pending(@Query() query: RequestQuery, @Req() request: FastifyRequest): Promise<PendingAnswer> {
    const wanted = parsePendingQuery(query, tenantOf(request, this.tenant));
    const workspace = actsIn(request);
    return await this.readModels.pending(workspace === undefined ? wanted : { ...wanted, labels: within(workspace, {}) });
  }

  @Get('executions/:id/clarifications')
  @Allow('executions.read', { workspaces: true })
  @describe.list()
  async list(@Param('id') id: string, @Query() query: RequestQuery, @Req() request: FastifyRequest): Promise<object> {
    const ref = await visibleRef(this.reads, tenantOf(request, this.tenant), id, request);
    return await this.reads.clarifications(ref, parseReadQuery(query));
  }

  @Post('executions/:id/clarifications/:task/respond')
  @Allow('clarifications.respond', { workspaces: true })
  @HttpCode(200)
  @describe.respond()
  async respond(
    @Param('id') id: string,
    @Param('task') taskId: string,
    @Body() body: unknown,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<object> {
    return await this.answer(id, request, reply, { type: 'RespondToClarification', taskId, roles: principalOf(request).roles, ...parseResponse(body) });
  }

  @Post('executions/:id/clarifications/:task/delegate')
  @Allow('clarifications.respond', { workspaces: true })
  @HttpCode(200)
  @describe.delegate()
  async delegate(
    @Param('id') id: string,
    @Param('task') taskId: string,
    @Body() body: unknown,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<object> {
    return await this.answer(id, request, reply, { type: 'DelegateClarification', taskId, roles: principalOf(request).roles, ...parseDelegation(body) });
  }

  private async answer(id: string, request: FastifyRequest, reply: FastifyReply, command: ClientCommand & { readonly taskId: string }): Promise<object> {
    const ref = await visibleRef(this.reads, tenantOf(request, this.tenant), id, request);
    // Whoever knows a key of somebody else's has not answered with it.
    const verb = `${command.type} ${command.taskId} ${principalOf(request).actor}`;
    return await control(this.executions, ref, request, reply, command, verb);
  }
}
