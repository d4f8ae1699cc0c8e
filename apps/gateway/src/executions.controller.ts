import { Body, Controller, Delete, Get, HttpCode, Inject, Param, Post, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ExecutionRef } from '#libs/contracts';
import type { ClientCommand } from '#libs/execution';
import { OutputStore, type StoredOutput } from '#libs/jetstream';
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
import { type Query as RequestQuery, parseDeleteQuery, parseEventsQuery, parseListQuery, parseOutputQuery, parseReadQuery } from './request-query.js';
import { actsIn, within } from './workspaces.js';

const base = '/api/v1/executions';

const decoder = new TextDecoder('utf-8', { fatal: true });

const pieceOf = (piece: StoredOutput): object => {
  const { task, attempt, stream, time, truncated, bytes } = piece;
  const content = ((): object => {
    try {
      return { text: decoder.decode(bytes) };
    } catch {
      return { base64: Buffer.from(bytes).toString('base64') };
    }
  })();
  return { position: piece.sequence, task, attempt, stream, time, ...(truncated && { truncated }), ...content };
};

/** The same query behind a cursor. */
const nextPage = (url: string, cursor: string): string => {
  const params = new URL(url, 'http://gateway').searchParams;
  params.set('cursor', cursor);
  return `${base}?${params.toString()}`;
};

const contentType = { text: 'text/plain; charset=utf-8', bytes: 'application/octet-stream' } as const;

@Controller(base)
export class ExecutionsController {
  constructor(
    private readonly executions: Executions,
    private readonly reads: ExecutionReads,
    private readonly readModels: ReadModels,
    private readonly output: OutputStore,
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

  @Get(':id/output')
  @Allow('executions.read', { browser: true, workspaces: true })
  @describe.output()
  async readOutput(
    @Param('id') id: string,
    @Query() query: RequestQuery,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<object> {
    const wanted = parseOutputQuery(query, request.headers.accept);
    const ref = await this.ref(id, request);
    const until = await this.reads.timeOf(wanted.at);
    // An execution without output is an empty list; one that is not there, or is deleted, is not.
    await this.reads.mustExist(ref, wanted.at);
    const read = await this.output.read(ref, wanted.task, { afterSequence: wanted.after, limit: wanted.limit });
    const chunks = read.chunks.filter((piece) => until === undefined || Date.parse(piece.storedAt) <= until);
    const more = read.more && chunks.length === read.chunks.length;
    const pieces = chunks.filter((piece) => wanted.stream === undefined || piece.stream === wanted.stream);
    const last = chunks[chunks.length - 1];
    if (wanted.form === 'json') return { chunks: pieces.map(pieceOf), next: more && last ? last.sequence : null };
    void reply
      .header('content-type', contentType[wanted.form])
      .header('content-disposition', `${wanted.form === 'text' ? 'inline' : 'attachment'}; filename="output.txt"`);
    if (more && last) void reply.header('runledger-next', String(last.sequence));
    return Buffer.concat(pieces.map((piece) => piece.bytes));
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
