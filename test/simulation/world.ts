import { Broker } from './broker.js';
import { Client } from './client.js';
import { Effects } from './effects.js';
import { SimulatedExecutor, type Surroundings } from './executor.js';
import { finalViolations } from './invariants.js';
import { Lineage } from './lineage.js';
import { Losses } from './losses.js';
import { Membership } from './membership.js';
import { Model } from './model.js';
import { Network } from './network.js';
import { type Move, type Program, type Trouble, programOf } from './program.js';
import { Random } from './random.js';
import { type Host, Scheduler } from './scheduler.js';
import type { Tell } from './trace.js';

/** How long anything may take once nothing goes wrong any more, and how long nothing may change after that. */
const HEALED_WITHIN_MS = 300_000;
const STAYS_FOR_MS = 8_000;
const MOST_EXECUTORS = 3;
const RECONNECTS_WITHIN_MS = 1_500;
/** How often trouble strikes just when nobody knows what became of an append. */
const STRIKES_IN_DOUBT = 0.1;

export type Report = {
  readonly seed: number;
  /** What must not be; none when all is well. */
  readonly violations: readonly string[];
  readonly trace: readonly string[];
  readonly steps: number;
  readonly commits: number;
  readonly effects: number;
  readonly troubles: number;
};

/** One seed: processes, network, broker, clients and what goes wrong, all on virtual time. */
class World {
  readonly trace: string[] = [];
  readonly violations: string[] = [];
  readonly models = new Map<string, Model>();
  private readonly lineage = new Lineage(this.models);
  private readonly losses = new Losses();
  readonly scheduler: Scheduler;
  readonly broker: Broker;
  readonly client: Client;
  readonly effects: Effects;
  troubles = 0;
  private isHealed = false;
  private readonly executors: SimulatedExecutor[] = [];
  private readonly around: Surroundings;
  private readonly chaos: Random;
  private readonly program: Program;
  private readonly begun: number;

  constructor(
    seed: number,
    private readonly isTraced: boolean,
  ) {
    const random = new Random(seed);
    this.program = programOf(random.fork());
    this.chaos = random.fork();
    const scheduler = new Scheduler(random.fork());
    const network = new Network(scheduler, random.fork(), (host) => this.strikeInDoubt(host));
    const tell: Tell = (who, what) => this.tell(who, what);
    const violated = (what: string): void => this.violated(what);
    const broker = new Broker(scheduler, tell);
    const membership = new Membership(scheduler, network, tell);
    const effects = new Effects({ scheduler, broker, random: random.fork(), tell, violated });
    this.around = { scheduler, network, broker, membership, effects, tell, violated };
    this.client = new Client(random.fork(), network, broker, tell);
    this.scheduler = scheduler;
    this.broker = broker;
    this.effects = effects;
    this.begun = scheduler.now;
    broker.watch(() => this.judge());
  }

  async play(): Promise<void> {
    const { scheduler, program } = this;
    for (let i = 0; i < program.executors; i++) this.startExecutor();
    const moves = [...program.moves];
    while (scheduler.steps < program.steps && this.violations.length === 0) {
      while (moves[0] && moves[0].atStep <= scheduler.steps) this.move(moves.shift()!);
      await scheduler.step();
    }
    for (const move of moves) if (move.kind === 'command') this.move(move);
    this.heal();
    const until = scheduler.now + HEALED_WITHIN_MS;
    do {
      await this.stepWhile(() => scheduler.now < until && !this.isSettled());
      const settledAt = scheduler.now;
      await this.stepWhile(() => scheduler.now < settledAt + STAYS_FOR_MS);
      // What was on its way has arrived meanwhile, and who has just taken shards over looks at what was deleted once more.
    } while (this.violations.length === 0 && scheduler.now < until && !this.isSettled());
    if (this.violations.length > 0) return;
    for (const violation of finalViolations(this)) this.violated(violation);
  }

  private async stepWhile(condition: () => boolean): Promise<void> {
    while (this.violations.length === 0 && condition()) await this.scheduler.step();
  }

  private tell(who: string, what: () => string): void {
    if (!this.isTraced) return;
    const seconds = ((this.scheduler.now - this.begun) / 1_000).toFixed(3);
    this.trace.push(`${seconds.padStart(9)} s  step ${String(this.scheduler.steps).padStart(4)}  ${who.padEnd(6)}  ${what()}`);
  }

  private violated(what: string): void {
    this.tell('!', () => what);
    this.violations.push(what);
  }

  private startExecutor(): void {
    const { awayMs } = this.around.network;
    if (awayMs > 0) return void this.scheduler.after(awayMs, undefined, () => this.up.length < MOST_EXECUTORS && this.startExecutor());
    const name = `x${this.executors.length + 1}`;
    const skewMs = this.chaos.chance(0.3) ? this.chaos.int(-2_000, 2_000) : 0;
    const executor = new SimulatedExecutor(name, this.program.concurrency, skewMs, this.around);
    this.executors.push(executor);
    this.losses.joined(executor.host, this.scheduler.now);
  }

  get up(): readonly SimulatedExecutor[] {
    return this.executors.filter(({ host, isStopping }) => host.state === 'up' && !isStopping);
  }

