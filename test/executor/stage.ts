import { randomUUID } from 'node:crypto';
import type { ExecutionRef, PlanTask } from '#libs/contracts';
import { type ClientCommand, isTerminal } from '#libs/execution';
import { type Execution, type LogPurge, type LogStore, load, submit } from '#libs/ledger';
import { createLogger } from '#libs/platform';
import type { Attempt, Outcome, Runner } from '#libs/runners';
import { eventually } from '#libs/testing';
import type { CheckpointStore } from '../../apps/executor/src/checkpoint.js';
import { type MembersView, Owner, type OwnerOptions } from '../../apps/executor/src/owner.js';

export const noop: Runner = {
  name: 'noop',
  sideEffects: false,
  check: () => [],
  run: ({ input }) => ({ ok: true, result: (input['result'] ?? {}) as Record<string, never> }),
};

export type Held = { readonly attempt: Attempt; readonly end: (outcome: Outcome) => void };

export type HeldRunner = {
  readonly runner: Runner;
  /** The last attempt by `<execution>/<task>/<attempt>`. */
  readonly held: Map<string, Held>;
  /** The same keys, one for every start. */
  readonly starts: string[];
};

/** A runner whose attempts end when the test says so, or, unless it is told otherwise, when they are aborted. */
export const heldRunner = ({ endsOnAbort = true } = {}): HeldRunner => {
  const held = new Map<string, Held>();
  const starts: string[] = [];
  const run = (attempt: Attempt): Promise<Outcome> =>
    new Promise((end) => {
      const key = `${attempt.ref.execution}/${attempt.taskId}/${attempt.attempt}`;
      starts.push(key);
      held.set(key, { attempt, end });
      if (!endsOnAbort) return;
      attempt.signal.addEventListener('abort', () =>
        end({ ok: false, error: { code: 'COMMAND_ABORTED', message: 'aborted', retryable: false } }),
      );
    });
  return { runner: { name: 'held', sideEffects: true, check: () => [], run }, held, starts };
};

export type Cluster = { join(incarnation: string): MembersView; kill(incarnation: string): void };

/** Members as one test wants them to be seen. */
export const cluster = (): Cluster => {
  const live = new Map<string, unknown>();
  const killed = new Set<string>();
  const callbacks = new Set<() => void>();
  const tell = (): void => callbacks.forEach((callback) => callback());
  return {
    join: (incarnation) => {
      live.set(incarnation, {});
      tell();
      return {
        ttlMs: 10,
        live: () => live,
        onChange: (callback) => void callbacks.add(callback),
        goneFor: (member) => (killed.has(member) ? 1_000 : 0),
      };
    },
    kill: (incarnation) => {
      live.delete(incarnation);
      killed.add(incarnation);
      tell();
    },
  };
};

export class MemoryCheckpoints implements CheckpointStore {
  readonly values = new Map<string, unknown>();
  /** Reads that fail before one succeeds. */
  failures = 0;

  get(key: string): Promise<unknown> {
    if (this.failures-- > 0) return Promise.reject(new Error('the checkpoint store is away'));
    return Promise.resolve(this.values.get(key));
  }

  put(key: string, value: unknown): Promise<void> {
    this.values.set(key, structuredClone(value));
    return Promise.resolve();
  }
}

export const task = (id: string, runner: string, more: Partial<PlanTask> = {}): PlanTask => ({ id, runner, input: {}, dependsOn: [], ...more });

/** Owners on one log, and clients of it. */
export class Stage {
  private readonly owners: Owner[] = [];

  constructor(
    readonly log: LogStore & LogPurge,
    readonly checkpoints: CheckpointStore = new MemoryCheckpoints(),
  ) {}

  owner(members: MembersView, incarnation: string, runners: readonly Runner[], more: Partial<OwnerOptions> = {}): Owner {
    const owner = new Owner({
      log: this.log,
      host: { runners: new Map(runners.map((runner) => [runner.name, runner])), output: () => Promise.resolve() },
      members,
      checkpoints: this.checkpoints,
      purge: this.log,
      incarnation,
      concurrency: 8,
      logger: createLogger('executor', 'silent'),
      ...more,
    });
    this.owners.push(owner);
    return owner;
  }

  async startOwner(...of: Parameters<Stage['owner']>): Promise<Owner> {
    const owner = this.owner(...of);
    await owner.start();
    return owner;
  }

  async stop(): Promise<void> {
    await Promise.all(this.owners.splice(0).map((owner) => owner.stop(0, 1_000)));
  }

  async request(tasks: readonly PlanTask[], execution: string = randomUUID()): Promise<ExecutionRef> {
    const ref = { tenant: 'default', execution };
    const plan = { name: 'test', tasks };
    await this.submit(ref, { type: 'RequestExecution', plan, name: 'test', labels: {}, input: {}, dialect: 'canonical' });
    return ref;
  }

  async submit(ref: ExecutionRef, command: ClientCommand): Promise<void> {
    await submit(this.log, ref, command, { now: Date.now(), cause: randomUUID(), actor: 'test', correlationId: 'test' });
  }

  async ended(ref: ExecutionRef): Promise<Execution> {
    return await eventually(
      async () => {
        const execution = await load(this.log, ref);
        return isTerminal(execution.state.status) && execution;
      },
      { timeoutMs: 15_000, what: `${ref.execution} to end` },
    );
  }
}
