import type { PlanTask } from '#libs/contracts';
import { Broker } from './broker.js';
import { Client } from './client.js';
import { Effects } from './effects.js';
import { SimulatedExecutor } from './executor.js';
import { Membership } from './membership.js';
import { Network } from './network.js';
import { Random } from './random.js';
import { type Host, Scheduler } from './scheduler.js';

/** Two executors, of which one runs an attempt. */
class Stage {
  readonly violations: string[] = [];
  readonly random: Random;
  readonly scheduler: Scheduler;
  readonly effects: Effects;
  private readonly network: Network;
  private readonly membership: Membership;
  private readonly executors: readonly SimulatedExecutor[];

  constructor(seed: number) {
    this.random = new Random(seed);
    const { random, violations } = this;
    const tell = (): void => undefined;
    const violated = (what: string): void => void violations.push(what);
    const scheduler = (this.scheduler = new Scheduler(random.fork()));
    const network = (this.network = new Network(scheduler, random.fork(), tell));
    network.heal();
    const broker = new Broker(scheduler, tell);
    const membership = (this.membership = new Membership(scheduler, network, tell));
    const effects = (this.effects = new Effects({ scheduler, broker, random: random.fork(), tell, violated }));
    this.executors = ['x1', 'x2'].map((name) => new SimulatedExecutor(name, 8, 0, { scheduler, network, broker, membership, effects, tell, violated }));
    const work: PlanTask = { id: 'work', runner: 'work', input: {}, dependsOn: [], retry: { maxAttempts: 1, backoff: 'fixed', delayMs: 0 } };
    const request = { type: 'RequestExecution', plan: { name: 'lost', tasks: [work] }, name: 'lost', labels: {}, input: {}, dialect: 'canonical' } as const;
    new Client(random.fork(), network, broker, tell).send({ tenant: 'default', execution: `e${seed}` }, request, 'request');
  }

  /** The executors: the one that runs the attempt, and the other. */
  async started(): Promise<readonly [SimulatedExecutor, SimulatedExecutor]> {
    await this.until(() => this.effects.all.length === 1);
    const [first, second] = this.executors as [SimulatedExecutor, SimulatedExecutor];
    return this.effects.all[0]?.host === first.host ? [first, second] : [second, first];
  }

  cutOff(host: Host, forMs: number): void {
    const { network, membership } = this;
    network.disconnect(host);
    membership.interrupted(host);
    this.scheduler.after(forMs, undefined, () => {
      network.reconnect(host);
      membership.restored(host);
    });
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition() && this.violations.length === 0) await this.scheduler.step();
  }

  get attempts(): readonly string[] {
    return this.effects.all.map(({ taskId, attempt }) => `${taskId}/${attempt}`);
  }
}

const SEEDS = Array.from({ length: 40 }, (_, i) => i + 1);

it('runs the attempt of a killed executor anew within 20 s, although no connection lasts as long as it takes to tell that it is dead', async () => {
  for (const seed of SEEDS) {
    const stage = new Stage(seed);
    const { scheduler } = stage;
    const [killed, survivor] = await stage.started();
    const killedAt = scheduler.now;
    killed.crash();
    scheduler.every(5_500, undefined, () => stage.cutOff(survivor.host, 1_000));
    await stage.until(() => stage.effects.all.length === 2 || scheduler.now - killedAt > 60_000);
    expect(stage.violations).toEqual([]);
    expect(stage.attempts).toEqual(['work/1', 'work/2']);
    expect(scheduler.now - killedAt).toBeGreaterThan(6_000);
    expect(scheduler.now - killedAt).toBeLessThan(20_000);
  }
});

it('loses no attempt to outages that outlast every time to live, however many, although its executor is the last that is back', async () => {
  for (const seed of SEEDS) {
    const stage = new Stage(seed);
    const { scheduler, random } = stage;
    const [running, other] = await stage.started();
    const outage = (): void => {
      const forMs = random.int(7_000, 20_000);
      stage.cutOff(other.host, forMs);
      stage.cutOff(running.host, forMs + random.int(0, 1_900));
    };
    outage();
    scheduler.every(25_000, undefined, outage);
    const begun = scheduler.now;
    await stage.until(() => scheduler.now - begun > 100_000);
    expect(stage.violations).toEqual([]);
    expect(stage.attempts).toEqual(['work/1']);
  }
});
