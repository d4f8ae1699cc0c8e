import type { ExecutionRef } from '#libs/contracts';
import { Refused } from '#libs/execution';
import type { ArtifactStore, ObjectInfo } from '#libs/jetstream';
import { type Execution, LogError, type LogStore, load, submitOn } from '#libs/ledger';
import type { DueAnswer, DueArtifact, DueQuery } from '#libs/projections';
import type { Belongings } from './clean-up.js';
import type { CancelTimer, Clock } from './clock.js';

const EXPIRE_EVERY_MS = 30_000;
const SWEEP_EVERY_MS = 10 * 60_000;
/** Bytes that nothing names for this long are nobody's: whoever stored them has given up naming them long before. */
const SWEEP_AFTER_MS = 15 * 60_000;
const PAGE = 1_000;
/** Held, so that the history of an execution is read once for all of its artifacts; a few MB. */
const AT_A_TIME = 10_000;
/** Executions of which artifacts expire at a time: what is done by people goes first. */
const AT_ONCE = 4;

/** What the artifacts projection knows; undefined while nobody answers. It is a hint: what counts is read from the log. */
export type ArtifactHints = {
  due(query: DueQuery): Promise<Pick<DueAnswer, 'due' | 'next'> | undefined>;
  /** Which of these objects belong to artifacts that are there, by what the log held at `minSeq`. */
  known(tenant: string, objects: readonly string[], minSeq: number): Promise<ReadonlySet<string> | undefined>;
};

export type KeeperOptions = {
  readonly log: LogStore;
  readonly store: Pick<ArtifactStore, 'delete' | 'tenants' | 'wholeObjects' | 'startedObjects'>;
  readonly hints: ArtifactHints;
  /** Who does something first does it; that all do is only waste. */
  readonly owns: (ref: ExecutionRef) => boolean;
  readonly incarnation: string;
  readonly clock: Clock;
  readonly warn: (error: unknown) => void;
};

/** Looks after artifacts: commits that their time is over, and removes bytes that no artifact has any more, or ever had. */
export class ArtifactKeeper implements Belongings {
  private readonly intervals: CancelTimer[] = [];
  private working: Promise<void> = Promise.resolve();
  private isStopped = false;
  private isExpiring = false;

  constructor(private readonly options: KeeperOptions) {}

  start(): void {
    const { clock } = this.options;
    const expire = (): void => {
      if (this.isExpiring) return;
      this.isExpiring = true;
      this.run(() => this.expire().finally(() => (this.isExpiring = false)));
    };
    expire();
    this.run(() => this.sweep());
    this.intervals.push(
      clock.every(EXPIRE_EVERY_MS, expire),
      clock.every(SWEEP_EVERY_MS, () => this.run(() => this.sweep())),
    );
  }

  async stop(): Promise<void> {
    this.isStopped = true;
    for (const cancel of this.intervals) cancel();
    await this.working;
  }

  /** The bytes of a deleted execution's artifacts: which they are its history still says. */
  async purge(ref: ExecutionRef): Promise<boolean> {
    for (const object of (await this.objectsOf(ref)).keys()) await this.options.store.delete({ tenant: ref.tenant, object });
    return true;
  }

  /** Commits the expiry of every artifact whose time has come, once whoever does it, and removes its bytes. */
  async expire(): Promise<void> {
    const { clock, hints, owns } = this.options;
    const now = clock.now();
    let cursor: string | null | undefined;
    while (cursor !== null && !this.isStopped) {
      const byExecution = new Map<string, DueArtifact[]>();
      for (let seen = 0; cursor !== null && seen < AT_A_TIME; ) {
        const page = await hints.due({ now: new Date(now).toISOString(), limit: PAGE, ...(cursor !== undefined && { cursor }) });
        for (const artifact of page?.due ?? []) {
          if (!owns(artifact)) continue;
          const key = `${artifact.tenant}/${artifact.execution}`;
          const same = byExecution.get(key);
          if (same) same.push(artifact);
          else byExecution.set(key, [artifact]);
        }
        seen += PAGE;
        cursor = page?.next ?? null;
      }
      await this.expireAll([...byExecution.values()], now);
    }
  }

