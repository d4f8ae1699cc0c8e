import { randomUUID } from 'node:crypto';
import { type Event, type ExecutionRef, type Origin, logSubject } from '#libs/contracts';
import { type ClientCommand, type Context, keyedCause } from '#libs/execution';
import { type Execution, LogError, type LogStore, MAX_COMMIT_BYTES, derivedId, replay, submit, unborn, uuid7 } from '#libs/ledger';
import type { Idempotency } from './idempotency-key.js';
import { Problem } from './problem.js';
import type { ExecutionRequest } from './request-body.js';
import type { Reservation, TenantLimits } from './tenant-limits.js';
import { Turns } from './turns.js';

/** `replayed`: the answer that the same request got before, from what it had stored then. */
export type Accepted = { readonly id: string; readonly sequence: number; readonly status: string; readonly replayed: boolean; readonly origin: Origin | undefined };
export type Controlled = Accepted & { readonly changed: boolean };

/** What is to be executed, and where it carries on another execution, that. */
export type Requested = ExecutionRequest & Partial<Pick<Extract<ClientCommand, { readonly type: 'RequestExecution' }>, 'dialect' | 'origin' | 'carried'>>;

/** Who asks, beyond what is asked for. */
export type Caller = { readonly actor: string; readonly correlationId: string; readonly idempotency?: Idempotency | undefined };

/** Commands in, commits out. */
export class Executions {
  private readonly turns = new Turns();

  constructor(
    private readonly log: LogStore,
    /** True while new executions are refused, so that running ones have room to end. */
    private readonly isNearlyFull: () => boolean,
    private readonly limits: Pick<TenantLimits, 'reserve'>,
  ) {}

  /** The id follows from the idempotency key, so that the log itself knows whether the request was here before. */
  async request(tenant: string, request: Requested, caller: Caller): Promise<Accepted> {
    const { idempotency } = caller;
    const ref = { tenant, execution: idempotency ? derivedId(tenant, idempotency.key) : uuid7() };
    const room = await this.room(ref, request, idempotency);
    const command: ClientCommand = { dialect: 'canonical', ...request, type: 'RequestExecution' };
    const context = contextOf(caller);
    try {
      const { execution, events } = await submit(this.log, ref, command, context);
      if (events.length === 0) {
        room?.release();
        return (await this.earlier(ref, context)) ?? answerOf(execution, events, true);
      }
      room?.accepted(execution.sequence);
      return answerOf(execution, events);
    } catch (error) {
      if (!(error instanceof LogError && error.code === 'OUTCOME_UNKNOWN')) room?.release();
      throw error instanceof LogError ? ofRequest(error, ref, idempotency) : error;
    }
  }

  async control(ref: ExecutionRef, command: ClientCommand, caller: Caller): Promise<Controlled> {
    const context = contextOf(caller);
    const { execution, events } = await this.turns.take(logSubject(ref), () => submit(this.log, ref, command, context));
    const earlier = events.length === 0 && caller.idempotency ? await this.earlier(ref, context) : undefined;
    return earlier ?? answerOf(execution, events);
  }

  /** As of which log sequence the same request has carried on an execution before; undefined where it was not here. */
  async carriedOnAsOf({ tenant, execution }: ExecutionRef, { idempotency }: Caller): Promise<number | undefined> {
    if (!idempotency) return undefined;
    const [first] = await this.log.history({ tenant, execution: derivedId(tenant, idempotency.key) }, { limit: 1 });
    const origin = first?.commit.events.find((event) => event.type === 'ExecutionRequested')?.data.origin;
    return origin?.execution === execution ? origin.sequence : undefined;
  }

  /** What was accepted before is answered as it was then, whatever room there is now. Throws Problem LOG_NEARLY_FULL, TENANT_LIMIT, PLAN_TOO_LARGE. */
  private async room(ref: ExecutionRef, { plan }: Requested, idempotency: Idempotency | undefined): Promise<Reservation | undefined> {
    try {
      if (this.isNearlyFull()) throw nearlyFull();
      return await this.limits.reserve(ref.tenant, plan);
    } catch (error) {
      if (idempotency && (await this.exists(ref))) return undefined;
      throw error;
    }
  }

  private async exists(ref: ExecutionRef): Promise<boolean> {
    return (await this.log.history(ref, { limit: 1 })).length > 0;
  }

  /** What a command was answered when it was applied; undefined where it left nothing behind. */
  private async earlier(ref: ExecutionRef, { cause }: Context): Promise<Controlled | undefined> {
    const history = await this.log.history(ref);
    // The last one: a request may have taken several.
    const index = history.findLastIndex(({ commit }) => commit.events.some((event) => event.cause === cause));
    const commit = history[index]?.commit;
    return commit && answerOf(replay(unborn(ref), history.slice(0, index + 1)), commit.events, true);
  }
}

const nearlyFull = (): Problem =>
  new Problem(503, 'LOG_NEARLY_FULL', 'the log is at 85 % of its size: no new executions until there is room; delete some that have ended, or give stream LOG more max_bytes', { retryAfterSeconds: 30 });

/** Each request without a key is a command of its own. */
const contextOf = ({ actor, correlationId, idempotency }: Caller): Context => ({
  now: Date.now(),
  cause: idempotency ? keyedCause(idempotency.key, idempotency.fingerprint) : randomUUID(),
  actor,
  correlationId,
});

const answerOf = ({ ref, state, sequence }: Execution, events: readonly Event[], replayed = false): Controlled => ({
  id: ref.execution,
  status: state.status ?? 'pending',
  sequence,
  origin: state.origin,
  changed: events.some(({ type }) => type !== 'ExecutionCommandSatisfied'),
  replayed,
});

/** What a request that was not stored, or may not have been, has to say beyond what the log knows. */
const ofRequest = (error: LogError, { execution }: ExecutionRef, idempotency: Idempotency | undefined): Error => {
  if (error.code === 'COMMIT_TOO_LARGE') {
    const detail = `a task of the plan, or its input and labels together, are too large: ${error.message} (${MAX_COMMIT_BYTES / 1024} KiB)`;
    return new Problem(413, 'PLAN_TOO_LARGE', `${detail}; keep large data in files and refer to them`, { cause: error });
  }
  if (error.code !== 'OUTCOME_UNKNOWN') return error;
  const unknown = `outcome unknown: the broker did not say whether execution ${execution} was stored`;
  const advice = idempotency ? 'send the same request again' : `read /api/v1/executions/${execution} before you retry`;
  return new Problem(503, error.code, `${unknown}; ${advice}`, { retryAfterSeconds: 1, cause: error });
};
