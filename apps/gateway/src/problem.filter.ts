import { type ArgumentsHost, Catch, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from '#libs/platform';
import { correlationOf, noteRefusal, urlOf } from './request-context.js';
import { Problem, problemOf, routeNotFound } from './problem.js';
import type { Routes } from './routes.js';

const titles: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  406: 'Not Acceptable',
  409: 'Conflict',
  410: 'Gone',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  416: 'Range Not Satisfiable',
  421: 'Misdirected Request',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
};

const internal = (correlationId: string): Problem =>
  new Problem(500, 'INTERNAL', `an error on our side; report it with correlation id ${correlationId}`);

/**
 * Fastify would close now, and a client that still sends would see a reset in place of the answer. What comes is dropped, until the
 * request's time is up.
 */
const readOn = ({ raw }: FastifyRequest, reply: FastifyReply): void => {
  void reply.removeHeader('connection');
  raw.unpipe();
  raw.resume();
};

/** Answers every error as problem details; what is a bug is logged with its correlation id and told to nobody. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(
    private readonly logger: Logger,
    private readonly routes: Routes,
  ) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    this.answer(error, http.getRequest<FastifyRequest>(), http.getResponse<FastifyReply>());
  }

  answer(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
    const correlationId = correlationOf(request);
    const problem = this.orNotServed(problemOf(error) ?? internal(correlationId), request);
    noteRefusal(request, problem.code);
    this.log(problem, error, request, correlationId);
    const { problems, retryAfterSeconds, allow, challenge, contentRange } = problem.extra;
    if (challenge !== undefined) void reply.header('www-authenticate', challenge);
    if (retryAfterSeconds !== undefined) void reply.header('retry-after', String(retryAfterSeconds));
    if (contentRange !== undefined) void reply.header('content-range', contentRange);
    if (allow) void reply.header('allow', allow.join(', '));
    if (!request.raw.complete) readOn(request, reply);
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
        instance: urlOf(request),
        correlationId,
        ...(problems && { problems }),
      });
  }

  /** What is wrong with the body of a request is nothing that helps where nobody takes one: it is looked at first. */
  private orNotServed(problem: Problem, request: FastifyRequest): Problem {
    const { url, method, is404 } = request;
    const absent = problem.code === 'MEDIA_TYPE_UNSUPPORTED' && is404 ? routeNotFound(`Cannot ${method} ${urlOf(request)}`) : problem;
    const allow = absent.code === 'ROUTE_NOT_FOUND' ? this.routes.methodsOf(url) : [];
    if (allow.length === 0) return absent;
    return new Problem(405, 'METHOD_NOT_ALLOWED', `${method} is not served here; use ${allow.join(' or ')}`, { allow });
  }

  private log(problem: Problem, error: unknown, request: FastifyRequest, correlationId: string): void {
    const { status, code } = problem;
    if (status < 500) return;
    const line = { correlationId, method: request.method, url: urlOf(request), code };
    // Unavailable is the broker's or the projector's doing, and passes: a line, not a stack.
    if (status === 503) this.logger.warn(line, `request failed: ${problem.message}`);
    else if (code === 'HISTORY_BROKEN') this.logger.error(line, `ALARM: ${problem.message}`);
    else this.logger.error({ ...line, err: error }, 'request failed');
  }
}
