import type { MembersView } from '../../apps/executor/src/owner.js';
import type { Network } from './network.js';
import type { Host, Scheduler } from './scheduler.js';
import type { Tell } from './trace.js';

const BEAT_MS = 1_000;
const TTL_MS = 3_000;
const DEAF_MS = 2_500;

/** Who hears whose beats. */
export class Membership {
  private readonly views = new Map<string, View>();
  /** `<who> <whom>`: beats that do not arrive although both are connected. */
  private readonly blind = new Set<string>();

  constructor(
    readonly scheduler: Scheduler,
    private readonly network: Network,
    readonly tell: Tell,
  ) {}

  join(host: Host): View {
    const view = new View(host, this);
    const present = [...this.views.values()].filter((other) => other.host.state === 'up' && this.network.isConnected(other.host));
    this.views.set(host.name, view);
    for (const { host: other } of present) view.hear(other.name);
    this.beat(host);
    this.scheduler.every(BEAT_MS, host, () => this.beat(host));
    this.scheduler.every(BEAT_MS, host, () => view.expire());
    return view;
  }

  leave(host: Host): void {
    this.views.delete(host.name);
    for (const view of this.views.values()) if (this.reaches(host, view)) this.inside(view.host, () => view.lose(host.name));
  }

  setBlind(who: Host, whom: Host, isBlind: boolean): void {
    const pair = `${who.name} ${whom.name}`;
    if (isBlind) this.blind.add(pair);
    else this.blind.delete(pair);
  }

  heal(): void {
    this.blind.clear();
  }

  private reaches(host: Host, view: View): boolean {
    return this.network.isConnected(host) && this.network.isConnected(view.host) && !this.blind.has(`${view.host.name} ${host.name}`);
  }

  private beat(host: Host): void {
    for (const view of this.views.values()) if (this.reaches(host, view)) this.inside(view.host, () => view.hear(host.name));
  }

  /** At once where the process runs, which saves most of the steps; else it is one of the things that wait there. */
  private inside(host: Host, run: () => void): void {
    if (host.state === 'up' && !this.network.strikes()) run();
    else this.scheduler.after(this.network.latency(), host, run);
  }
}

/** The members as one process sees them, by the rules of the real one: who is silent is gone only for one who hears itself. */
class View implements MembersView {
  readonly ttlMs = TTL_MS;
  private readonly seen = new Map<string, number>();
  private readonly gone = new Map<string, number>();
  private readonly callbacks = new Set<() => void>();
  private observingSince = Infinity;
  private heardSelfAt = 0;

  constructor(
    readonly host: Host,
    private readonly membership: Membership,
  ) {}

  live(): ReadonlyMap<string, unknown> {
    return new Map(this.seen);
  }

  onChange(callback: () => void): void {
    this.callbacks.add(callback);
  }

  goneFor(incarnation: string): number {
    if (this.seen.has(incarnation) || !this.isHearing()) return 0;
    return Math.max(0, this.now - Math.max(this.observingSince, this.gone.get(incarnation) ?? 0));
  }

  hear(name: string): void {
    const { now } = this;
    if (name === this.host.name) {
      if (now - this.heardSelfAt >= DEAF_MS) {
        this.observingSince = now;
        for (const other of this.seen.keys()) this.seen.set(other, now);
      }
      this.heardSelfAt = now;
    }
    const isNew = !this.seen.has(name);
    this.seen.set(name, now);
    this.gone.delete(name);
    if (isNew) this.changed();
  }

  lose(name: string): void {
    if (name === this.host.name || !this.seen.delete(name)) return;
    this.gone.set(name, this.now);
    this.changed();
  }

  expire(): void {
    if (!this.isHearing()) return;
    for (const [name, at] of this.seen) if (this.now - at >= TTL_MS) this.lose(name);
  }

  private get now(): number {
    return this.membership.scheduler.now + this.host.skewMs;
  }

  private isHearing(): boolean {
    return this.now - this.heardSelfAt < DEAF_MS;
  }

  private changed(): void {
    this.membership.tell(this.host.name, () => `sees ${[...this.seen.keys()].join(', ')}`);
    for (const callback of this.callbacks) callback();
  }
}

export type { View };
