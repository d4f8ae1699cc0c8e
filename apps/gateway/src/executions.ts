import { randomUUID } from 'node:crypto';
import type { ExecutionRef } from '#libs/contracts';
import type { ClientCommand, Context } from '#libs/execution';
import { LogError, type LogStore, MAX_COMMIT_BYTES, submit } from '#libs/ledger';
import { Problem } from './problem.js';
import type { ExecutionRequest } from './request-body.js';
import { uuid7 } from './uuid7.js';

export type Accepted = { readonly id: string; readonly sequence: number; readonly status: string };
export type Controlled = Accepted & { readonly changed: boolean };

/** Commands in, commits out. */
export class Executions {
  constructor(
    private readonly log: LogStore,
    /** True while new executions are refused, so that running ones have room to end. */
    private readonly isNearlyFull: () => boolean,
  ) {}

  async request(tenant: string, request: ExecutionRequest, correlationId: string): Promise<Accepted> {
    if (this.isNearlyFull()) {
      throw new Problem(503, 'LOG_NEARLY_FULL', 'the log is at 85 % of its size: no new executions until there is room', {
        retryAfterSeconds: 30,
      });
    }
    const ref = { tenant, execution: uuid7() };
    const command: ClientCommand = { type: 'RequestExecution', ...request, dialect: 'canonical' };
    try {
      const { execution } = await submit(this.log, ref, command, this.context(correlationId));
      return { id: ref.execution, sequence: execution.sequence, status: 'pending' };
    } catch (error) {
      throw error instanceof LogError ? ofRequest(error, ref) : error;
    }
  }

  async control(ref: ExecutionRef, command: ClientCommand, correlationId: string): Promise<Controlled> {
    const { execution, changed } = await submit(this.log, ref, command, this.context(correlationId));
    return { id: ref.execution, status: execution.state.status ?? 'pending', sequence: execution.sequence, changed };
  }

  /** The cause names the command: one that comes again with the same cause changes nothing. Each request is a new one. */
  private context(correlationId: string): Context {
    return { now: Date.now(), cause: randomUUID(), actor: 'anonymous', correlationId };
  }
}

/** What a request that was not stored, or may not have been, has to say beyond what the log knows. */
const ofRequest = (error: LogError, { execution }: ExecutionRef): Error => {
  if (error.code === 'COMMIT_TOO_LARGE') {
    const detail = `the plan, its input and labels are too large together: ${error.message} (${MAX_COMMIT_BYTES / 1024} KiB)`;
    return new Problem(413, 'PLAN_TOO_LARGE', `${detail}; keep large data in files and refer to them`, { cause: error });
  }
  if (error.code !== 'OUTCOME_UNKNOWN') return error;
  const detail = `outcome unknown: the broker did not say whether execution ${execution} was stored`;
  return new Problem(503, error.code, `${detail}; read /api/v1/executions/${execution} before you retry`, {
    retryAfterSeconds: 1,
    cause: error,
  });
};
