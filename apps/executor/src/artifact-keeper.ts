import type { ExecutionRef } from '#libs/contracts';
import { Refused } from '#libs/execution';
import type { ArtifactStore, ObjectInfo } from '#libs/jetstream';
import { LogError, type LogStore, submit } from '#libs/ledger';
import type { DueAnswer } from '#libs/projections';
import type { Belongings } from './clean-up.js';
import type { CancelTimer, Clock } from './clock.js';

const EXPIRE_EVERY_MS = 30_000;
const SWEEP_EVERY_MS = 10 * 60_000;
/** Bytes that nothing names for this long are nobody's: whoever stored them has given up naming them long before. */
const SWEEP_AFTER_MS = 15 * 60_000;
const AT_ONCE = 100;

/** What the artifacts projection knows; undefined while nobody answers. It is a hint: what counts is read from the log. */
export type ArtifactHints = {
  due(now: string, limit: number): Promise<DueAnswer['due'] | undefined>;
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

  constructor(private readonly options: KeeperOptions) {}

  start(): void {
    const { clock } = this.options;
    this.run(() => this.expire());
    this.run(() => this.sweep());
    this.intervals.push(
      clock.every(EXPIRE_EVERY_MS, () => this.run(() => this.expire())),
      clock.every(SWEEP_EVERY_MS, () => this.run(() => this.sweep())),
    );
  }

  async stop(): Promise<void> {
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
    const { clock, hints, log, incarnation, owns, store } = this.options;
    const now = clock.now();
    const due = (await hints.due(new Date(now).toISOString(), AT_ONCE)) ?? [];
    for (const { tenant, execution, id, object } of due) {
      const ref = { tenant, execution };
      if (!owns(ref)) continue;
      const context = { now, cause: `expiry/${id}`, actor: `executor/${incarnation}`, correlationId: id };
      try {
        const { execution: after } = await submit(log, ref, { type: 'ExpireArtifact', artifactId: id }, context);
        if (after.state.artifacts.has(id)) continue;
      } catch (error) {
        if (error instanceof LogError) throw error;
        if (!(error instanceof Refused)) {
          // Its history is broken: that is its own affair, and others are due.
          this.options.warn(error);
          continue;
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
