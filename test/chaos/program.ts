import type { BulkAction, JsonObject, Plan, PlanTask } from '#libs/contracts';
import type { ClientCommand } from '#libs/execution';
import { commandOf, nestedPlanOf } from '../simulation/program.js';
import type { Random } from '../simulation/random.js';
import type { Effects } from './effects.js';

const askable = ['PauseExecution', 'ResumeExecution', 'CancelExecution', 'SendSignal', 'RespondToClarification', 'DeleteExecution'] as const;

/** A command that is a request about an execution and nothing else. */
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

/** A file that is sent to an execution, so long after the one before. */
export type Upload = {
  readonly afterMs: number;
  readonly size: number;
  readonly expiresInMs: number | undefined;
  /** Cut off in the middle. */
  readonly isTorn: boolean;
  readonly deletedAfterMs: number | undefined;
};

/** An execution that is asked for so long after the beginning, and what its client wants of it. */
export type Play = {
  readonly atMs: number;
  readonly key: string;
  readonly plan: Plan;
  readonly labels: Readonly<Record<string, string>>;
  readonly asks: readonly Ask[];
  readonly uploads: readonly Upload[];
  readonly successor: Successor | undefined;
  /** Deleted so long after all that: tried that often, as it may not have ended. */
  readonly deletion: readonly number[];
};

/** One thing that is done to all executions of a team that were requested so long before; first it is asked which that would be. */
export type BulkPlay = {
  readonly atMs: number;
  readonly key: string;
  readonly action: BulkAction;
  readonly labels: Readonly<Record<string, string>>;
  readonly olderMs: number;
  readonly ratePerSecond: number;
  readonly isDry: boolean;
  /** What a client wants of the operation itself. */
  readonly asks: readonly Ask[];
};

/** A thing that is done to a process: `forMs` it is down, or paused. */
export type Fault = {
  readonly atMs: number;
  readonly victim: string;
  readonly kind: 'kill' | 'pause' | 'restart';
  readonly forMs: number;
};

const EVERY_MS = 200;
const BULK_EVERY_MS = 1_500;
const teams = ['red', 'green', 'blue'];
const FAULT_EVERY_MS = 1_400;
/** So long that nothing but its owner's checkpoint knows of an execution. */
const LONG_WAITS_MS = [9_000, 12_000, 20_000];

export const playsOf = (random: Random, durationMs: number, effects: Effects): readonly Play[] => {
  const plays: Play[] = [];
  for (let atMs = 0; atMs < durationMs; atMs += random.int(0, 2 * EVERY_MS)) {
    const plan = stagedPlan(random, nestedPlanOf(random), effects);
    const asks = Array.from({ length: random.int(0, random.chance(0.5) ? 0 : 5) }, () => commandOf(random))
      .filter(isAskable)
      .map((command) => askOf(random, command));
    plays.push({
      atMs,
      key: `play-${plays.length + 1}`,
      plan,
      labels: { team: random.pick(teams) },
      asks,
      uploads: Array.from({ length: random.pick([0, 0, 0, 0, 1, 2]) }, () => uploadOf(random)),
      successor: random.pick([undefined, undefined, 'retry', 'rerun', 'fork']),
      deletion: random.chance(0.2) ? [random.int(500, 5_000), random.int(2_000, 10_000)] : [],
    });
  }
  return plays;
};

/** Of one chunk or several, as they are stored. */
const uploadOf = (random: Random): Upload => ({
  afterMs: random.int(0, 1_500),
  size: random.pick([4, random.int(10, 5_000), random.int(100_000, 400_000), random.int(1_000_000, 3_000_000)]),
  expiresInMs: random.chance(0.2) ? random.int(500, 8_000) : undefined,
  isTorn: random.chance(0.15),
  deletedAfterMs: random.chance(0.2) ? random.int(0, 4_000) : undefined,
});

export const bulkPlaysOf = (random: Random, durationMs: number): readonly BulkPlay[] => {
  const plays: BulkPlay[] = [];
  for (let atMs = random.int(0, BULK_EVERY_MS); atMs < durationMs; atMs += random.int(200, 2 * BULK_EVERY_MS)) {
    const action = random.weighted<BulkAction>({ pause: 3, resume: 3, cancel: 2, retry: 2, delete: 2 });
    plays.push({
      atMs,
      key: `bulk-${plays.length + 1}`,
      action,
      labels: { team: random.pick(teams) },
      // What was requested last week is deleted, and not what has just ended.
      olderMs: action === 'delete' ? random.int(4_000, 12_000) : random.int(200, 4_000),
      ratePerSecond: random.pick([5, 20, 100]),
      isDry: random.chance(0.25),
      asks: random.chance(0.3) ? [askOf(random, { type: 'PauseExecution' }), askOf(random, { type: 'ResumeExecution' })] : random.chance(0.1) ? [askOf(random, { type: 'CancelExecution', mode: 'immediate' })] : [],
    });
  }
  return plays;
};

const askOf = (random: Random, command: Askable): Ask => ({ afterMs: random.int(0, 2_500), command, isDoubled: random.chance(0.2) });

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
