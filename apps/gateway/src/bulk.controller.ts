import { Body, Controller, HttpCode, Inject, Post, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { may } from '#libs/access';
import type { BulkAction, Selection } from '#libs/contracts';
import { Allow, principalOf } from './access.js';
import { bulkPlan, parseBulkRequest } from './bulk-request.js';
import { accepted, callerOf } from './execution-control.js';
import { Executions } from './executions.js';
import { describeBulk } from './openapi-bulk.js';
import { ReadModels } from './read-models.js';
import { TENANT, tenantOf } from './request-context.js';
import { actsIn, within } from './workspaces.js';

const EXAMPLES = 5;

/** One thing done to many executions: an execution itself, paced, and seen, paused, cancelled and audited as every other. */
@Controller('/api/v1/bulk')
export class BulkController {
  constructor(
    private readonly executions: Executions,
    private readonly readModels: ReadModels,
    @Inject(TENANT) private readonly tenant: string,
  ) {}

  @Post('pause')
  @Allow('executions.control', { workspaces: true })
  @HttpCode(202)
  @describeBulk.pause()
  async pause(@Body() body: unknown, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<object> {
    return await this.act('pause', body, request, reply);
  }

  @Post('resume')
  @Allow('executions.control', { workspaces: true })
  @HttpCode(202)
  @describeBulk.resume()
  async resume(@Body() body: unknown, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<object> {
    return await this.act('resume', body, request, reply);
  }

  @Post('cancel')
  @Allow('executions.control', { workspaces: true })
  @HttpCode(202)
  @describeBulk.cancel()
  async cancel(@Body() body: unknown, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<object> {
    return await this.act('cancel', body, request, reply);
  }

  @Post('retry')
  @Allow('executions.request', { workspaces: true })
  @HttpCode(202)
  @describeBulk.retry()
  async retry(@Body() body: unknown, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<object> {
    return await this.act('retry', body, request, reply);
  }

  @Post('delete')
  @Allow('executions.delete', { workspaces: true })
  @HttpCode(202)
  @describeBulk.delete()
  async delete(@Body() body: unknown, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<object> {
    return await this.act('delete', body, request, reply);
  }

  private async act(action: BulkAction, body: unknown, request: FastifyRequest, reply: FastifyReply): Promise<object> {
    const tenant = tenantOf(request, this.tenant);
    const workspace = actsIn(request);
    const { dryRun, ...wanted } = parseBulkRequest(body, action, Date.now());
    const filter = workspace === undefined ? wanted.filter : { ...wanted.filter, labels: within(workspace, wanted.filter.labels ?? {}) };
    if (dryRun) {
      void reply.code(200);
      return await this.dryRun(tenant, filter, request);
    }
    const caller = callerOf(request, `bulk ${action}`, workspace === undefined ? body : { workspace, body });
    const plan = bulkPlan({ ...wanted, filter, actor: caller.actor, correlationId: caller.correlationId });
    const labels = within(workspace, {});
    return accepted(await this.executions.request(tenant, { plan, name: plan.name, labels, input: {} }, caller), reply);
  }

  /** Examples are for those who may read executions. */
  private async dryRun(tenant: string, filter: Selection, request: FastifyRequest): Promise<object> {
    const limit = EXAMPLES;
    const { counts, asOfSeq } = await this.readModels.select({ ...filter, tenant, limit });
    const byStatus = counts ?? {};
    const matched = Object.values(byStatus).reduce((sum, n) => sum + n, 0);
    if (!may(principalOf(request), 'executions.read')) return { dryRun: true, matched, byStatus, asOfSeq };
    const { executions } = await this.readModels.list({ ...filter, tenant, limit });
    return { dryRun: true, matched, byStatus, examples: executions, asOfSeq };
  }
}
