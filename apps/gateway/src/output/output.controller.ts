import { Controller, Get, Inject, Param, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { OutputStore, type StoredOutput } from '#libs/jetstream';
import { Allow } from '../access.js';
import { visibleRef } from '../execution-control.js';
import { ExecutionReads } from '../execution-reads.js';
import { TENANT, tenantOf } from '../request-context.js';
import { type Query as RequestQuery, parseOutputQuery } from '../request-query.js';
import { describeOutput } from './openapi-output.js';

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

const contentType = { text: 'text/plain; charset=utf-8', bytes: 'application/octet-stream' } as const;

/** Output as it was written, in pieces. */
@Controller('/api/v1/executions')
export class OutputController {
  constructor(
    private readonly reads: ExecutionReads,
    private readonly output: OutputStore,
    @Inject(TENANT) private readonly tenant: string,
  ) {}

  @Get(':id/output')
  @Allow('executions.read', { browser: true, workspaces: true })
  @describeOutput.pieces()
  async readOutput(
    @Param('id') id: string,
    @Query() query: RequestQuery,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<object> {
    const wanted = parseOutputQuery(query, request.headers.accept);
    const ref = await visibleRef(this.reads, tenantOf(request, this.tenant), id, request);
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
}
