import type { ExecutionRef, JsonObject, Plan, PlanTask } from '#libs/contracts';
import { type ClientCommand, type NewArtifact, keyedCause } from '#libs/execution';
import { childOf } from '../../apps/executor/src/child-request.js';
import type { Random } from './random.js';
import { BEGIN } from './scheduler.js';

export type Trouble = 'crash' | 'stop' | 'freeze' | 'disconnect' | 'blind' | 'join' | 'clock' | 'outage';

/** What is done to the system once so many steps have been taken. */
export type Move = { readonly atStep: number } & (
  /** `appends`: who sends it is killed at the next one behind so many. */
  | { readonly kind: 'command'; readonly ref: ExecutionRef; readonly command: ClientCommand; readonly cause: string; readonly appends?: number }
  | { readonly kind: 'trouble'; readonly trouble: Trouble }
);

/** What one seed plays, in order. */
export type Program = {
  readonly executors: number;
  /** Attempts at once in each executor. */
  readonly concurrency: number;
  /** Steps until the faults end. */
  readonly steps: number;
  readonly moves: readonly Move[];
};

const ids = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];

const retryOf = (random: Random): NonNullable<PlanTask['retry']> => ({
  maxAttempts: random.int(1, 3),
  backoff: random.pick(['fixed', 'linear', 'exponential'] as const),
  delayMs: random.pick([0, 10, 300, 1_500]),
});

/** Whatever waits for a client gives up by itself some time. */
const inputOf = (random: Random, runner: string): JsonObject => {
  if (runner === 'wait') return { durationMs: random.pick([0, 50, 2_000, 6_000]) };
  if (runner === 'signal') return { name: 'go' };
  if (runner === 'approval') return { title: 'May it?', expiresInMs: random.pick([50, 5_000]), onExpiry: random.pick(['reject', 'approve', 'fail']) };
  return {};
};

const itemsOf = (random: Random): NonNullable<PlanTask['forEach']> => ({
  items: Array.from({ length: random.int(0, 5) }, (_, n) => n),
  ...(random.chance(0.5) && { concurrency: random.int(1, 3) }),
  ...(random.chance(0.6) && { failFast: true }),
});

const loopOf = (random: Random): NonNullable<PlanTask['loop']> => ({
  until: `iteration >= ${random.int(0, 3)}`,
  maxIterations: random.int(1, 4),
  ...(random.chance(0.3) && { delayMs: random.pick([10, 1_000]) }),
});

const taskOf = (random: Random, place: number): PlanTask => {
  const runner = random.weighted({ work: 14, wait: 4, noop: 4, signal: 2, approval: 2 });
  const isBounded = runner === 'work' && random.chance(0.4);
  return {
    id: ids[place]!,
    runner,
    input: isBounded ? { mayHang: true } : inputOf(random, runner),
    dependsOn: ids.slice(0, place).filter(() => random.chance(0.3)),
    ...random.pick([{}, {}, {}, {}, {}, {}, { forEach: itemsOf(random) }, { loop: loopOf(random) }]),
    ...(random.chance(0.6) && { retry: retryOf(random) }),
    ...((isBounded || runner === 'signal') && { timeoutMs: random.pick([5, 150, 1_000, 3_000]) }),
    ...(runner === 'work' && random.chance(0.1) && { heartbeatMs: 500 }),
    ...(random.chance(0.15) && { when: random.pick(['1 == 1', '1 == 2']) }),
    ...(random.chance(0.5) && { onFailure: random.pick(['skip', 'stop', 'continue'] as const) }),
    ...(random.chance(0.4) && { onLost: random.pick(['retry', 'fail'] as const) }),
  };
};

const undoing = (random: Random, { id }: PlanTask): PlanTask => ({
  id: `undo-${id}`,
  runner: 'work',
  input: {},
  dependsOn: [],
  compensates: id,
  ...(random.chance(0.15) && { forEach: itemsOf(random) }),
  ...(random.chance(0.6) && { retry: retryOf(random) }),
});

/** Bytes that make a part of its own of nearly every task: plans of more than one commit. */
const BULK = 'x'.repeat(120_000);

const tasksOf = (random: Random): readonly PlanTask[] => {
  const tasks = Array.from({ length: random.int(1, random.chance(0.3) ? ids.length : 3) }, (_, place) => taskOf(random, place));
  if (random.chance(0.7)) return tasks;
  return [...tasks, ...tasks.filter(() => random.chance(0.6)).map((task) => undoing(random, task))];
};

/** A graph of up to eight tasks, of which some are undone by others; those with side effects have the runner `work`. */
export const planOf = (random: Random): Plan => ({
  name: 'simulated',
  tasks: random.chance(0.03) ? tasksOf(random).map((task) => ({ ...task, input: { ...task.input, bulk: BULK } })) : tasksOf(random),
  ...(random.chance(0.3) && { concurrency: random.int(1, 3) }),
  ...(random.chance(0.15) && { timeoutMs: random.pick([300, 3_000, 20_000]) }),
});

