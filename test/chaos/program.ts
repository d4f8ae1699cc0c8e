import type { JsonObject, Plan, PlanTask } from '#libs/contracts';
import type { ClientCommand } from '#libs/execution';
import { commandOf, nestedPlanOf } from '../simulation/program.js';
import type { Random } from '../simulation/random.js';
import type { Effects } from './effects.js';

const askable = ['PauseExecution', 'ResumeExecution', 'CancelExecution', 'SendSignal', 'RespondToClarification'] as const;

/** A command that is a request with a JSON body and nothing else. */
export type Askable = Extract<ClientCommand, { readonly type: (typeof askable)[number] }>;

const isAskable = (command: ClientCommand): command is Askable => askable.some((type) => type === command.type);

/** A command that follows a request, so long after its answer or that of the command before. */
export type Ask = {
  readonly afterMs: number;
  readonly command: Askable;
  /** Sent twice at once, through whatever gateways. */
  readonly isDoubled: boolean;
};

/** What is asked for once it has ended: another one that carries it on. */
export type Successor = 'retry' | 'rerun' | 'fork';

/** An execution that is asked for so long after the beginning, and what its client wants of it. */
export type Play = { readonly atMs: number; readonly key: string; readonly plan: Plan; readonly asks: readonly Ask[]; readonly successor: Successor | undefined };

/** A thing that is done to a process: `forMs` it is down, or paused. */
export type Fault = {
  readonly atMs: number;
  readonly victim: string;
  readonly kind: 'kill' | 'pause' | 'restart';
  readonly forMs: number;
};

const EVERY_MS = 200;
const FAULT_EVERY_MS = 1_400;
/** So long that nothing but its owner's checkpoint knows of an execution. */
const LONG_WAITS_MS = [9_000, 12_000, 20_000];

export const playsOf = (random: Random, durationMs: number, effects: Effects): readonly Play[] => {
  const plays: Play[] = [];
  for (let atMs = 0; atMs < durationMs; atMs += random.int(0, 2 * EVERY_MS)) {
    const plan = stagedPlan(random, nestedPlanOf(random), effects);
    const asks = Array.from({ length: random.int(0, random.chance(0.5) ? 0 : 5) }, () => commandOf(random))
      .filter(isAskable)
      .map((command): Ask => ({ afterMs: random.int(0, 2_500), command, isDoubled: random.chance(0.2) }));
    plays.push({ atMs, key: `play-${plays.length + 1}`, plan, asks, successor: random.pick([undefined, undefined, 'retry', 'rerun', 'fork']) });
  }
  return plays;
};

/** As it is done where time is not virtual. */
const staged = (random: Random, task: PlanTask, effects: Effects): PlanTask => {
  if (task.runner === 'work') return effects.planned(random, task);
  const input = smallInput(task);
  if (task.runner === 'execution') return { ...task, input: { ...input, plan: stagedPlan(random, withoutBulk(input['plan'] as unknown as Plan), effects) as unknown as JsonObject } };
  if (task.runner === 'wait' && random.chance(0.3)) return { ...task, input: { durationMs: random.pick(LONG_WAITS_MS) } };
  return { ...task, input };
};

/** A task has to fit into a commit, with all of the plan that it may hold. */
const withoutBulk = (plan: Plan): Plan => ({ ...plan, tasks: plan.tasks.map((task) => ({ ...task, input: smallInput(task) })) });

const smallInput = ({ input }: PlanTask): JsonObject => Object.fromEntries(Object.entries(input).filter(([name]) => name !== 'bulk'));

const stagedPlan = (random: Random, plan: Plan, effects: Effects): Plan => ({ ...plan, tasks: plan.tasks.map((task) => staged(random, task, effects)) });

export const faultsOf = (random: Random, durationMs: number, victims: readonly string[]): readonly Fault[] => {
  const faults: Fault[] = [];
  // The broker and the executors have most to lose.
  const weights = Object.fromEntries(victims.map((name) => [name, name === 'nats-server' ? 5 : name.startsWith('executor') ? 3 : 2]));
  for (let atMs = random.int(0, FAULT_EVERY_MS); atMs < durationMs; atMs += random.int(200, 2 * FAULT_EVERY_MS)) {
    const victim = random.weighted(weights);
    const kind = random.weighted({ kill: 5, pause: 3, restart: 1 });
    const forMs = kind === 'pause' ? random.pick([100, 1_000, 4_000, victim === 'nats-server' ? 6_000 : 9_000]) : random.pick([0, 200, 1_000, 2_500]);
    faults.push({ atMs, victim, kind, forMs });
  }
  return faults;
};
