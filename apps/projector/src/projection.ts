import { setTimeout as delay } from 'node:timers/promises';
import type { LogStore } from '#libs/ledger';
import type { Logger } from '#libs/platform';
import type { AtLeast, Loss, ProjectionInfo, Rebuild } from '#libs/projections';
import { QueryRefused } from './query-refused.js';
import type { ReadModelFile } from './read-model-file.js';
import { Rebuilding } from './rebuilding.js';
import { type Applies, type Hears, Replica } from './replica.js';

const RETRY_MS = 500;
/** A query that waits to be answered waits this long at most, milliseconds. */
const WAIT_MAX_MS = 2_000;
const LOSSES_MAX = 100;

class Stopping extends Error {}

/** A read model that follows the log. It is rebuilt when it is asked to be, and when the log is not the one it had read. */
export class Projection {
  private readonly live: Replica;
  private readonly stopping = new AbortController();
  private readonly stopped = new Promise<void>((resolve) => this.stopping.signal.addEventListener('abort', () => resolve()));
  private isPaused = false;
  private rebuilding: { readonly run: Rebuilding; readonly ended: Promise<void> } | undefined;
  private beginningAnew: Promise<void> | undefined;

  constructor(
    readonly name: string,
    private readonly log: LogStore,
    private readonly file: ReadModelFile,
    /** The model whose rows lie in a file. */
    private readonly modelOf: (file: ReadModelFile) => Applies,
    private readonly logger: Logger,
  ) {
    this.live = new Replica(file, log, modelOf(file));
  }

  /** The log sequence up to which the rows are right. */
  get asOfSeq(): number {
    return this.live.asOfSeq;
  }

  info(): ProjectionInfo {
    const { rebuild, losses } = this.file.notes();
    return { name: this.name, asOfSeq: this.asOfSeq, position: this.file.position() ?? null, rebuild: this.rebuilding?.run.rebuild ?? rebuild, losses };
  }

  /** Resolves once the rows are right up to what a query asks for. Throws QueryRefused PROJECTION_BEHIND. */
  async atLeast({ minSeq = 0, waitMs = WAIT_MAX_MS }: AtLeast): Promise<void> {
    if (this.asOfSeq >= minSeq) return;
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), Math.min(waitMs, WAIT_MAX_MS));
    await this.live.progress.reach(minSeq, late.signal);
    clearTimeout(timer);
    if (this.asOfSeq >= minSeq) return;
    const message = `projection ${this.name} knows the log up to ${this.asOfSeq}, asked for was ${minSeq}; it is catching up, ask again in a moment`;
    throw new QueryRefused('PROJECTION_BEHIND', message);
  }

  /** Resolves once everything is applied that the log held at the call, or stop() was called. Throws LogError. */
  async start(): Promise<void> {
    const whole = new Promise<void>((caughtUp) => (this.caughtUp = caughtUp));
    await this.live.follow(this.hears);
    const { rebuild } = this.file.notes();
    // What was promised is done, whatever was killed meanwhile.
    if (rebuild?.endedAt === null && !this.beginningAnew) this.begin(rebuild);
    await Promise.race([whole, this.stopped]);
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    this.rebuilding?.run.abort(new Stopping('the projector was stopped'));
    await this.rebuilding?.ended;
    await this.beginningAnew;
    await this.live.stop();
    this.live.progress.close();
    this.file.close();
  }

  /** Begins a rebuild beside the live rows. While one runs, and for the last one's id, it is that one. */
  async rebuild(id: string): Promise<Rebuild> {
    for (;;) {
      const known = this.info().rebuild;
      if (known && (known.id === id || known.endedAt === null)) return known;
      const first = this.rebuilding?.ended ?? this.beginningAnew;
      if (!first) return this.begin({ id, startedAt: new Date().toISOString() });
      await first;
    }
  }

  private begin({ id, startedAt }: Pick<Rebuild, 'id' | 'startedAt'>): Rebuild {
    const { name: projection, live, logger } = this;
    const file = this.file.beside();
    const run = new Rebuilding(
      {
        projection,
        live: { replica: live, pause: () => this.pause(), resume: () => this.resume() },
        fresh: new Replica(file, this.log, this.modelOf(file)),
        follow: (replica, hears, signal) => this.follow(replica, { ...this.hears, ...hears }, signal),
        log: this.log,
        logger,
      },
      { id, startedAt },
    );
    this.file.note({ rebuild: run.rebuild });
    logger.info({ projection, rebuild: id }, 'a rebuild begins beside the live rows');
    this.rebuilding = { run, ended: this.end(run) };
    return run.rebuild;
  }

  private async end(run: Rebuilding): Promise<void> {
    const { name: projection, logger } = this;
    try {
      await run.run();
      logger.info({ projection, rebuild: run.rebuild }, 'the rebuilt rows are live');
    } catch (error) {
      // Begun anew at the next start.
      if (error instanceof Stopping) return;
      logger.error({ projection, rebuild: run.rebuild }, `the rebuild has failed, the rows from before stay: ${String(error)}`);
      this.noteFailure(run.rebuild);
    } finally {
      this.rebuilding = undefined;
    }
  }

  private noteFailure(rebuild: Rebuild): void {
    try {
      this.file.note({ rebuild });
    } catch (error) {
      this.logger.warn({ projection: this.name }, `that it has failed can't be kept; the next start begins it anew: ${String(error)}`);
    }
  }

  private async pause(): Promise<void> {
    this.isPaused = true;
    await this.live.stop();
  }

  private async resume(): Promise<void> {
    if (!this.isPaused) return;
    this.isPaused = false;
    await this.follow(this.live, this.hears, this.stopping.signal);
  }

  private caughtUp: () => void = () => undefined;

  private readonly hears: Hears = {
    caughtUp: () => this.caughtUp(),
    unreadable: (sequence, subject, why) => this.logger.error({ sequence, subject, projection: this.name }, `not a commit, passed over: ${why}`),
    lost: (why) => {
      this.logger.error({ projection: this.name }, `ALARM: the log was restored or lost data (${why}); rebuilding from the start`);
      this.beginningAnew ??= this.beginAnew(why).finally(() => (this.beginningAnew = undefined));
    },
  };

  /** The rows are of another log. Goes on until it is done, however long the log can't be read, or stop(). */
  private async beginAnew(why: string): Promise<void> {
    const error = `the log was restored or lost data: ${why}`;
    this.rebuilding?.run.abort(new Error(error));
    await this.rebuilding?.ended;
    await this.live.stop();
    const { rebuild, losses } = this.file.notes();
    const position = this.file.position();
    const failed: Rebuild | null = rebuild?.endedAt === null ? { ...rebuild, phase: 'failed', endedAt: new Date().toISOString(), error } : rebuild;
    const loss: Loss[] = position ? [{ ...position, foundAt: new Date().toISOString(), why }] : [];
    this.file.reset({ rebuild: failed, losses: [...losses, ...loss].slice(-LOSSES_MAX) });
    this.live.progress.reset();
    await this.follow(this.live, this.hears, this.stopping.signal);
  }

  /** Tries until it follows, or nobody wants it any more. */
  private async follow(replica: Replica, hears: Hears, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        return await replica.follow(hears);
      } catch (error) {
        this.logger.warn({ projection: this.name }, `the log can't be followed, trying again: ${String(error)}`);
        await delay(RETRY_MS, undefined, { signal }).catch(() => undefined);
      }
    }
  }
}
