import { randomUUID } from 'node:crypto';
import type { ExecutionRef, PlanTask } from '#libs/contracts';
import { type Command, type Context, decide } from '#libs/execution';
import { type Execution, type LogStore, append, unborn } from '#libs/ledger';

export const tenant = 'default';

/** Writes one execution's history command by command, as gateway and executor would. */
export class Story {
  private execution: Execution;
  private now: number;

  constructor(
    private readonly to: LogStore,
    readonly ref: ExecutionRef = { tenant, execution: randomUUID() },
    startMs = Date.parse('2026-01-01T00:00:00Z'),
  ) {
    this.execution = unborn(ref);
    this.now = startMs;
  }

  async tell(command: Command, afterMs = 10): Promise<this> {
    this.now += afterMs;
    const context: Context = { now: this.now, cause: randomUUID(), actor: 'test', correlationId: 'test' };
    const appended = await append(this.to, this.execution, decide(command, this.execution.state, context));
    if (!appended) throw new Error('somebody else wrote this story');
    this.execution = appended;
    return this;
  }

  get sequence(): number {
    return this.execution.sequence;
  }
}

export const task = (id: string, more: Partial<PlanTask> = {}): PlanTask => ({ id, runner: 'command', input: {}, dependsOn: [], ...more });

export const request = (name: string, tasks: readonly PlanTask[], labels: Record<string, string> = {}): Command => ({
  type: 'RequestExecution',
  plan: { name, tasks },
  name,
  labels,
  input: { n: 1 },
  dialect: 'canonical',
});
export const start = (taskId: string): Command => ({ type: 'StartTask', taskId, executor: 'one' });
export const end = (taskId: string, attempt: number, ok: boolean): Command => ({
  type: 'RecordOutcome',
  taskId,
  attempt,
  outcome: ok ? { ok, result: { done: taskId } } : { ok, error: { code: 'BROKEN', message: 'it broke', retryable: true } },
});
