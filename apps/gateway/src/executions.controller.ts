import { Body, Controller, Delete, Get, HttpCode, Inject, Param, Post, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ExecutionRef } from '#libs/contracts';
import type { ClientCommand } from '#libs/execution';
import type { ListAnswer } from '#libs/projections';
import { Allow } from './access.js';
import { ExecutionReads } from './execution-reads.js';
import { accepted, callerOf, control, visibleRef } from './execution-control.js';
import { Executions } from './executions.js';
import { describeExecutions as describe } from './openapi-executions.js';
import { describeDeletion } from './openapi-deletion.js';
import { ReadModels } from './read-models.js';
import { parseControlRequest, parseExecutionRequest, parseSignalRequest } from './request-body.js';
import { TENANT, signalName, tenantOf } from './request-context.js';
import { type Query as RequestQuery, parseDeleteQuery, parseEventsQuery, parseListQuery, parseReadQuery } from './request-query.js';
import { actsIn, within } from './workspaces.js';

const base = '/api/v1/executions';

/** The same query behind a cursor. */
const nextPage = (url: string, cursor: string): string => {
  const params = new URL(url, 'http://gateway').searchParams;
  params.set('cursor', cursor);
  return `${base}?${params.toString()}`;
};

@Controller(base)
export class ExecutionsController {
  constructor(
    private readonly executions: Executions,
    private readonly reads: ExecutionReads,
    private readonly readModels: ReadModels,
    @Inject(TENANT) private readonly tenant: string,
  ) {}

  @Post()
  @Allow('executions.request', { workspaces: true })
  @HttpCode(202)
  @describe.request()
  async request(@Body() body: unknown, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<object> {
    const tenant = tenantOf(request, this.tenant);
    const workspace = actsIn(request);
    const parsed = parseExecutionRequest(body);
    const wanted = { ...parsed, labels: within(workspace, parsed.labels) };
    // Asked for in another workspace it is another request: nobody is answered with what is not theirs to see.
    const caller = callerOf(request, 'RequestExecution', workspace === undefined ? body : { workspace, body });
    const answer = await this.executions.request(tenant, wanted, caller);
    return accepted(answer, reply);
  }

  @Get()
  @Allow('executions.read', { workspaces: true })
  @describe.list()
  async list(
    @Query() query: RequestQuery,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<ListAnswer> {
    const wanted = parseListQuery(query, tenantOf(request, this.tenant));
    const workspace = actsIn(request);
    const labels = workspace === undefined ? wanted.labels : within(workspace, wanted.labels ?? {});
    const answer = await this.readModels.list(labels ? { ...wanted, labels } : wanted);
    if (answer.next !== null) void reply.header('link', `<${nextPage(request.url, answer.next)}>; rel="next"`);
    return answer;
  }

  @Get(':id')
  @Allow('executions.read', { workspaces: true })
  @describe.detail()
  async detail(@Param('id') id: string, @Query() query: RequestQuery, @Req() request: FastifyRequest): Promise<object> {
    return await this.reads.detail(await this.ref(id, request), parseReadQuery(query));
  }

  @Get(':id/tasks')
  @Allow('executions.read', { workspaces: true })
  @describe.tasks()
  async tasks(@Param('id') id: string, @Query() query: RequestQuery, @Req() request: FastifyRequest): Promise<object> {
    return await this.reads.tasks(await this.ref(id, request), parseReadQuery(query));
  }

  @Get(':id/why')
  @Allow('executions.read', { workspaces: true })
  @describe.why()
  async why(@Param('id') id: string, @Query() query: RequestQuery, @Req() request: FastifyRequest): Promise<object> {
    return await this.reads.why(await this.ref(id, request), parseReadQuery(query));
  }

  @Get(':id/events')
  @Allow('executions.read', { workspaces: true })
  @describe.events()
  async events(@Param('id') id: string, @Query() query: RequestQuery, @Req() request: FastifyRequest): Promise<object> {
    const { after, limit, at } = parseEventsQuery(query);
    return await this.reads.events(await this.ref(id, request), after, limit, at);
  }

  @Post(':id/pause')
  @Allow('executions.control', { workspaces: true })
  @HttpCode(200)
  @describe.control('Pause: running tasks finish, none start')
  async pause(
    @Param('id') id: string,
    @Body() body: unknown,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<object> {
    const { reason } = parseControlRequest(body, 'pause');
    return await this.control(id, request, reply, { type: 'PauseExecution', ...(reason !== undefined && { reason }) });
  }

  @Post(':id/resume')
  @Allow('executions.control', { workspaces: true })
  @HttpCode(200)
  @describe.control('Resume a paused execution')
  async resume(
    @Param('id') id: string,
    @Body() body: unknown,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<object> {
    const { reason } = parseControlRequest(body, 'resume');
    return await this.control(id, request, reply, { type: 'ResumeExecution', ...(reason !== undefined && { reason }) });
  }

  @Post(':id/signals/:name')
  @Allow('executions.control', { workspaces: true })
  @HttpCode(200)
  @describe.signal()
  async signal(
    @Param('id') id: string,
    @Param('name') given: string,
    @Body() body: unknown,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<object> {
    const name = signalName(given);
    return await this.control(id, request, reply, { type: 'SendSignal', name, ...parseSignalRequest(body) }, `SendSignal ${name}`);
  }

  @Post(':id/cancel')
  @Allow('executions.control', { workspaces: true })
  @HttpCode(200)
  @describe.cancel()
  async cancel(
    @Param('id') id: string,
    @Body() body: unknown,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<object> {
    return await this.control(id, request, reply, { type: 'CancelExecution', ...parseControlRequest(body, 'cancel') });
  }

  @Delete(':id')
  @Allow('executions.delete', { workspaces: true })
  @HttpCode(202)
  @describeDeletion()
  async delete(
    @Param('id') id: string,
    @Query() query: RequestQuery,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<object> {
    const wanted = parseDeleteQuery(query);
    return await this.control(id, request, reply, { type: 'DeleteExecution', ...wanted }, `DeleteExecution ${wanted.reason ?? ''}`);
  }

  private ref(id: string, request: FastifyRequest): Promise<ExecutionRef> {
    return visibleRef(this.reads, tenantOf(request, this.tenant), id, request);
  }

  private async control(id: string, request: FastifyRequest, reply: FastifyReply, command: ClientCommand, verb: string = command.type): Promise<object> {
    return await control(this.executions, await this.ref(id, request), request, reply, command, verb);
  }
}
