import { join } from 'node:path';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { type MicroserviceOptions, Transport } from '@nestjs/microservices';
import { FeedStream, JetStreamLog, awaitStreams, connectNats, connectionOptions } from '#libs/jetstream';
import { type Logger, NestLogger, type Settings, announceReady } from '#libs/platform';
import { ArtifactsModel, artifactsSchema } from './artifacts-model.js';
import { ARTIFACTS, ArtifactsQueriesController } from './artifacts-queries.controller.js';
import { ReadModelFile } from './read-model-file.js';
import { FeedPublisher } from './feed-publisher.js';
import { Projection } from './projection.js';
import { QueriesController, STATS, STATUS } from './queries.controller.js';
import { StatsModel, statsSchema } from './stats-model.js';
import { StatusModel } from './status-model.js';
import { statusSchema } from './status-schema.js';

@Module({})
class ProjectorModule {}

/** Starts the projections, the feed and their queries; returns what stops them in order. Throws NatsError, ProvisioningError, LogError. */
export const startProjector = async (settings: Settings, logger: Logger): Promise<() => Promise<void>> => {
  const nats = await connectNats({ ...settings.nats, user: 'projector', name: 'runledger projector', wait: true, tell: (error) => logger.error(error.message) });
  await awaitStreams(nats, 'projector', { ...settings.provisioning, waiting: (message) => logger.warn(message) });
  const log = new JetStreamLog(nats, (message) => logger.error(`ALARM: ${message}`));
  const open = (name: string, schema: string): ReadModelFile =>
    new ReadModelFile(join(settings.home, 'projections', `${name}.db`), schema, (why) =>
      logger.warn({ projection: name }, `the read model is rebuilt: ${why}`),
    );
  const [statusFile, statsFile, artifactsFile] = [open('status', statusSchema), open('stats', statsSchema), open('artifacts', artifactsSchema)];
  const statusOf = (file: ReadModelFile): StatusModel => new StatusModel(file, (ref, message) => logger.error({ ...ref }, `ALARM: ${message}`));
  const statsOf = (file: ReadModelFile): StatsModel => new StatsModel(file);
  const artifactsOf = (file: ReadModelFile): ArtifactsModel => new ArtifactsModel(file);
  const projections = [
    new Projection('status', log, statusFile, statusOf, logger),
    new Projection('stats', log, statsFile, statsOf, logger),
    new Projection('artifacts', log, artifactsFile, artifactsOf, logger),
  ] as const;
  const feed = new FeedPublisher(log, new FeedStream(nats), logger);

  const module = {
    module: ProjectorModule,
    controllers: [QueriesController, ArtifactsQueriesController],
    providers: [
      { provide: StatusModel, useValue: statusOf(statusFile) },
      { provide: StatsModel, useValue: statsOf(statsFile) },
      { provide: ArtifactsModel, useValue: artifactsOf(artifactsFile) },
      { provide: STATUS, useValue: projections[0] },
      { provide: STATS, useValue: projections[1] },
      { provide: ARTIFACTS, useValue: projections[2] },
    ],
  };
  const app = await NestFactory.createMicroservice<MicroserviceOptions>(module, {
    transport: Transport.NATS,
    options: { ...connectionOptions(settings.nats, 'projector', 'runledger projector queries'), queue: 'runledger-projector' },
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