  /** Throws LogError, once nothing of it is under way any more. */
  private async expireAll(queue: (readonly DueArtifact[])[], now: number): Promise<void> {
    const worker = async (): Promise<void> => {
      try {
        for (let artifacts = queue.shift(); artifacts; artifacts = queue.shift()) await this.expireOf(artifacts, now);
      } catch (error) {
        queue.length = 0;
        throw error;
      }
    };
    const failed = (await Promise.allSettled(Array.from({ length: AT_ONCE }, worker))).find(({ status }) => status === 'rejected');
    if (failed?.status === 'rejected') throw failed.reason;
  }

  /** Artifacts of one execution, whose history is read once. Throws LogError. */
  private async expireOf(artifacts: readonly DueArtifact[], now: number): Promise<void> {
    const { log, incarnation, store } = this.options;
    let execution: Execution | undefined;
    for (const { tenant, execution: of, id, object } of artifacts) {
      if (this.isStopped) return;
      const context = { now, cause: `expiry/${id}`, actor: `executor/${incarnation}`, correlationId: id };
      try {
        execution ??= await load(log, { tenant, execution: of });
        ({ execution } = await submitOn(log, execution, { type: 'ExpireArtifact', artifactId: id }, context));
        if (execution.state.artifacts.has(id)) continue;
      } catch (error) {
        if (error instanceof LogError) throw error;
        if (!(error instanceof Refused)) {
          // Its history is broken: that is its own affair, and others are due.
          this.options.warn(error);
          return;
        }
      }
      await store.delete({ tenant, object });
    }
  }

  /** Removes what was left behind by uploads that were cut off, and by deletions whose last step was. */
  async sweep(): Promise<void> {
    const { owns, store } = this.options;
    for (const tenant of await store.tenants()) if (owns({ tenant, execution: tenant })) await this.sweepTenant(tenant);
  }

  private async sweepTenant(tenant: string): Promise<void> {
    const { log, hints, store } = this.options;
    const { sequence } = await log.head();
    const whole = new Set<string>();
    for await (const page of store.wholeObjects(tenant)) {
      for (const { object } of page) whole.add(object);
      const old = page.filter((info) => this.isOld(info));
      const known = old.length === 0 ? undefined : await hints.known(tenant, old.map(({ object }) => object), sequence);
      if (!known) continue;
      for (const info of old) if (!known.has(info.object) && !(await this.isNamed(tenant, info))) await store.delete({ tenant, object: info.object });
    }
    for await (const info of store.startedObjects(tenant, (object) => whole.has(object))) {
      if (this.isOld(info)) await store.delete({ tenant, object: info.object });
    }
  }

  private isOld({ storedAt }: ObjectInfo): boolean {
    return this.options.clock.now() - Date.parse(storedAt) > SWEEP_AFTER_MS;
  }

  private async isNamed(tenant: string, { object, execution }: ObjectInfo): Promise<boolean> {
    return execution !== '' && (await this.objectsOf({ tenant, execution })).get(object) === true;
  }

  /** Objects of all artifacts that an execution ever had; true for those that are there. */
  private async objectsOf(ref: ExecutionRef): Promise<ReadonlyMap<string, boolean>> {
    const objects = new Map<string, boolean>();
    const byArtifact = new Map<string, string>();
    for (const { commit } of await this.options.log.history(ref)) {
      for (const event of commit.events) {
        if (event.type === 'ArtifactCreated') {
          byArtifact.set(event.data.artifactId, event.data.object);
          objects.set(event.data.object, true);
        } else if (event.type === 'ArtifactDeleted' || event.type === 'ArtifactExpired') {
          objects.set(byArtifact.get(event.data.artifactId) ?? '', false);
        }
      }
    }
    objects.delete('');
    return objects;
  }

  private run(work: () => Promise<void>): void {
    this.working = this.working.then(work).catch((error: unknown) => this.options.warn(error));
  }
}
