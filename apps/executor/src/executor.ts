import { randomUUID } from 'node:crypto';
import { ArtifactRoom } from '#libs/artifacts';
import { BULK } from '#libs/contracts';
import { ArtifactStore, Checkpoints, FeedStream, JetStreamLog, Members, OutputStore, SecretStore, awaitStreams, connectNats } from '#libs/jetstream';
import { watchWrites } from '#libs/ledger';
import { type Logger, type Settings, announceReady, reportStuckWrites } from '#libs/platform';
import { createRunners } from '#libs/runners';
import { addressList } from './addresses.js';
import { artifactHints } from './artifact-hints.js';
import { ArtifactKeeper } from './artifact-keeper.js';
import { keepFiles } from './keep-files.js';
import { logArtifacts } from './log-artifacts.js';
import { bulkRunner } from './bulk-runner.js';
import { systemClock } from './clock.js';
import { commandSetup } from './command-setup.js';
import { endedExecutions } from './ended-executions.js';
import { Owner } from './owner.js';
import { Retention } from './retention.js';
import { select } from './select.js';

/** How long attempts may go on after the executor was asked to stop; then they are ended and run anew elsewhere. */
const DRAIN_MS = 3_000;

/** Starts an executor and returns what stops it in order. Throws NatsError, ProvisioningError, LogError, SettingsError. */
export const startExecutor = async (settings: Settings, logger: Logger): Promise<() => Promise<void>> => {
  const commands = await commandSetup(settings, logger);
  const incarnation = randomUUID();
  const keyring = settings.keyring();
  const nats = await connectNats({
    ...settings.nats,
    user: 'executor',
    name: `runledger executor ${incarnation}`,
    wait: true,
    tell: (error) => logger.error(error.message),
  });
  await awaitStreams(nats, 'executor', { ...settings.provisioning, waiting: (message) => logger.warn(message) });
  const output = new OutputStore(nats);
  const secrets = new SecretStore(nats, keyring);
  const runners = createRunners({
    incarnation,
    ...commands,
    allowAddress: addressList(settings.executor.httpAllow),
    httpTimeoutMs: settings.executor.httpTimeoutMs,
    secrets: (tenant, names) => secrets.values(tenant, names),
  });
  const stored = new JetStreamLog(nats, (message) => logger.error(`ALARM: ${message}`));
  const feed = new FeedStream(nats);
  const members = await Members.join(nats, { incarnation, details: { node: settings.node, pid: process.pid } });
  const log = watchWrites(stored, () => nats.connected, () => reportStuckWrites(logger));
  const artifactStore = new ArtifactStore(nats, { maxBytes: settings.provisioning.artifactBucketBytes });
  const hints = artifactHints(nats);
  const room = new ArtifactRoom((tenant) => settings.tenants.of(tenant).limits.artifactBytes, hints.usage);
  const keeper = new ArtifactKeeper({
    log,
    store: artifactStore,
    hints,
    owns: (ref) => owner.owns(ref),
    incarnation,
    clock: systemClock,
    warn: (error) => logger.warn({ err: error }, 'artifacts could not be looked after; trying again'),
  });
  const bulk = bulkRunner({ log, clock: systemClock, select: (query) => select(nats, query) });
  const owner: Owner = new Owner({
    log,
    host: { runners: new Map([...runners, [BULK, bulk]]), output: (ref, taskId, chunk) => output.append(ref, taskId, chunk), keep: keepFiles(artifactStore, room, settings.artifactMaxBytes) },
    members,
    checkpoints: await Checkpoints.open(nats),
    purge: stored,
    belongings: [
      {
        purge: async (ref) => {
          await output.purge(ref);
          return true;
        },
      },
      keeper,
      // Behind what it tells of, so that everything committed has been published once.
      { purge: (ref, deletedAt) => feed.purge(ref, deletedAt) },
    ],
    logArtifacts: logArtifacts({
      log,
      output,
      store: artifactStore,
      room,
      maxBytes: settings.artifactMaxBytes,
      incarnation,
      clock: systemClock,
      warn: (error) => logger.warn({ err: error }, 'output could not be made an artifact of; trying again'),
    }),
    incarnation,
    concurrency: settings.executor.concurrency,
    logger,
  });
  const retention = new Retention({
    log,
    ended: endedExecutions(nats),
    policyOf: (tenant) => settings.tenants.of(tenant).retention,
    isDue: () => settings.tenants.hasRetention && owner.isFirst,
    clock: systemClock,
    logger,
  });
  await owner.start();
  retention.start();
  keeper.start();
  logger.info({ incarnation, ...owner.counts }, 'executor ready');
  announceReady({ incarnation });
  return async () => {
    logger.info(owner.counts, 'executor stopping');
    await retention.stop();
    await keeper.stop();
    await owner.stop(DRAIN_MS, settings.executor.graceMs + 5_000);
    await members.leave();
    await nats.close();
  };
};
