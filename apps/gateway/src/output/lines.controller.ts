import { Readable } from 'node:stream';
import { Controller, Get, Inject, Param, Query, Req, Res, StreamableFile } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { isTerminal } from '#libs/execution';
import { OutputStore } from '#libs/jetstream';
import { Allow, principalOf } from '../access.js';
import { visibleRef } from '../execution-control.js';
import { ExecutionReads } from '../execution-reads.js';
import { TENANT, tenantOf } from '../request-context.js';
import type { Query as RequestQuery } from '../request-query.js';
import { Followers } from './followers.js';
import { parseLinesQuery } from './lines-query.js';
import { describeOutput } from './openapi-output.js';
import { readLines } from './read-lines.js';

const contentType = { ndjson: 'application/x-ndjson', text: 'text/plain; charset=utf-8' } as const;

/** Output as lines: to be searched, cut to its end, followed and downloaded. */
@Controller('/api/v1/executions')
export class OutputLinesController {
  constructor(
    private readonly reads: ExecutionReads,
    private readonly output: OutputStore,
    private readonly followers: Followers,
    @Inject(TENANT) private readonly tenant: string,
  ) {}

  @Get(':id/output/lines')
  @Allow('executions.read', { browser: true, workspaces: true, follows: 'follow' })
  @describeOutput.lines()
  async lines(@Param('id') id: string, @Query() query: RequestQuery, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<StreamableFile> {
    const wanted = parseLinesQuery(query);
    const ref = await visibleRef(this.reads, tenantOf(request, this.tenant), id, request);
    await this.reads.mustExist(ref);
    // While a refusal can still be told.
    await this.output.read(ref, wanted.task, { limit: 1 });
    if (wanted.follow) this.followers.enter(ref.tenant, reply.raw);
    const gone = new AbortController();
    if (reply.raw.closed) gone.abort();
    else reply.raw.once('close', () => gone.abort());
    const principal = principalOf(request);
    const source = { output: this.output, hasEnded: async () => isTerminal((await this.reads.detail(ref)).status) };
    const counts = (): boolean => this.followers.mayGoOn(principal);
    const type = contentType[wanted.form];
    const extension = wanted.form === 'text' ? 'txt' : 'ndjson';
    return new StreamableFile(Readable.from(readLines(source, ref, wanted, { signal: gone.signal, counts })), { type, disposition: `inline; filename="output.${extension}"` });
  }
}
