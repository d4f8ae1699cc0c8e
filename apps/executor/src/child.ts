import type { CancelMode, ExecutionRef, Failure } from '#libs/contracts';
import { type ChildEnd, type SubExecution, Refused, type State } from '#libs/execution';
import { ExpressionError } from '#libs/expressions';
import { BrokenHistory, LogError, type LogStore, checked, submit, unborn } from '#libs/ledger';
import { requestOf } from './child-request.js';
import type { Clock } from './clock.js';
import { childDeleted, endIn } from './endings.js';

export type ChildSurroundings = { readonly log: LogStore; readonly clock: Clock; readonly incarnation: string };

const lost = (code: string, message: string): { readonly status: 'lost'; readonly reason: Failure } => ({
  status: 'lost',
  reason: { code, message, retryable: false },
});

/** Why there is no child to wait for, and never will be; undefined for what may pass. */
const lossOf = (error: unknown, child: string): ChildEnd | undefined => {
  if (error instanceof ExpressionError) return lost(error.code, error.message);
  if (error instanceof BrokenHistory) return lost('CHILD_DAMAGED', `execution ${child} is halted: ${error.message}`);
  if (error instanceof LogError && error.code === 'COMMIT_TOO_LARGE') return lost('CHILD_TOO_LARGE', `plan, input and labels of the execution are too large together: ${error.message}`);
  if (error instanceof Refused && error.code === 'EXECUTION_EXISTS') return lost('CHILD_REFUSED', `execution ${child} is somebody else's: ${error.message}`);
  if (error instanceof Refused && error.code === 'EXECUTION_DELETED') return childDeleted(`execution ${child}: ${error.message}`);
  return undefined;
};

/**
 * An execution that an attempt of another one is, as the owner of that other one sees to it. All of it is right by looking: it is
 * requested where it is not there, told to cancel where it is to, and found to have ended in its own history, whoever did what before.
 */
export class Child {
  private readonly ref: ExecutionRef;
  /** What has been read of it. */
  private read: { readonly version: number; readonly sequence: number; readonly hash: string };
  private isRequested = false;
  private told: CancelMode | undefined;

  constructor(
    private readonly around: ChildSurroundings,
    private readonly parent: ExecutionRef,
    /** The parent's, in which the attempt runs. */
    private readonly state: State,
    public wait: SubExecution,
  ) {
    this.ref = { tenant: parent.tenant, execution: wait.child };
    this.read = unborn(this.ref);
  }

  /** How it ended; undefined while it has not. Throws LogError, Refused EVENT_UNKNOWN: to be tried again. */
  async look(): Promise<ChildEnd | undefined> {
    try {
      return await this.settle();
    } catch (error) {
      const end = lossOf(error, this.ref.execution);
      if (end) return end;
      throw error;
    }
  }

  private async settle(): Promise<ChildEnd | undefined> {
    const isNew = !this.isRequested && (await this.request());
    const end = isNew ? undefined : await this.readOn();
    if (end || this.wait.cancel === undefined || this.wait.cancel === this.told) return end;
    await this.cancel(this.wait.cancel);
    return await this.readOn();
  }

  /** True when this call has stored it. */
  private async request(): Promise<boolean> {
    const { log, clock } = this.around;
    const { command, context } = requestOf(this.parent, this.state, this.wait);
    const { events } = await submit(log, this.ref, command, { ...context, now: clock.now() });
    this.isRequested = true;
    return events.length > 0;
  }

  private async readOn(): Promise<ChildEnd | undefined> {
    const history = checked(this.ref, await this.around.log.history(this.ref, { after: this.read.sequence }), this.read);
    const last = history[history.length - 1];
    // Not there, or where it was read from not yet: the next look asks for it again, and is told.
    if (this.read.sequence === 0 && !last) this.isRequested = false;
    if (last) this.read = { version: last.commit.version, sequence: last.sequence, hash: last.hash };
    return history.map(endIn).find((end) => end !== undefined);
  }

  private async cancel(mode: CancelMode): Promise<void> {
    const { log, clock, incarnation } = this.around;
    const { taskId, attempt } = this.wait;
    const { execution } = this.parent;
    const reason = `task '${taskId}' of execution ${execution}, which this one is, was cancelled or is out of time`;
    const context = { now: clock.now(), cause: `${execution}/${taskId}/${attempt}/cancel/${mode}`, actor: `executor/${incarnation}`, correlationId: this.state.correlationId };
    try {
      await submit(log, this.ref, { type: 'CancelExecution', mode, reason }, context);
      this.told = mode;
    } catch (error) {
      // Ended before, which is what is wanted; or not there to be read yet.
      if (!(error instanceof Refused && (error.code === 'EXECUTION_TERMINAL' || error.code === 'EXECUTION_NOT_FOUND'))) throw error;
    }
  }
}
