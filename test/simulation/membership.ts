import { Presence } from '#libs/jetstream';
import type { MembersView } from '../../apps/executor/src/owner.js';
import type { Network } from './network.js';
import type { Host, Scheduler } from './scheduler.js';
import type { Tell } from './trace.js';

const BEAT_MS = 1_000;
const TTL_MS = 3_000;

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
    for (const { host: other } of [view, ...present]) view.presence.hear(other.name, {});
    this.beat(host);
    this.scheduler.every(BEAT_MS, host, () => this.beat(host));
    this.scheduler.every(BEAT_MS, host, () => view.presence.expire());
    return view;
  }

  leave(host: Host): void {
    this.views.delete(host.name);
    for (const view of this.views.values()) if (this.reaches(host, view)) this.inside(view.host, () => view.presence.leaves(host.name));
  }

  setBlind(who: Host, whom: Host, isBlind: boolean): void {
    const pair = `${who.name} ${whom.name}`;
    if (isBlind) this.blind.add(pair);
    else this.blind.delete(pair);
  }

  /** To be called when the connection of a process was cut. */
  interrupted(host: Host): void {
    this.views.get(host.name)?.presence.interrupted();
  }

  /** To be called when the connection of a process is back: it beats at once. */
  restored(host: Host): void {
    if (host.state !== 'gone') this.beat(host);
  }

  heal(): void {
    this.blind.clear();
  }

  private reaches(host: Host, view: View): boolean {
    return this.network.isConnected(host) && this.network.isConnected(view.host) && !this.blind.has(`${view.host.name} ${host.name}`);
  }

  private beat(host: Host): void {
    for (const view of this.views.values()) if (this.reaches(host, view)) this.inside(view.host, () => view.presence.hear(host.name, {}));
  }

  /** At once where the process runs, which saves most of the steps; else it is one of the things that wait there. */
  private inside(host: Host, run: () => void): void {
    if (host.state === 'up' && !this.network.strikes()) run();
    else this.scheduler.after(this.network.latency(), host, run);
  }
}

/** The members as one process sees them, by the rules of the real one. */
class View implements MembersView {
  readonly ttlMs = TTL_MS;
  readonly presence: Presence;
  private readonly callbacks = new Set<() => void>();

  constructor(
    readonly host: Host,
    private readonly membership: Membership,
  ) {
    this.presence = new Presence({ self: host.name, ttlMs: TTL_MS, now: () => membership.scheduler.now, changed: () => this.changed() });
  }

  live(): ReadonlyMap<string, unknown> {
    return this.presence.live();
  }

  onChange(callback: () => void): void {
    this.callbacks.add(callback);
  }

  goneFor(incarnation: string): number {
    return this.presence.goneFor(incarnation);
  }

  private changed(): void {
    this.membership.tell(this.host.name, () => `sees ${[...this.live().keys()].join(', ')}`);
    for (const callback of this.callbacks) callback();
  }
}

export type { View };
