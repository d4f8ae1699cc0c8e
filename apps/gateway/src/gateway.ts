import { existsSync, readFileSync } from 'node:fs';
import { type DynamicModule, Module } from '@nestjs/common';
import { ClientProxyFactory, Transport } from '@nestjs/microservices';
import { type ApiKey, Authenticator, JwtVerifier, type Principal } from '#libs/access';
import { ArtifactRoom } from '#libs/artifacts';
import { ArtifactStore, AuditTrail, Catalog, FeedReader, JetStreamLog, Members, OutputStore, RateCounters, SecretStore, awaitStreams, connectNats, connectionOptions, readAudit } from '#libs/jetstream';
import { watchWrites } from '#libs/ledger';
import { type Logger, type Settings, SettingsError, announceReady, reportStuckWrites } from '#libs/platform';
import { ApiKeys } from './api-keys.js';
import { ApiKeysController } from './api-keys.controller.js';
import { ArtifactLookup } from './artifact-lookup.js';
import { Artifacts } from './artifacts.js';
import { ArtifactsController } from './artifacts.controller.js';
import { AUDIT, AuditController, type ReadAudit } from './audit.controller.js';
import { BulkController } from './bulk.controller.js';
import { ClarificationsController } from './clarifications.controller.js';
import { ExecutionsController } from './executions.controller.js';
import { ExecutionReads } from './execution-reads.js';
import { Executions } from './executions.js';
import { createHttpApp, listen } from './http-app.js';
import { sealWithFirstKey } from './key-rotation.js';
import { LogRoom } from './log-room.js';
import { ProjectionsController } from './projections.controller.js';
import { SharedStorage } from './rate-limits.js';
import { ReadModels } from './read-models.js';
import { TENANT } from './request-context.js';
import { SecretsController } from './secrets.controller.js';
import { Followers } from './output/followers.js';
import { OutputLinesController } from './output/lines.controller.js';
import { OutputController } from './output/output.controller.js';
import { SuccessorsController } from './successors.controller.js';
import { TenantLimits } from './tenant-limits.js';
import { FeedHub, hubOptions } from './streams/feed-hub.js';
import { Snapshots } from './streams/snapshots.js';
import { Streams } from './streams/streams.js';
import { StreamsController } from './streams/streams.controller.js';
import { WebSockets } from './web-sockets.js';
import { SYSTEM, type System, SystemController } from './system.controller.js';

@Module({})
class GatewayModule {}

type Parts = {
  readonly artifacts: Artifacts;
  readonly artifactStore: ArtifactStore;
  readonly lookup: ArtifactLookup;
  readonly executions: Executions;
  readonly followers: Followers;
  readonly keys: ApiKeys;
  readonly reads: ExecutionReads;
  readonly output: OutputStore;
  readonly readAudit: ReadAudit;
  readonly readModels: ReadModels;
  readonly secrets: SecretStore;
  readonly streams: Streams;
  readonly system: System;
  readonly tenant: string;
};

const moduleOf = ({ artifacts, artifactStore, lookup, executions, followers, keys, reads, output, readAudit, readModels, secrets, streams, system, tenant }: Parts): DynamicModule => ({
  module: GatewayModule,
  controllers: [
    ExecutionsController,
    OutputController,
    OutputLinesController,
    SuccessorsController,
    BulkController,
    StreamsController,
    ClarificationsController,
    ArtifactsController,
    ApiKeysController,
    ProjectionsController,
    SecretsController,
    AuditController,
    SystemController,
  ],
  providers: [
    { provide: Artifacts, useValue: artifacts },
    { provide: ArtifactStore, useValue: artifactStore },
    { provide: ArtifactLookup, useValue: lookup },
    { provide: Executions, useValue: executions },
    { provide: ApiKeys, useValue: keys },
    { provide: Followers, useValue: followers },
    { provide: ExecutionReads, useValue: reads },
    { provide: ReadModels, useValue: readModels },
    { provide: OutputStore, useValue: output },
    { provide: AUDIT, useValue: readAudit },
    { provide: SecretStore, useValue: secrets },
    { provide: Streams, useValue: streams },
    { provide: TENANT, useValue: tenant },
    { provide: SYSTEM, useValue: system },
  ],
});

/** Of the package this file belongs to, compiled or not, wherever the process was started. */
const versionOf = (): string => {
  for (let folder = new URL('.', import.meta.url); folder.pathname !== '/'; folder = new URL('..', folder)) {
    const file = new URL('package.json', folder);
    if (existsSync(file)) return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
  }
  throw new Error('no package.json above the gateway');
};

