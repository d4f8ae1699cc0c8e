import type { Logger } from '#libs/platform';
import { Owner, type OwnerOptions } from '../../apps/executor/src/owner.js';
import { noop } from '../executor/stage.js';
import type { Broker } from './broker.js';
import { Connection } from './connection.js';
import type { Effects } from './effects.js';
import type { Membership } from './membership.js';
import type { Network } from './network.js';
import { Host, type Scheduler } from './scheduler.js';
import type { Tell } from './trace.js';

/** What there is around every executor. */
export type Surroundings = {
  readonly scheduler: Scheduler;
  readonly network: Network;
  readonly broker: Broker;
  readonly membership: Membership;
  readonly effects: Effects;
  readonly tell: Tell;
  readonly violated: (what: string) => void;
};

/** An executor process: the real owner and drivers, with simulated clock, ids, log, checkpoints, members and runners. */
export class SimulatedExecutor {
  readonly host: Host;
  readonly owner: Owner;
  isStopping = false;
  private ids = 0;

  constructor(
    name: string,
    readonly concurrency: number,
    skewMs: number,
    private readonly around: Surroundings,
  ) {
    const { scheduler, network, broker, membership, effects, tell } = around;
    this.host = new Host(name);
    this.host.skewMs = skewMs;
    const connection = new Connection(this.host, broker, network, tell);
    const runners = [noop, effects.runner(this.host)];
    const options: OwnerOptions = {
      log: connection,
      checkpoints: connection.checkpoints,
      purge: connection,
      host: { runners: new Map(runners.map((runner) => [runner.name, runner])), output: () => Promise.resolve() },
      members: membership.join(this.host),
      incarnation: name,
      concurrency,
      logger: this.logger(),
      clock: scheduler.clockOf(this.host),
      newId: () => `${name}-${++this.ids}`,
    };
    this.owner = new Owner(options);
    tell(name, () => `starts, its clock ${skewMs} ms ahead`);
    this.owner.start().catch((error: unknown) => around.violated(`${name} could not start: ${String(error)}`));
  }

  /** Everything in it is over; what it sent may still arrive. */
  crash(): void {
    this.host.state = 'gone';
    this.around.effects.die(this.host);
  }

  stop(drainMs: number, abandonMs: number): void {
    this.isStopping = true;
    const ended = (): void => {
      if (this.host.state === 'gone') return;
      this.around.tell(this.host.name, () => 'has stopped');
      this.around.membership.leave(this.host);
      this.crash();
    };
    this.owner.stop(drainMs, abandonMs).then(ended, (error: unknown) => this.around.violated(`${this.host.name} could not stop: ${String(error)}`));
  }

  /** Nothing that is drawn here is worth an alarm. */
  private logger(): OwnerOptions['logger'] {
    const { tell, violated } = this.around;
    const say = (...said: readonly unknown[]): void => tell(this.host.name, () => said.map((part) => textOf(part)).join(' '));
    const error = (...said: readonly unknown[]): void => {
      say(...said);
      violated(`${this.host.name} raised an alarm: ${said.map((part) => textOf(part)).join(' ')}`);
    };
    return { info: say, warn: say, error } satisfies Pick<Logger, 'info' | 'warn' | 'error'>;
  }
}

const textOf = (said: unknown): string => {
  if (typeof said !== 'object' || said === null) return String(said);
  const { err, ...rest } = said as { readonly err?: unknown };
  return `${err instanceof Error ? `${err.name}: ${err.message} ` : ''}${JSON.stringify(rest)}`;
};