/** Some of its tasks are executions of their own. */
export const nestedPlanOf = (random: Random): Plan => {
  const plan = planOf(random);
  if (random.chance(0.6)) return plan;
  const nest = (task: PlanTask): PlanTask => {
    const { heartbeatMs: _, ...rest } = task;
    const inner = random.chance(0.2) ? nestedPlanOf(random) : planOf(random);
    const input = (child: Plan): JsonObject => ({ plan: child as unknown as JsonObject });
    if (random.chance(0.7)) return { ...rest, runner: 'execution', input: input(inner) };
    // Nothing ends this one but the cancel that comes down when the time of its attempt is over.
    const never: PlanTask = { id: 'never', runner: 'signal', input: { name: 'never' }, dependsOn: [] };
    return { ...rest, runner: 'execution', input: input({ ...inner, tasks: [...inner.tasks, never] }), timeoutMs: random.pick([150, 3_000]) };
  };
  return { ...plan, tasks: plan.tasks.map((task) => (random.chance(0.3) ? nest(task) : task)) };
};

/** Its time comes before the program's end, or never. */
const artifactOf = (random: Random): NewArtifact => ({
  artifactId: random.pick(ids),
  name: 'report.txt',
  type: 'report',
  tags: [],
  mimeType: 'text/plain',
  size: 1,
  sha256: '0'.repeat(64),
  public: false,
  object: 'bytes',
  ...(random.chance(0.5) && { expiresAt: new Date(BEGIN + random.int(0, 5_000)).toISOString() }),
});

const isBulky = ({ tasks }: Plan): boolean => tasks.length > 2 && tasks.some(({ input }) => input['bulk'] === BULK);

/** What a client may want of an execution once it is there. */
export const commandOf = (random: Random): ClientCommand => {
  const type = random.weighted({ PauseExecution: 4, ResumeExecution: 4, CancelExecution: 2, SendSignal: 3, RespondToClarification: 3, AddArtifact: 1, DeleteArtifact: 1, ExpireArtifact: 1 });
  if (type === 'CancelExecution') return { type, mode: random.pick(['graceful', 'immediate'] as const) };
  if (type === 'SendSignal') return { type, name: 'go', payload: {} };
  if (type === 'RespondToClarification') return { type, taskId: random.pick(ids), decision: random.pick(['approve', 'approve', 'reject'] as const), roles: [] };
  if (type === 'AddArtifact') return { type, artifact: artifactOf(random) };
  if (type === 'DeleteArtifact' || type === 'ExpireArtifact') return { type, artifactId: random.pick(ids) };
  return { type };
};

/** None that pauses it: its parent would wait for as long. */
const commandToChild = (random: Random): ClientCommand => {
  const command = commandOf(random);
  return command.type === 'PauseExecution' ? { type: 'CancelExecution', mode: random.pick(['graceful', 'immediate'] as const) } : command;
};

/** Of some, early or late: what has not ended is not deleted. */
const deletionsOf = (random: Random, moves: readonly Move[], steps: number): readonly Move[] =>
  moves.flatMap((move): readonly Move[] => {
    if (move.kind !== 'command' || move.command.type !== 'RequestExecution' || !random.chance(0.4)) return [];
    const cause = random.chance(0.5) ? keyedCause('delete', 'fingerprint') : `delete-${move.ref.execution}`;
    return [{ atStep: move.atStep + random.int(10, steps), kind: 'command', ref: move.ref, command: { type: 'DeleteExecution' }, cause }];
  });

export const programOf = (random: Random): Program => {
  const steps = random.int(40, 400);
  const moves: Move[] = [];
  const executions = random.int(1, 3);
  for (let i = 0; i < executions; i++) {
    const ref = { tenant: 'default', execution: `e${i + 1}-${random.int(0, 999)}` };
    const plan = nestedPlanOf(random);
    const children = plan.tasks.filter(({ runner }) => runner === 'execution').map(({ id }) => ({ ...ref, execution: childOf(ref, id, 1) }));
    const request: ClientCommand = { type: 'RequestExecution', plan, name: 'simulated', labels: {}, input: {}, dialect: 'canonical' };
    let atStep = random.int(0, random.chance(0.5) ? 10 : steps);
    moves.push({ atStep, kind: 'command', ref, command: request, cause: keyedCause(`request-${i}`, 'fingerprint'), ...(isBulky(plan) && random.chance(0.3) && { appends: random.int(1, 3) }) });
    for (let n = random.int(0, random.chance(0.5) ? 0 : 5); n > 0; n--) {
      atStep += random.int(0, 60);
      const child = random.chance(0.3) ? children[0] : undefined;
      const command = child ? commandToChild(random) : commandOf(random);
      const cause = random.chance(0.5) ? keyedCause(`key-${i}-${n}`, command.type) : `command-${i}-${n}`;
      moves.push({ atStep, kind: 'command', ref: child ?? ref, command, cause });
      // The same again, as by a client that never heard the answer.
      if (random.chance(0.2)) moves.push({ atStep: atStep + random.int(0, 60), kind: 'command', ref: child ?? ref, command, cause });
    }
  }
  for (let n = random.pick([0, 1, 2, 4, 8]); n > 0; n--) {
    const trouble = random.weighted<Trouble>({ crash: 5, stop: 1, freeze: 3, disconnect: 2, blind: 2, join: 2, clock: 1, outage: 2 });
    moves.push({ atStep: random.int(5, steps), kind: 'trouble', trouble });
  }
  return {
    executors: random.int(1, 3),
    concurrency: random.pick([1, 2, 8]),
    steps,
    moves: [...moves, ...deletionsOf(random, moves, steps)].toSorted((a, b) => a.atStep - b.atStep),
  };
};
