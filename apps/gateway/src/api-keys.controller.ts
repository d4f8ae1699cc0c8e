import { Body, Controller, Delete, Get, HttpCode, Inject, Param, Post, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Allow, principalOf } from './access.js';
import { type ApiKeyView, ApiKeys, parseApiKeyRequest } from './api-keys.js';
import { idempotencyOf } from './idempotency-key.js';
import { describeKeys as describe } from './openapi-keys.js';
import { TENANT, tenantOf } from './request-context.js';

const base = '/api/v1/keys';

@Controller(base)
export class ApiKeysController {
  constructor(
    private readonly keys: ApiKeys,
    @Inject(TENANT) private readonly tenant: string,
  ) {}

  @Post()
  @HttpCode(201)
  @Allow('keys.manage', { workspaces: true })
  @describe.create()
  async create(@Body() body: unknown, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<object> {
    const idempotency = idempotencyOf(request, 'CreateApiKey', body);
    const wanted = parseApiKeyRequest(body);
    const { key, token } = await this.keys.create(tenantOf(request, this.tenant), wanted, principalOf(request), idempotency);
    void reply.header('location', `${base}/${key.id}`).header('cache-control', 'no-store');
    if (token === undefined) void reply.header('idempotency-replayed', 'true');
    return { ...key, token: token ?? null };
  }

  @Get()
  @Allow('keys.manage', { workspaces: true })
  @describe.list()
  list(@Req() request: FastifyRequest): { readonly keys: readonly ApiKeyView[] } {
    return { keys: this.keys.list(tenantOf(request, this.tenant), principalOf(request)) };
  }

  @Delete(':id')
  @Allow('keys.manage', { workspaces: true })
  @describe.revoke()
  async revoke(@Param('id') id: string, @Req() request: FastifyRequest): Promise<ApiKeyView> {
    return await this.keys.revoke(tenantOf(request, this.tenant), id, principalOf(request));
  }
}
