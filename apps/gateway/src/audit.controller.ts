import { Controller, Get, Inject, Query, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import type { AuditPage, AuditQuery } from '#libs/jetstream';
import { Allow } from './access.js';
import { parseAuditQuery } from './audit-query.js';
import { describeAudit } from './openapi-audit.js';
import { TENANT, tenantOf } from './request-context.js';
import type { Query as RequestQuery } from './request-query.js';

export const AUDIT = Symbol('audit');

/** A tenant's records. Throws LogError. */
export type ReadAudit = (tenant: string, query: AuditQuery) => Promise<AuditPage>;

@Controller('/api/v1/audit')
export class AuditController {
  constructor(
    @Inject(AUDIT) private readonly readAudit: ReadAudit,
    @Inject(TENANT) private readonly tenant: string,
  ) {}

  @Get()
  @Allow('audit.read')
  @describeAudit()
  async list(@Query() query: RequestQuery, @Req() request: FastifyRequest): Promise<AuditPage> {
    return await this.readAudit(tenantOf(request, this.tenant), parseAuditQuery(query));
  }
}
