import { LogError } from '#libs/ledger';
import type { Random } from './random.js';
import type { Host, Scheduler } from './scheduler.js';

/**
 * answered: request and answer arrive. refused: nothing is done, and the caller hears so. The caller hears nothing: of a request that was lost, of one whose
 * answer was lost, or of one that arrives only after it was given up.
 */
export type Fate = 'answered' | 'refused' | 'request lost' | 'answer lost' | 'late';

const unknown = (): LogError => new LogError('OUTCOME_UNKNOWN', 'simulated: nobody can say whether it was stored');
const away = (): LogError => new LogError('LOG_UNAVAILABLE', 'simulated: the broker is away');

/** Between the processes and the broker: how long things take, and what never arrives. */
export class Network {
  /** Part of the requests that do not go well; 0 and all is well, and fast. */
  storm: number;
  private readonly cut = new Set<Host>();
  private backAt = 0;

  constructor(
    readonly scheduler: Scheduler,
    readonly random: Random,
    /** Called when a process is not going to hear what became of what it wrote. */
    private readonly doubted: (host: Host) => void,
  ) {
    this.storm = random.pick([0, 0.02, 0.1, 0.25, 0.4]);
  }

  disconnect(host: Host): void {
    this.cut.add(host);
  }

  reconnect(host: Host): void {
    this.cut.delete(host);
  }

  /** Nobody reaches the broker, and nobody joins; who was connected is again only once it has reconnected. */
  outage(forMs: number): void {
    this.backAt = Math.max(this.backAt, this.scheduler.now + forMs);
  }

  /** Milliseconds until the broker is back. */
  get awayMs(): number {
    return Math.max(0, this.backAt - this.scheduler.now);
  }

  heal(): void {
    this.storm = 0;
    this.backAt = 0;
    this.cut.clear();
  }

  isConnected(host: Host): boolean {
    return !this.cut.has(host);
  }

  /** True for one in many, and the fewer the calmer it is. */
  strikes(): boolean {
    return this.storm > 0 && this.random.chance(this.storm);
  }

  /** Mostly some milliseconds, in a storm now and then seconds. */
  latency(): number {
    if (!this.strikes()) return this.random.int(1, 3);
    return this.random.chance(0.3) ? this.random.int(100, 4_000) : this.random.int(3, 60);
  }

  /** A request whose effect the caller must know: undefined errors are what became of it otherwise. */
  write<T>(host: Host, perform: () => Promise<T>, told: (fate: Fate) => void = () => undefined): Promise<T> {
    const fate = this.fate(host);
    return new Promise((resolve, reject) => {
      const { scheduler, random } = this;
      const answer = (give: () => void): void => {
        told(fate);
        scheduler.after(this.latency(), host, give);
      };
      const arrive = (): void => {
        if (fate === 'answered') perform().then((value) => answer(() => resolve(value)), (error: Error) => answer(() => reject(error)));
        else perform().then(() => told(fate), () => told(fate));
      };
      if (fate === 'refused') return answer(() => reject(away()));
      if (fate !== 'answered') scheduler.after(random.int(0, 50), undefined, () => this.doubted(host));
      const patience = random.int(100, 5_000);
      if (fate === 'request lost') told(fate);
      else scheduler.after(fate === 'late' ? patience + random.int(1, 3_000) : this.latency(), undefined, arrive);
      if (fate !== 'answered') scheduler.after(Math.max(patience, 65), host, () => reject(unknown()));
    });
  }

  /** A request that may be made again as often as is wanted. */
  read<T>(host: Host, perform: () => T): Promise<T> {
    const isRefused = !this.isConnected(host) || this.strikes();
    return new Promise((resolve, reject) => {
      const { scheduler } = this;
      if (isRefused) scheduler.after(this.latency(), host, () => reject(away()));
      else scheduler.after(this.latency(), undefined, () => {
        const value = perform();
        scheduler.after(this.latency(), host, () => resolve(value));
      });
    });
  }

  private fate(host: Host): Fate {
    if (!this.isConnected(host)) return 'refused';
    if (!this.strikes()) return 'answered';
    return this.random.pick(['refused', 'request lost', 'answer lost', 'answer lost', 'late', 'late']);
  }
}
