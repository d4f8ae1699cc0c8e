import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Fault } from '#libs/ledger';
import { Random } from '../simulation/random.js';
import { Clients } from './clients.js';
import { runledger } from './command-line.js';
import { Effects } from './effects.js';
import { Faults } from './faults.js';
import { type ArtifactsJudged, ofArtifacts, ofUploads } from './artifact-judgement.js';
import { type BulkJudged, ofBulk } from './bulk-judgement.js';
import { ofDeletions } from './deletion-judgement.js';
import { Following, type History } from './history.js';
import { ofEffects, ofLog, ofLosses, ofReadModels } from './judgement.js';
import { ofOutput } from './output-judgement.js';
import { Platform } from './platform.js';
import { bulkPlaysOf, faultsOf, playsOf } from './program.js';
import { type Recovery, recoveryOf } from './recovery.js';
import { Settling } from './settling.js';

const RECOVERY_BAR_MS = 10_000;
/** From the start of a nats-server to its first answer, on a busy machine. */
const BROKER_BACK_MS = 2_000;
const ASK_WHY_EVERY_MS = 1_000;

export type Result = {
  readonly violations: readonly string[];
  readonly natsServer: string;
  readonly history: History;
  readonly faults: Faults['done'];
  readonly recovery: Recovery;
  readonly effects: ReturnType<Effects['all']>;
  readonly bulk: BulkJudged['operations'];
  readonly dryRuns: number;
  readonly artifacts: ArtifactsJudged;
  readonly downloads: number;
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
    const bulkPlays = bulkPlaysOf(random.fork(), durationMs);
    const clients = this.clients();
    const nats = await platform.connect('operator');
    const following = new Following(nats);
    const settling = new Settling(following, clients, (what) => this.violated(what));
    const followed = following.follow();
    const faults = new Faults(platform.victims, (what) => this.tell(what));
    this.faults = faults;
    faults.begin(planned);
    const timers = [...plays.map((play) => setTimeout(() => clients.play(play), play.atMs)), ...bulkPlays.map((play) => setTimeout(() => clients.playBulk(play), play.atMs))];
    const asking = setInterval(() => void Promise.all([settling.askWhy(), clients.artifacts.look()]), ASK_WHY_EVERY_MS);
    await new Promise((resolve) => setTimeout(resolve, durationMs));
    for (const timer of timers) clearTimeout(timer);
    await faults.end();
    this.tell('all faults end');
    await settling.untilEnded();
    clearInterval(asking);
    following.stop();
    await followed;
    const recovery = recoveryOf(following.commits, faults.done, this.incarnations);
    const bulk = ofBulk(following, clients.dryRuns);
    for (const what of bulk.violations) this.violated(what);
    await this.judge(following, clients, faults, recovery);
    const artifacts = await this.judgeArtifacts(following, clients);
    await nats.close();
    const result = { violations: this.violations, natsServer: platform.natsServer, history: following, faults: faults.done, recovery, bulk: bulk.operations, artifacts };
    return { ...result, dryRuns: clients.dryRuns.length, downloads: clients.artifacts.downloads, effects: effects.all(), retries: clients.gateways.retries, whys: settling.whys, folder: platform.folder };
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

  private async judge(history: Following, clients: Clients, faults: Faults, recovery: Recovery): Promise<void> {
    const { platform, effects, incarnations } = this;
    for (const what of ofLog(history, clients)) this.violated(what);
    for (const what of ofEffects(history, effects.all(), faults.done, incarnations)) this.violated(what);
    for (const what of ofLosses(history, faults.done, incarnations)) this.violated(what);
    for await (const what of ofReadModels(history, clients.gateways)) this.violated(what);
    const provisioner = await platform.connect('provisioner');
    for await (const what of ofDeletions(history, clients.gateways, provisioner)) this.violated(what);
    await provisioner.close();
    for (const [kind, { worst }] of recovery.commits) {
      if (worst > RECOVERY_BAR_MS) this.violated(`${worst} ms passed from the kill of ${kind} to the next commit; at most ${RECOVERY_BAR_MS} may`);
    }
    await this.judgeByCommandLine(history);
    for (const { pid, command } of platform.others()) if (command.includes('effect.sh')) this.violated(`process ${pid} is left: ${command}`);
    for (const { name } of platform.victims) for (const what of ofOutput(name, platform.logOf(name))) this.violated(what);
  }

  private async judgeArtifacts(history: History, clients: Clients): Promise<ArtifactsJudged> {
    for (const what of ofUploads(history, clients.artifacts.uploads)) this.violated(what);
    const executor = await this.platform.connect('executor');
    const judging = ofArtifacts(history, clients, executor);
    for (;;) {
      const { done, value } = await judging.next();
      if (done) return await executor.close().then(() => value);
      this.violated(value);
    }
  }

  private async judgeByCommandLine(history: Following): Promise<void> {
    const held = (await history.held()).length;
    const verified = await runledger(this.platform, 'verify');
    const heads = verified.said['heads'] as { readonly compared: number } | null | undefined;
    if (verified.code !== 0) this.violated(`verify: ${JSON.stringify((verified.said['faults'] as readonly Fault[] | undefined) ?? verified.said)}`);
    else if (verified.said['commits'] !== held || heads?.compared !== history.models.size) this.violated(`verify has not seen all: ${JSON.stringify(verified.said)}`);
    const rebuilt = await runledger(this.platform, 'rebuild');
    if (rebuilt.code !== 0) this.violated(`rebuilt read models are not the live ones: ${JSON.stringify(rebuilt.said)}`);
  }

  /** For whoever looks into what went wrong. */
  keep({ history }: Result): void {
    const lines = history.commits.map(({ sequence, storedAt, ref, commit }) => JSON.stringify({ sequence, storedAt, ...ref, commit }));
    writeFileSync(join(this.platform.folder, 'commits.jsonl'), `${lines.join('\n')}\n`);
    writeFileSync(join(this.platform.folder, 'violations.txt'), `${this.violations.join('\n')}\n`);
  }
}
