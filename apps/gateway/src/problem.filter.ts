import { type ArgumentsHost, Catch, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from '#libs/platform';
import { correlationOf } from './request-context.js';
import { Problem, problemOf } from './problem.js';

const titles: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  404: 'Not Found',
  405: 'Method Not Allowed',
  409: 'Conflict',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  421: 'Misdirected Request',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
};

/** Answers every error as problem details; what is a bug is logged with its correlation id and told to nobody. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(private readonly logger: Logger) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    this.answer(error, http.getRequest<FastifyRequest>(), http.getResponse<FastifyReply>());
  }

  answer(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
    const correlationId = correlationOf(request);
    const problem =
      problemOf(error) ?? new Problem(500, 'INTERNAL', `an error on our side; report it with correlation id ${correlationId}`);
    if (problem.status >= 500) {
      this.logger.error({ err: error, correlationId, method: request.method, url: request.url, code: problem.code }, 'request failed');
    }
    const { problems, retryAfterSeconds } = problem.extra;
    if (retryAfterSeconds !== undefined) void reply.header('retry-after', String(retryAfterSeconds));
    void reply
      .status(problem.status)
      .header('content-type', 'application/problem+json; charset=utf-8')
      .header('x-correlation-id', correlationId)
      .send({
        type: `urn:runledger:problem:${problem.code}`,
        title: titles[problem.status] ?? 'Error',
        status: problem.status,
        code: problem.code,
        detail: problem.message,
        instance: request.url,
        correlationId,
        ...(problems && { problems }),
      });
  }
}
