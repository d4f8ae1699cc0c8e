import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Nats } from '#libs/jetstream';
import type { Fault } from '#libs/ledger';
import type { Why } from '#libs/projections';
import { Random } from '../simulation/random.js';
import { Clients } from './clients.js';
import { runledger } from './command-line.js';
import { Effects } from './effects.js';
import { Faults } from './faults.js';
import { type History, readHistory } from './history.js';
import { ofEffects, ofLog, ofLosses, ofReadModels } from './judgement.js';
import { Platform } from './platform.js';
import { faultsOf, playsOf } from './program.js';
import { type Recovery, recoveryOf } from './recovery.js';

const RECOVERY_BAR_MS = 10_000;
/** How long anything may take once nothing goes wrong any more. */
const ENDS_WITHIN_MS = 90_000;
/** From the start of a nats-server to its first answer, on a busy machine. */
const BROKER_BACK_MS = 2_000;
const ASK_WHY_EVERY_MS = 1_000;
const ASKED_AT_ONCE = 8;

export type Result = {
  readonly violations: readonly string[];
  readonly natsServer: string;
  readonly history: History;
  readonly faults: Faults['done'];
  readonly recovery: Recovery;
  readonly effects: ReturnType<Effects['all']>;
  readonly retries: number;
  readonly whys: number;
  readonly folder: string;
};

/** One seed on real processes, from their start to their end. */
export class Chaos {
  readonly violations: string[] = [];
  readonly platform: Platform;
  private readonly effects: Effects;
  private readonly incarnations = new Map<string, string>();
  private readonly random: Random;
  private readonly begun = Date.now();
  private faults: Faults | undefined;
  private whys = 0;

  constructor(
    seed: number,
    private readonly durationMs: number,
  ) {
    this.random = new Random(seed);
    this.platform = new Platform({
      endedByItself: (victim, how, startingSince) => this.endedByItself(victim, how, startingSince),
      executorReady: (victim, incarnation) => void this.incarnations.set(incarnation, victim),
    });
    this.effects = new Effects(this.platform.effects);
  }

  async play(): Promise<Result> {
    const { random, platform, effects, durationMs } = this;
    await effects.start();
    await platform.start({ gateways: 2, executors: random.int(2, 3) });
    const plays = playsOf(random.fork(), durationMs, effects);
    const planned = faultsOf(random.fork(), durationMs, platform.victims.map(({ name }) => name));
    const clients = this.clients();
    const faults = new Faults(platform.victims, (what) => this.tell(what));
    this.faults = faults;
    faults.begin(planned);
    const timers = plays.map((play) => setTimeout(() => clients.play(play), play.atMs));
    const asking = setInterval(() => void this.askWhy(clients), ASK_WHY_EVERY_MS);
    await new Promise((resolve) => setTimeout(resolve, durationMs));
    for (const timer of timers) clearTimeout(timer);
    await faults.end();
    this.tell('all faults end');
    const nats = await platform.connect('operator');
    const history = await this.untilEnded(nats, clients);
    clearInterval(asking);
    const recovery = recoveryOf(history.commits, faults.done, this.incarnations);
    await this.judge(nats, history, clients, faults, recovery);
    await nats.close();
    const result = { violations: this.violations, natsServer: platform.natsServer, history, faults: faults.done, recovery };
    return { ...result, effects: effects.all(), retries: clients.retries, whys: this.whys, folder: platform.folder };
  }

  /** Keeps the folder where something was wrong. */
  async stop(keepsFolder = false): Promise<void> {
    this.effects.stop();
    await this.platform.stop(keepsFolder);
  }

  private clients(): Clients {
    const tell = (what: string): void => this.tell(what);
    return new Clients({ urls: this.platform.urls, random: this.random.fork(), tell, violated: (what) => this.violated(what) });
  }

  /** An app that finds no broker while it starts says so, ends, and is started again, as its supervisor would. */
  private endedByItself(victim: string, how: string, startingSince = Infinity): void {
    const isExcused = this.faults?.done.some(({ of, until = Infinity }) => of === 'nats-server' && until + BROKER_BACK_MS > startingSince) ?? false;
    if (isExcused) this.tell(`${victim} ended (${how}), as it has found no broker`);
    else this.violated(`${victim} ended by itself (${how})`);
  }

  private violated(what: string): void {
    this.tell(`! ${what}`);
    this.violations.push(what);
  }

  private tell(what: string): void {
    const seconds = ((Date.now() - this.begun) / 1_000).toFixed(3);
    appendFileSync(join(this.platform.logs, 'trace.log'), `${new Date().toISOString()} ${seconds.padStart(8)} s  ${what}\n`);
  }