  private move(move: Move): void {
    if (move.kind === 'command') return this.client.send(move.ref, move.command, move.cause, move.appends);
    this.troubles += 1;
    this.trouble(move.trouble);
  }

  private strikeInDoubt(host: Host): void {
    if (this.isHealed || !this.chaos.chance(STRIKES_IN_DOUBT)) return;
    this.troubles += 1;
    this.trouble(this.chaos.pick(['join', 'crash', 'freeze', 'disconnect'] as const), host);
  }

  private trouble(kind: Trouble, at?: Host): void {
    const { chaos } = this;
    const { scheduler, membership } = this.around;
    const forMs = chaos.pick([20, 500, 3_500, 5_000, 8_000, 15_000]);
    const later = (undo: () => void): void => void scheduler.after(forMs, undefined, undo);
    if (kind === 'join' || this.up.length === 0) return this.up.length < MOST_EXECUTORS ? this.startExecutor() : undefined;
    const executor = this.up.find(({ host }) => host === at) ?? chaos.pick(this.up);
    if (kind === 'outage') return this.outage(forMs);
    const { host } = executor;
    this.tell(host.name, () => `${kind} (${forMs} ms)`);
    if (kind !== 'clock' && kind !== 'blind') this.losses.mayLose(host);
    switch (kind) {
      case 'crash':
        executor.crash();
        return later(() => !this.isHealed && this.up.length < MOST_EXECUTORS && this.startExecutor());
      case 'stop':
        return executor.stop(chaos.pick([0, 100, 3_000]), chaos.pick([0, 50, 10_000]));
      case 'freeze':
        host.state = 'frozen';
        return later(() => host.state === 'frozen' && scheduler.thaw(host));
      case 'disconnect':
        this.disconnect(host);
        return later(() => this.reconnect(host));
      case 'blind': {
        const other = chaos.pick(this.up).host;
        if (other === host) return;
        this.losses.mayLose(other);
        membership.setBlind(host, other, true);
        return later(() => membership.setBlind(host, other, false));
      }
      case 'clock':
        host.skewMs += chaos.int(-5_000, 5_000);
        return;
    }
  }

  private disconnect(host: Host): void {
    this.around.network.disconnect(host);
    this.around.membership.interrupted(host);
  }

  private reconnect(host: Host): void {
    this.around.network.reconnect(host);
    this.around.membership.restored(host);
  }

  /** Of the broker. Each process reconnects when it does. */
  private outage(forMs: number): void {
    this.tell('world', () => `the broker is away (${forMs} ms)`);
    this.around.network.outage(forMs);
    for (const { host } of this.executors) {
      if (host.state === 'gone') continue;
      this.disconnect(host);
      this.scheduler.after(forMs + this.chaos.int(0, RECONNECTS_WITHIN_MS), undefined, () => this.reconnect(host));
    }
  }

  private heal(): void {
    this.tell('world', () => 'all faults end');
    this.isHealed = true;
    this.around.network.heal();
    this.around.membership.heal();
    for (const { host } of this.executors) if (host.state === 'frozen') this.scheduler.thaw(host);
    if (this.up.length === 0) this.startExecutor();
    for (const [execution, model] of this.models) {
      const ref = { tenant: 'default', execution };
      if (model.hasEnded && !model.isDeleted && this.chaos.chance(0.3)) this.client.send(ref, { type: 'DeleteExecution' }, `delete-at-last-${execution}`);
      if (model.status === 'paused' && this.chaos.chance(0.5)) this.client.send(ref, { type: 'ResumeExecution' }, `at-last-${execution}`);
    }
  }

  /** Each commit as it is stored, so that a trace ends with what was wrong. */
  private judge(): void {
    const { ref, commit } = this.broker.all[this.broker.all.length - 1]!;
    const model = this.models.get(ref.execution) ?? new Model();
    this.models.set(ref.execution, model);
    for (const event of commit.events) {
      model.take(event);
      model.complaints.push(...this.lineage.take(ref.execution, event), ...this.losses.take(ref.execution, event, this.scheduler.now));
    }
    for (const complaint of model.complaints.splice(0)) this.violated(`${ref.execution} v${commit.version}: ${complaint}`);
  }

  private isSettled(): boolean {
    // One that is told to stop is a member, and an owner, until it has.
    const isStopping = this.executors.some((executor) => executor.isStopping && executor.host.state !== 'gone');
    if (this.client.isWaiting || isStopping || this.up.some(({ owner }) => owner.counts.deleted > 0)) return false;
    return [...this.models.values()].every((model) => model.hasEnded || (model.status === 'paused' && model.running === 0 && model.missing === 0));
  }
}

export type { World };

/** Plays one seed. The same seed plays the same. */
export const simulate = async (seed: number, { isTraced = false } = {}): Promise<Report> => {
  const world = new World(seed, isTraced);
  await world.play();
  const { violations, trace, troubles, scheduler, broker, effects } = world;
  return { seed, violations, trace, troubles, steps: scheduler.steps, commits: broker.all.length, effects: effects.all.length };
};