/** Throws SettingsError for a key file that holds none. */
const jwtVerifierOf = async ({ auth, tenant }: Settings): Promise<JwtVerifier | undefined> => {
  try {
    return auth?.jwt && (await JwtVerifier.create(auth.jwt, tenant));
  } catch (error) {
    throw new SettingsError(`RUNLEDGER_JWT_KEY_FILE: ${(error as Error).message}`);
  }
};

/** Starts a gateway and returns where it listens and what stops it in order. Throws NatsError, ProvisioningError, SettingsError. */
export const startGateway = async (
  settings: Settings,
  logger: Logger,
): Promise<{ readonly url: string; readonly stop: () => Promise<void> }> => {
  const keyring = settings.keyring();
  const nats = await connectNats({ ...settings.nats, user: 'gateway', name: 'runledger gateway', wait: true, tell: (error) => logger.error(error.message) });
  await awaitStreams(nats, 'gateway', { ...settings.provisioning, waiting: (message) => logger.warn(message) });
  const alarm = (message: string): void => logger.error(`ALARM: ${message}`);
  const log = new JetStreamLog(nats, alarm);
  const trail = new AuditTrail(nats, alarm);
  const client = ClientProxyFactory.create({
    transport: Transport.NATS,
    options: connectionOptions(settings.nats, 'gateway', 'runledger gateway queries'),
  });
  await client.connect();
  const room = new LogRoom(log);
  const readModels = new ReadModels(client, () => nats.connected);
  const version = versionOf();
  const checks = {
    broker: () => (nats.connected ? Promise.resolve() : Promise.reject(new Error('not connected'))),
    log: async () => void (await log.info()),
  };
  const jwt = await jwtVerifierOf(settings);
  const keys = await Catalog.open<ApiKey>(nats, 'keys');
  const authenticator = settings.auth && new Authenticator({ find: (id) => keys.get(id) }, jwt);
  const stop = async (): Promise<void> => {
    room.stop();
    keys.stop();
    jwt?.stop();
    await client.close();
    await trail.stop();
    await nats.close();
  };
  const secrets = new SecretStore(nats, keyring);
  const reads = new ExecutionReads(log, readModels, async () => new Set((await Members.list(nats)).keys()));
  const feed = new FeedReader(nats, alarm);
  const webSockets = new WebSockets();
  const counts = (principal: Principal): boolean => authenticator?.counts(principal) ?? true;
  const followers = new Followers(hubOptions(settings), counts);
  const hub = new FeedHub(log, feed, (ref) => reads.labels(ref), hubOptions(settings), alarm);
  const executions = new Executions(watchWrites(log, () => nats.connected, () => reportStuckWrites(logger)), () => room.isNearlyFull, new TenantLimits(settings.tenants, (tenant) => readModels.usage(tenant)));
  const artifactStore = new ArtifactStore(nats, { maxBytes: settings.provisioning.artifactBucketBytes });
  const artifactRoom = new ArtifactRoom((tenant) => settings.tenants.of(tenant).limits.artifactBytes, (tenant) => readModels.artifactUsage(tenant).catch(() => undefined));
  const parts: Parts = {
    artifacts: new Artifacts(log, artifactStore, executions, artifactRoom, settings.artifactMaxBytes),
    artifactStore,
    lookup: new ArtifactLookup(readModels, log),
    executions,
    followers,
    keys: new ApiKeys(keys),
    reads,
    output: new OutputStore(nats),
    readAudit: (tenant, query) => readAudit(nats, tenant, query),
    readModels,
    secrets,
    streams: new Streams(hub, new Snapshots(log, readModels), log, feed, webSockets, counts),
    system: { checks, version },
    tenant: settings.tenant,
  };
  const app = await createHttpApp(moduleOf(parts), settings, version, logger, { authenticator, trail, storage: new SharedStorage(new RateCounters(nats)), webSockets });
  try {
    const url = await listen(app, settings);
    hub.start();
    if (keyring) void sealWithFirstKey(secrets, logger);
    logger.info({ url }, 'gateway ready');
    announceReady({ url });
    return {
      url,
      stop: async () => {
        // Streams would keep the server from closing.
        await Promise.all([hub.stop(), followers.stop()]);
        await app.close();
        await stop();
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
};
