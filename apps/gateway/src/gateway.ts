import { readFileSync } from 'node:fs';
import { type DynamicModule, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ClientProxyFactory, Transport } from '@nestjs/microservices';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { DocumentBuilder, SwaggerModule } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { JetStreamLog, type Nats, OutputStore, connectNats, provision } from '#libs/jetstream';
import { type Logger, NestLogger, type Settings, SettingsError, announceReady } from '#libs/platform';
import { ExecutionsController } from './executions.controller.js';
import { Executions } from './executions.js';
import { hostGuard } from './host-guard.js';
import { LogRoom } from './log-room.js';
import { ProblemFilter } from './problem.filter.js';
import { ReadModels } from './read-models.js';
import { TENANT, correlationOf } from './request-context.js';
import { type Check, SYSTEM, SystemController } from './system.controller.js';

/** Larger than any commit, so that a plan that is too large hears that and not less. */
const BODY_LIMIT = 512 * 1024;

@Module({})
class GatewayModule {}

type Parts = {
  readonly log: JetStreamLog;
  readonly output: OutputStore;
  readonly readModels: ReadModels;
  readonly room: LogRoom;
  readonly checks: Readonly<Record<string, Check>>;
  readonly version: string;
  readonly tenant: string;
};

const moduleOf = (parts: Parts): DynamicModule => {
  const { log, output, readModels, room, checks, version, tenant } = parts;
  return {
    module: GatewayModule,
    controllers: [ExecutionsController, SystemController],
    providers: [
      { provide: Executions, useValue: new Executions(log, readModels, () => room.isNearlyFull) },
      { provide: ReadModels, useValue: readModels },
      { provide: OutputStore, useValue: output },
      { provide: TENANT, useValue: tenant },
      { provide: SYSTEM, useValue: { checks, version } },
    ],
  };
};

/** What the parser refuses is answered like everything else; Nest's own handler would drop the error's code. */
class Adapter extends FastifyAdapter {
  constructor(private readonly filter: ProblemFilter) {
    super({ bodyLimit: BODY_LIMIT, routerOptions: { maxParamLength: 200 } });
  }

  override setErrorHandler(): ReturnType<FastifyAdapter['setErrorHandler']> {
    return super.setErrorHandler((error: unknown, request: FastifyRequest, reply: FastifyReply) =>
      this.filter.answer(error, request, reply),
    );
  }
}

const createApp = async (parts: Parts, settings: Settings, logger: Logger): Promise<NestFastifyApplication> => {
  const filter = new ProblemFilter(logger);
  const adapter = new Adapter(filter);
  const app = await NestFactory.create<NestFastifyApplication>(moduleOf(parts), adapter, { logger: new NestLogger(logger) });
  app.useGlobalFilters(filter);
  app.enableCors({ origin: /^https?:\/\/(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/ });
  const fastify = adapter.getInstance();
  const guard = hostGuard(settings.host);
  fastify.addHook('onRequest', async (request: FastifyRequest, reply: FastifyReply) => {
    void reply.header('x-correlation-id', correlationOf(request));
    guard(request.headers.host);
  });
  const description = new DocumentBuilder()
    .setTitle('Runledger')
    .setDescription('Durable execution: every fact about a run is an event in one log.')
    .setVersion(parts.version)
    .build();
  SwaggerModule.setup('docs', app, SwaggerModule.createDocument(app, description));
  return app;
};

const listen = async (app: NestFastifyApplication, { host, port }: Settings): Promise<string> => {
  try {
    await app.listen(port, host);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    throw new SettingsError(`port ${port} on ${host} is in use; stop what listens there, or set RUNLEDGER_PORT to another`);
  }
  return await app.getUrl();
};

const versionOf = (): string => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  return version;
};

const brokerCheck = (nats: Nats): Check => async () => {
  if (!nats.connected) throw new Error('not connected');
};

/** Starts a gateway and returns where it listens and what stops it in order. Throws ProvisioningError, SettingsError. */
export const startGateway = async (
  settings: Settings,
  logger: Logger,
): Promise<{ readonly url: string; readonly stop: () => Promise<void> }> => {
  const nats = await connectNats({ url: settings.natsUrl, name: 'runledger gateway', wait: true });
  await provision(nats, settings.logMaxBytes > 0 ? { logMaxBytes: settings.logMaxBytes } : {});
  const log = new JetStreamLog(nats, (message) => logger.error(`ALARM: ${message}`));
  const client = ClientProxyFactory.create({
    transport: Transport.NATS,
    options: { servers: settings.natsUrl.split(','), name: 'runledger gateway queries', maxReconnectAttempts: -1, reconnectTimeWait: 200 },
  });
  await client.connect();
  const room = new LogRoom(log);
  const app = await createApp(
    {
      log,
      output: new OutputStore(nats),
      readModels: new ReadModels(client),
      room,
      checks: { broker: brokerCheck(nats), log: async () => void (await log.info()) },
      version: versionOf(),
      tenant: settings.tenant,
    },
    settings,
    logger,
  );
  const url = await listen(app, settings);
  logger.info({ url }, 'gateway ready');
  announceReady({ url });
  return {
    url,
    stop: async () => {
      room.stop();
      await app.close();
      await client.close();
      await nats.close();
    },
  };
};
