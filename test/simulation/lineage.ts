import type { Event } from '#libs/contracts';

/** As far as a lineage needs to know an execution. */
type Known = { readonly status: string; readonly hasEnded: boolean; readonly isDeleted: boolean };

const outcomes: readonly string[] = ['TaskCompleted', 'TaskFailed', 'TaskTimedOut', 'TaskCancelled'];

/**
 * What executions that are tasks of others may do, told a second time: an attempt is one child at most and a child is one attempt, each knows of the
 * other, and no attempt ends before its child, or otherwise than that, unless the child was deleted before anybody had looked at its end.
 */
export class Lineage {
  /** Children by attempt, `<execution>/<task>/<attempt>`, and attempts by child. */
  private readonly children = new Map<string, string>();
  private readonly attempts = new Map<string, string>();

  constructor(private readonly models: ReadonlyMap<string, Known>) {}

  /** To be called with each event once the model of its execution has taken it. */
  *take(execution: string, event: Event): Generator<string> {
    if (event.type === 'ExecutionRequested') yield* this.requested(execution, event.data.parent);
    else if (event.type === 'TaskStarted') yield* this.started(`${execution}/${event.data.taskId}/${event.data.attempt}`, event.data.child);
    else if (outcomes.includes(event.type) && 'attempt' in event.data && 'taskId' in event.data) {
      yield* this.ended(`${execution}/${event.data.taskId}/${event.data.attempt}`, event.type);
    }
  }

  /** The execution that an attempt is. */
  childOf(execution: string, task: string, attempt: number): string | undefined {
    return this.children.get(`${execution}/${task}/${attempt}`);
  }

  private *requested(execution: string, parent: Extract<Event, { type: 'ExecutionRequested' }>['data']['parent']): Generator<string> {
    const attempt = this.attempts.get(execution);
    const named = parent && `${parent.execution}/${parent.task}/${parent.attempt}`;
    if (attempt !== named) yield `it is attempt ${attempt ?? 'of nobody'}, and requested as ${named ?? 'of nobody'}`;
  }

  private *started(attempt: string, child: string | undefined): Generator<string> {
    if (child === undefined) return;
    if (this.attempts.has(child)) yield `${attempt} is execution ${child}, as ${this.attempts.get(child)} is`;
    this.attempts.set(child, attempt);
    this.children.set(attempt, child);
  }

  private *ended(attempt: string, type: Event['type']): Generator<string> {
    const child = this.children.get(attempt);
    if (child === undefined) return;
    const known = this.models.get(child);
    if (!known?.hasEnded) yield `${attempt} ends with ${type} while its child ${child} is ${known?.status ?? 'not there'}`;
    else if (known.isDeleted && type !== 'TaskCompleted') return;
    else if ((type === 'TaskCompleted') !== (known.status === 'completed')) yield `${attempt} ends with ${type} although its child ${child} is ${known.status}`;
  }
}
