import { join } from 'node:path';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { type MicroserviceOptions, Transport } from '@nestjs/microservices';
import { FeedStream, JetStreamLog, connectNats, provision } from '#libs/jetstream';
import { type Logger, NestLogger, type Settings, announceReady } from '#libs/platform';
import { ReadModelFile } from './read-model-file.js';
import { FeedPublisher } from './feed-publisher.js';
import { Projection } from './projection.js';
import { QueriesController, STATS, STATUS } from './queries.controller.js';
import { StatsModel, statsSchema } from './stats-model.js';
import { StatusModel, statusSchema } from './status-model.js';

@Module({})
class ProjectorModule {}

/** Starts the projections, the feed and their queries; returns what stops them in order. Throws ProvisioningError, LogError. */
export const startProjector = async (settings: Settings, logger: Logger): Promise<() => Promise<void>> => {
  const nats = await connectNats({ url: settings.natsUrl, name: 'runledger projector', wait: true });
  await provision(nats, settings.logMaxBytes > 0 ? { logMaxBytes: settings.logMaxBytes } : {});
  const log = new JetStreamLog(nats, (message) => logger.error(`ALARM: ${message}`));
  const open = (name: string, schema: string): ReadModelFile =>
    new ReadModelFile(join(settings.home, 'projections', `${name}.db`), schema, (why) =>
      logger.warn({ projection: name }, `the read model is rebuilt: ${why}`),
    );
  const [statusFile, statsFile] = [open('status', statusSchema), open('stats', statsSchema)];
  const statusOf = (file: ReadModelFile): StatusModel => new StatusModel(file, (ref, message) => logger.error({ ...ref }, `ALARM: ${message}`));
  const statsOf = (file: ReadModelFile): StatsModel => new StatsModel(file);
  const projections = [
    new Projection('status', log, statusFile, statusOf, logger),
    new Projection('stats', log, statsFile, statsOf, logger),
  ] as const;
  const feed = new FeedPublisher(log, new FeedStream(nats), logger);

  const module = {
    module: ProjectorModule,
    controllers: [QueriesController],
    providers: [
      { provide: StatusModel, useValue: statusOf(statusFile) },
      { provide: StatsModel, useValue: statsOf(statsFile) },
      { provide: STATUS, useValue: projections[0] },
      { provide: STATS, useValue: projections[1] },
    ],
  };
  const app = await NestFactory.createMicroservice<MicroserviceOptions>(module, {
    transport: Transport.NATS,
    options: {
      servers: settings.natsUrl.split(','),
      name: 'runledger projector queries',
      queue: 'runledger-projector',
      maxReconnectAttempts: -1,
      reconnectTimeWait: 200,
    },
    logger: new NestLogger(logger),
  });
  await app.listen();
  await Promise.all([...projections.map((projection) => projection.start()), feed.start()]);
  logger.info({ asOfSeq: projections[0].asOfSeq }, 'projector ready');
  announceReady({ asOfSeq: projections[0].asOfSeq });
  return async () => {
    await app.close();
    await feed.stop();
    await Promise.all(projections.map((projection) => projection.stop()));
    await nats.close();
  };
};
