import { Body, Controller, HttpCode, Inject, Param, Post, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type Succession, successorOf } from '#libs/execution';
import { Allow } from './access.js';
import { accepted, callerOf, visibleRef } from './execution-control.js';
import { ExecutionReads } from './execution-reads.js';
import { Executions } from './executions.js';
import { describeSuccessors } from './openapi-successors.js';
import { parseFork, parseRerun, parseRetry } from './request-body.js';
import { TENANT, tenantOf } from './request-context.js';
import { inWorkspaceOf } from './workspaces.js';

/** Executions that carry on another one: each is an execution of its own, and that one stays as it is. */
@Controller('/api/v1/executions')
export class SuccessorsController {
  constructor(
    private readonly executions: Executions,
    private readonly reads: ExecutionReads,
    @Inject(TENANT) private readonly tenant: string,
  ) {}

  @Post(':id/retry')
  @Allow('executions.request', { workspaces: true })
  @HttpCode(202)
  @describeSuccessors.retry()
  async retry(@Param('id') id: string, @Body() body: unknown, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<object> {
    return await this.request(id, parseRetry(body), request, reply);
  }

  @Post(':id/rerun')
  @Allow('executions.request', { workspaces: true })
  @HttpCode(202)
  @describeSuccessors.rerun()
  async rerun(@Param('id') id: string, @Body() body: unknown, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<object> {
    return await this.request(id, parseRerun(body), request, reply);
  }

  @Post(':id/fork')
  @Allow('executions.request', { workspaces: true })
  @HttpCode(202)
  @describeSuccessors.fork()
  async fork(@Param('id') id: string, @Body() body: unknown, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<object> {
    const { how, atSequence } = parseFork(body);
    return await this.request(id, how, request, reply, atSequence);
  }

  private async request(id: string, how: Succession, request: FastifyRequest, reply: FastifyReply, atSequence?: number): Promise<object> {
    const ref = await visibleRef(this.reads, tenantOf(request, this.tenant), id, request);
    const caller = callerOf(request, `${how.kind} ${id}`, request.body);
    // Sent again, it takes over the same, whatever has happened since: it may be under way in several commits.
    const sequence = atSequence ?? (await this.executions.carriedOnAsOf(ref, caller));
    const past = await this.reads.past(ref, sequence === undefined ? {} : { asOf: { sequence } });
    const wanted = successorOf({ execution: id, sequence: past.at(-1)?.sequence ?? 0, events: past.flatMap(({ commit }) => commit.events) }, how);
    const successor = how.kind === 'fork' && how.labels ? { ...wanted, labels: inWorkspaceOf(await this.reads.labels(ref), how.labels) } : wanted;
    return accepted(await this.executions.request(ref.tenant, successor, caller), reply);
  }
}
