import { Controller, Get, Inject, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { StatsAnswer } from '#libs/projections';
import { Allow } from './access.js';
import { describeSystem as describe } from './openapi-system.js';
import { ReadModels } from './read-models.js';
import { TENANT, tenantOf } from './request-context.js';
import { type Query as RequestQuery, parseStatsQuery } from './request-query.js';

/** How one dependency is, asked with a bound. */
export type Check = () => Promise<void>;

export type System = { readonly checks: Readonly<Record<string, Check>>; readonly version: string };
export const SYSTEM = Symbol('system');

const WITHIN_MS = 1_000;

const inTime = async (check: Check): Promise<string> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${WITHIN_MS} ms`)), WITHIN_MS);
  });
  try {
    await Promise.race([check(), late]);
    return 'up';
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    clearTimeout(timer);
  }
};

@Controller()
export class SystemController {
  constructor(
    private readonly readModels: ReadModels,
    @Inject(SYSTEM) private readonly system: System,
    @Inject(TENANT) private readonly tenant: string,
  ) {}

  @Get()
  @Allow('public')
  @describe.root()
  root(): object {
    return {
      name: 'runledger',
      version: this.system.version,
      links: {
        executions: '/api/v1/executions',
        stats: '/api/v1/stats',
        projections: '/api/v1/projections',
        audit: '/api/v1/audit',
        docs: '/docs',
        reference: '/redoc',
        openapi: '/docs-json',
        health: '/health',
        ready: '/readyz',
      },
    };
  }

  @Get(['health', 'api/v1/health'])
  @Allow('public')
  @describe.health()
  health(): object {
    return { status: 'healthy', service: 'runledger-gateway', version: this.system.version, uptime: Math.round(process.uptime()) };
  }

  @Get(['readyz', 'api/v1/ready'])
  @Allow('public')
  @describe.ready()
  async ready(@Res({ passthrough: true }) reply: FastifyReply): Promise<object> {
    const entries = Object.entries(this.system.checks).map(async ([name, check]) => [name, await inTime(check)] as const);
    const dependencies = Object.fromEntries(await Promise.all(entries));
    const isReady = Object.values(dependencies).every((state) => state === 'up');
    void reply.status(isReady ? 200 : 503);
    return { status: isReady ? 'ready' : 'unavailable', dependencies };
  }

  @Get('api/v1/stats')
  @Allow('executions.read')
  @describe.stats()
  async stats(@Query() query: RequestQuery, @Req() request: FastifyRequest): Promise<StatsAnswer> {
    return await this.readModels.stats(tenantOf(request, this.tenant), parseStatsQuery(query));
  }
}
