import { Body, Controller, Delete, Get, HttpCode, Inject, Param, Put, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { isToken } from '#libs/contracts';
import { type SecretInfo, type SecretRef, SecretStore } from '#libs/jetstream';
import { secretValueFault } from '#libs/secrets';
import { Allow } from './access.js';
import { describeSecrets as describe } from './openapi-secrets.js';
import { Problem } from './problem.js';
import { TENANT, tenantOf } from './request-context.js';

/** Throws Problem BODY_INVALID, which quotes nothing of the body: whatever is in it may be the secret. */
const valueIn = (body: unknown): string => {
  const fields = typeof body === 'object' && body !== null && !Array.isArray(body) ? Object.keys(body) : [];
  if (fields.length !== 1 || fields[0] !== 'value') throw new Problem(400, 'BODY_INVALID', 'the body must be {"value": "…"}, and nothing else');
  const { value } = body as { readonly value: unknown };
  const message = secretValueFault(value);
  if (message === undefined) return value as string;
  throw new Problem(400, 'BODY_INVALID', `/value: ${message}`, { problems: [{ path: '/value', message }] });
};

/** Values come in here and never go out. */
@Controller('/api/v1/secrets')
export class SecretsController {
  constructor(
    private readonly secrets: SecretStore,
    @Inject(TENANT) private readonly tenant: string,
  ) {}

  @Get()
  @Allow('secrets.read')
  @describe.list()
  async list(@Req() request: FastifyRequest): Promise<{ readonly secrets: readonly SecretInfo[] }> {
    return { secrets: await this.secrets.list(tenantOf(request, this.tenant)) };
  }

  @Put(':name')
  @Allow('secrets.manage')
  @describe.put()
  async put(
    @Param('name') name: string,
    @Body() body: unknown,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SecretInfo> {
    const secret = await this.secrets.put(this.ref(request, name), valueIn(body));
    void reply.status(secret.version === 1 ? 201 : 200);
    return secret;
  }

  @Delete(':name')
  @HttpCode(204)
  @Allow('secrets.manage')
  @describe.delete()
  async delete(@Param('name') name: string, @Req() request: FastifyRequest): Promise<void> {
    if (await this.secrets.delete(this.ref(request, name))) return;
    throw new Problem(404, 'SECRET_UNKNOWN', 'no secret has this name; GET /api/v1/secrets lists those there are');
  }

  /** Throws Problem ID_INVALID before the name comes near a subject. */
  private ref(request: FastifyRequest, name: string): SecretRef {
    if (isToken(name)) return { tenant: tenantOf(request, this.tenant), name };
    throw new Problem(400, 'ID_INVALID', "a secret's name matches ^[A-Za-z0-9_-]{1,64}$");
  }
}