  /** Whatever has not ended can say what it waits for, at any time that anybody can be asked. */
  private async askWhy(clients: Clients, ids: readonly string[] = this.someOf(clients.accepted)): Promise<void> {
    for (const id of ids) {
      const reply = await clients.read(`/api/v1/executions/${id}/why`);
      if (reply?.status !== 200) continue;
      const { total, ended, status } = reply.body as unknown as Why;
      this.whys += 1;
      if (!ended && total === 0) this.violated(`${id} is ${status} and waits for nothing: ${JSON.stringify(reply.body)}`);
    }
  }

  private someOf(ids: readonly string[]): readonly string[] {
    return ids.slice(-3 * ASKED_AT_ONCE).filter(() => Math.random() < 1 / 3);
  }

  private async untilEnded(nats: Nats, clients: Clients): Promise<History> {
    const deadline = Date.now() + ENDS_WITHIN_MS;
    let isFinished = false;
    const finished = clients.finish().then(() => (isFinished = true));
    const resumed = new Set<string>();
    for (;;) {
      const history = await readHistory(nats);
      const open = [...history.models].filter(([, { hasEnded }]) => !hasEnded);
      if (isFinished && open.length === 0) return history;
      if (Date.now() > deadline) {
        if (!isFinished) this.violated('a client has not been told what became of its request');
        for (const [id, { status }] of open) {
          const why = await clients.read(`/api/v1/executions/${id}/why`);
          this.violated(`${id} is stuck, ${status}: ${JSON.stringify(why?.body)}`);
        }
        return history;
      }
      await this.askWhy(clients, open.slice(0, ASKED_AT_ONCE).map(([id]) => id));
      const paused = isFinished ? open.filter(([id, { status }]) => status === 'paused' && !resumed.has(id)) : [];
      for (const [id] of paused) {
        resumed.add(id);
        await clients.ask(id, { type: 'ResumeExecution' }, `at-last-${id}`);
      }
      await Promise.race([finished, new Promise((resolve) => setTimeout(resolve, 500))]);
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
  }

  private async judge(nats: Nats, history: History, clients: Clients, faults: Faults, recovery: Recovery): Promise<void> {
    const { platform, effects, incarnations } = this;
    for (const what of ofLog(history, clients)) this.violated(what);
    for (const what of ofEffects(history, effects.all(), faults.done, incarnations)) this.violated(what);
    for (const what of ofLosses(history, faults.done, incarnations)) this.violated(what);
    for await (const what of ofReadModels(history, clients)) this.violated(what);
    for (const [kind, { worst }] of recovery.commits) {
      if (worst > RECOVERY_BAR_MS) this.violated(`${worst} ms passed from the kill of ${kind} to the next commit; at most ${RECOVERY_BAR_MS} may`);
    }
    await this.judgeByCommandLine(history);
    for (const { pid, command } of platform.others()) if (command.includes('effect.sh')) this.violated(`process ${pid} is left: ${command}`);
    for (const { name } of platform.victims) this.judgeLog(name);
  }

  private async judgeByCommandLine({ commits, models }: History): Promise<void> {
    const verified = await runledger(this.platform, 'verify');
    const heads = verified.said['heads'] as { readonly compared: number } | null | undefined;
    if (verified.code !== 0) this.violated(`verify: ${JSON.stringify((verified.said['faults'] as readonly Fault[] | undefined) ?? verified.said)}`);
    else if (verified.said['commits'] !== commits.length || heads?.compared !== models.size) this.violated(`verify has not seen all: ${JSON.stringify(verified.said)}`);
    const rebuilt = await runledger(this.platform, 'rebuild');
    if (rebuilt.code !== 0) this.violated(`rebuilt read models are not the live ones: ${JSON.stringify(rebuilt.said)}`);
  }

  private judgeLog(name: string): void {
    const pattern = name === 'nats-server' ? /^.*(violation|panic).*$/gim : /^.*(ALARM|execution halted|"msg":"a bug).*$/gm;
    for (const [line] of this.platform.logOf(name).matchAll(pattern)) this.violated(`${name} has logged: ${line.slice(0, 500)}`);
  }

  /** For whoever looks into what went wrong. */
  keep({ history }: Result): void {
    const lines = history.commits.map(({ sequence, storedAt, ref, commit }) => JSON.stringify({ sequence, storedAt, ...ref, commit }));
    writeFileSync(join(this.platform.folder, 'commits.jsonl'), `${lines.join('\n')}\n`);
    writeFileSync(join(this.platform.folder, 'violations.txt'), `${this.violations.join('\n')}\n`);
  }
}
