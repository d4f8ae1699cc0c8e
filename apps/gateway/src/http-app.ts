import type { Socket } from 'node:net';
import type { DynamicModule } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { ThrottlerStorage } from '@nestjs/throttler';
import type { FastifyReply, FastifyRequest, RequestPayload, RouteOptions } from 'fastify';
import { type Logger, NestLogger, type Settings, SettingsError } from '#libs/platform';
import type { Authenticator } from '#libs/access';
import type { AuditRecord } from '#libs/contracts';
import { accessHook, isFollowed, takesFile } from './access.js';
import { auditHook } from './audit.js';
import { unpackBody } from './compressed-body.js';
import { parseJson } from './json-body.js';
import { BODY_LIMIT, unsupported } from './problem.js';
import { ProblemFilter } from './problem.filter.js';
import { correlationOf, urlOf } from './request-context.js';
import { rateHook, unauthenticatedLimit } from './rate-limits.js';
import { loopbackOrigin, requestGuard } from './request-guard.js';
import { timeHook } from './request-time.js';
import { Routes } from './routes.js';
import { serveDescription } from './serve-description.js';
import { Incoming, type WebSockets } from './web-sockets.js';

const exposed = ['Location', 'Link', 'Retry-After', 'X-Correlation-ID', 'Runledger-Next', 'Idempotency-Replayed', 'X-RateLimit-Limit', 'X-RateLimit-Remaining', 'X-RateLimit-Reset', 'ETag', 'Content-Range', 'Accept-Ranges', 'Content-Disposition'];

/**
 * No page elsewhere shows ours in a frame of its own, where a click would do what it does there; no answer is kept by a cache, or
 * taken for a page; and no link tells where it was followed from, as a token may stand there.
 */
const harmless = { 'x-frame-options': 'DENY', 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer', 'cache-control': 'no-store' };

/** What Node's parser refuses never becomes a request; it is answered here, in the same words. */
const answerUnreadable = (error: NodeJS.ErrnoException, socket: Socket): void => {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
  const tooLarge = error.code === 'HPE_HEADER_OVERFLOW';
  const [status, title] = tooLarge ? [431, 'Request Header Fields Too Large'] : [400, 'Bad Request'];
  const [code, detail] = tooLarge
    ? ['HEADERS_TOO_LARGE', 'the headers and the URL together are larger than 16 KiB; send less in them, and data in the body']
    : ['REQUEST_INVALID', 'this is not an HTTP request; check scheme and port'];
  const body = JSON.stringify({ type: `urn:runledger:problem:${code}`, title, status, code, detail });
  const head = `HTTP/1.1 ${status} ${title}\r\nContent-Type: application/problem+json; charset=utf-8\r\n`;
  socket.end(`${head}Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`);
};

/** What Fastify refuses before a route is reached is answered like everything else; Nest's own handler would drop the error's code. */
class Adapter extends FastifyAdapter {
  constructor(
    private readonly filter: ProblemFilter,
    trustedProxies: readonly string[],
  ) {
    super({
      trustProxy: trustedProxies.length > 0 && [...trustedProxies],
      bodyLimit: BODY_LIMIT,
      // A file may take longer: see timeHook.
      requestTimeout: 0,
      clientErrorHandler: answerUnreadable,
      frameworkErrors: (error: Error, request: FastifyRequest, reply: FastifyReply) => filter.answer(error, request, reply),
      routerOptions: { maxParamLength: 256 },
      http: { IncomingMessage: Incoming },
    });
  }

  override setErrorHandler(): ReturnType<FastifyAdapter['setErrorHandler']> {
    return super.setErrorHandler((error: unknown, request: FastifyRequest, reply: FastifyReply) =>
      this.filter.answer(error, request, reply),
    );
  }
}

type Guards = {
  /** Undefined: everybody is let in. */
  readonly authenticator: Authenticator | undefined;
  readonly trail: { add(record: AuditRecord): void };
  /** Where requests are counted, of which there may be so many. */
  readonly storage: ThrottlerStorage;
  readonly webSockets: WebSockets;
};

/** The module served over HTTP, not listening yet. */
export const createHttpApp = async (
  module: DynamicModule,
  settings: Settings,
  version: string,
  logger: Logger,
  { authenticator, trail, storage, webSockets }: Guards,
): Promise<NestFastifyApplication> => {
  const routes = new Routes();
  const filter = new ProblemFilter(logger, routes);
  const adapter = new Adapter(filter, settings.trustedProxies);
  const fastify = adapter.getInstance();
  fastify.addHook('onRoute', ({ url, method }: RouteOptions) => routes.add(url, method));
  const app = await NestFactory.create<NestFastifyApplication>(module, adapter, {
    bodyParser: false,
    logger: new NestLogger(logger),
  });
  app.useGlobalFilters(filter);
  app.enableCors({ origin: loopbackOrigin, methods: ['GET', 'HEAD', 'POST', 'PUT', 'DELETE'], exposedHeaders: exposed });

  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    try {
      if (takesFile(request)) throw unsupported('multipart/form-data');
      done(null, parseJson(body as Buffer, !request.routeOptions.url?.startsWith('/api/v1/secrets')));
    } catch (error) {
      done(error as Error);
    }
  });
  // A form with a file is read by its route, as it comes.
  fastify.addContentTypeParser('multipart/form-data', (request: FastifyRequest, payload: RequestPayload, done: (error: Error | null, body?: unknown) => void) =>
    takesFile(request) ? done(null, payload) : done(unsupported('application/json')),
  );
  fastify.addHook('onRequest', timeHook());
  const guard = requestGuard(settings.host);
  fastify.addHook('onRequest', (request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void) => {
    void reply.headers({ ...harmless, 'x-correlation-id': correlationOf(request) });
    try {
      guard(request.method, request.headers, isFollowed(request));
      done();
    } catch (error) {
      done(error as Error);
    }
  });
  if (authenticator) {
    fastify.addHook('onRequest', accessHook(authenticator, unauthenticatedLimit(settings.tenants.unauthenticated)));
    // Where everybody is anonymous a record would say nothing that the log does not.
    fastify.addHook('onSend', auditHook({ trail, tenant: settings.tenant }));
  }
  const { tenants: policies, tenant } = settings;
  if (policies.hasRates) fastify.addHook('onRequest', await rateHook({ storage, policies, tenant }));
  fastify.addHook('preParsing', unpackBody);
  if (logger.isLevelEnabled('debug')) {
    fastify.addHook('onResponse', (request: FastifyRequest, reply: FastifyReply, done: () => void) => {
      logger.debug({ correlationId: correlationOf(request), method: request.method, url: urlOf(request), status: reply.statusCode, ms: reply.elapsedTime }, 'request');
      done();
    });
  }
  serveDescription(app, version, settings);
  webSockets.attach(fastify.server, (request, response) => fastify.routing(request, response));
  return app;
};

/** Returns where it listens. Throws SettingsError for a port in use. */
export const listen = async (app: NestFastifyApplication, { host, port }: Settings): Promise<string> => {
  try {
    await app.listen(port, host);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    throw new SettingsError(`port ${port} on ${host} is in use; stop what listens there, or set RUNLEDGER_PORT to another`);
  }
  return await app.getUrl();
};
