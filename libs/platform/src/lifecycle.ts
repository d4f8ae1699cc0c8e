import type { Logger } from './logger.js';

/** Tells a supervisor, where there is one, that this process does its work now. */
export const announceReady = (details: Readonly<Record<string, unknown>>): void => {
  if (process.connected) process.send?.({ type: 'ready', ...details });
};

/** What a process ends with that would only end the same way again: its surroundings have to be changed first. */
export const EXIT_MISCONFIGURED = 78;

/** Tells a supervisor, where there is one, that another start would not help. Resolves once it has heard. */
const reportHopeless = (message: string): Promise<void> =>
  new Promise((resolve) => {
    if (!process.connected || !process.send) return resolve();
    process.send({ type: 'hopeless', message }, () => resolve());
  });

/** Says, to a supervisor too where there is one, that the broker can't write any more although there may be room: only its restart heals that. */
export const reportStuckWrites = (logger: Logger): void => {
  logger.error('ALARM: the broker is there but has stored nothing for 20 s; its server needs a restart if its disk was full');
  if (process.connected) process.send?.({ type: 'nats-write-stuck' });
};

/**
 * Runs one app until it is asked to stop: by TERM, INT, or the end of the supervisor that started it. `start` returns what
 * stops it in order. An app that can't start, or breaks, says why and exits with 1, or with 78 for an error that says it is not
 * retryable; stopping takes at most `stopMs`.
 */
export const runApp = async (
  logger: Logger,
  start: () => Promise<() => Promise<void>>,
  stopMs = 15_000,
): Promise<void> => {
  let stopping = false;
  let stop: (() => Promise<void>) | undefined;

  const end = (code: number): void => {
    if (stopping) return;
    stopping = true;
    setTimeout(() => process.exit(code || 1), stopMs).unref();
    (stop?.() ?? Promise.resolve()).then(
      () => process.exit(code),
      (error: unknown) => {
        logger.error({ err: error }, 'could not stop in order');
        process.exit(1);
      },
    );
  };

  process.on('SIGTERM', () => end(0));
  process.on('SIGINT', () => end(0));
  if (process.env['RUNLEDGER_SUPERVISED']) process.on('disconnect', () => end(0));
  process.on('uncaughtException', (error) => {
    logger.fatal({ err: error }, 'a bug: nothing caught this error');
    end(1);
  });
  process.on('unhandledRejection', (error) => {
    logger.fatal({ err: error }, 'a bug: nothing awaited this rejection');
    end(1);
  });

  try {
    stop = await start();
    if (stopping) await stop();
  } catch (error) {
    logger.fatal({ err: error }, error instanceof Error ? error.message : 'could not start');
    const isHopeless = error instanceof Error && 'retryable' in error && !error.retryable;
    if (isHopeless) await reportHopeless(error.message);
    end(isHopeless ? EXIT_MISCONFIGURED : 1);
  }
};
