import type { Fault } from './program.js';
import type { Victim, VictimKind } from './victim.js';

/** What was done to a process. Times are milliseconds since the epoch; undefined while it lasts. */
export type Done = {
  readonly kind: Fault['kind'];
  readonly victim: string;
  readonly of: VictimKind;
  readonly at: number;
  until: number | undefined;
};

/** Does to processes what is planned, each at its time. */
export class Faults {
  readonly done: Done[] = [];
  private readonly timers = new Set<NodeJS.Timeout>();
  private readonly underWay = new Set<Promise<void>>();
  private isOver = false;

  constructor(
    private readonly victims: readonly Victim[],
    private readonly tell: (what: string) => void,
  ) {}

  begin(planned: readonly Fault[]): void {
    for (const fault of planned) this.after(fault.atMs, () => this.strike(fault));
  }

  /** No more of it: what is paused goes on, what is down starts. */
  async end(): Promise<void> {
    this.isOver = true;
    for (const timer of this.timers) clearTimeout(timer);
    for (const victim of this.victims) victim.resume();
    await Promise.all(this.underWay);
    for (const victim of this.victims) victim.start();
    for (const done of this.done) done.until ??= Date.now();
  }

  private after(ms: number, then: () => void): void {
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      if (!this.isOver) then();
    }, ms);
    this.timers.add(timer);
  }

  private strike({ kind, victim: name, forMs }: Fault): void {
    const victim = this.victims.find((candidate) => candidate.name === name);
    // What is down is so by an earlier fault; what is paused can still be killed.
    if (!victim || victim.state === 'down' || (kind !== 'kill' && victim.state === 'paused')) return;
    this.tell(`${kind} ${name} for ${forMs} ms`);
    const done: Done = { kind, victim: name, of: victim.kind, at: Date.now(), until: undefined };
    this.done.push(done);
    if (kind === 'pause') {
      victim.pause();
      this.after(forMs, () => {
        victim.resume();
        done.until = Date.now();
      });
      return;
    }
    const ended = victim.end(kind === 'kill' ? 'SIGKILL' : 'SIGTERM').then(() => {
      this.after(forMs, () => {
        victim.start();
        done.until = Date.now();
      });
    });
    this.underWay.add(ended);
    void ended.finally(() => this.underWay.delete(ended));
  }
}
