import type { Commit } from '#libs/contracts';

/** A moment in the log. */
export type Moment = { readonly time: string; readonly sequence: number };

export type Stored = { readonly sequence: number; readonly commit: Commit };

export const later = (a: Moment, b: Moment | undefined): Moment => (b && b.sequence > a.sequence ? b : a);

/** When things that a wait can go back to happened. */
export class Moments {
  readonly started = new Map<string, Moment>();
  readonly retried = new Map<string, Moment>();
  readonly ended = new Map<string, Moment>();
  readonly expanded = new Map<string, Moment>();
  first: Moment = { time: '', sequence: 0 };
  last: Moment = this.first;
  /** When the last part of its plan came, of those after the first. */
  extended: Moment | undefined;
  paused: Moment | undefined;
  resumed: Moment | undefined;
  /** When undoing began, or the last task of it ended. */
  undoing: Moment | undefined;

  constructor(history: readonly Stored[]) {
    for (const { sequence, commit } of history) for (const event of commit.events) this.take(event, sequence);
  }

  private take(event: Commit['events'][number], sequence: number): void {
    const moment = { time: event.at, sequence };
    this.last = moment;
    if (event.type === 'ExecutionRequested') this.first = moment;
    else if (event.type === 'ExecutionPlanExtended') this.extended = moment;
    else if (event.type === 'ExecutionPaused') this.paused = moment;
    else if (event.type === 'ExecutionResumed') this.resumed = moment;
    else if (event.type === 'ExecutionCompensationStarted') this.undoing = moment;
    else if (event.type === 'TaskStarted') this.started.set(event.data.taskId, moment);
    else if (event.type === 'TaskExpanded') this.expanded.set(event.data.taskId, moment);
    else if (event.type === 'TaskRetryScheduled') this.retried.set(event.data.taskId, moment);
    else if (event.type === 'TaskCompleted' || event.type === 'TaskFailed' || event.type === 'TaskTimedOut' || event.type === 'TaskCarriedOver') {
      this.ended.set(event.data.taskId, moment);
      if (this.undoing) this.undoing = moment;
    }
  }
}

/** Results that came too late may follow the end. */
export const endOf = (history: readonly Stored[], { last }: Moments): Moment => {
  for (const { sequence, commit } of history) {
    const end = commit.events.find(({ type }) => type === 'ExecutionCompleted' || type === 'ExecutionFailed' || type === 'ExecutionCancelled');
    if (end) return { time: end.at, sequence };
  }
  return last;
};
