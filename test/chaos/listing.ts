import type { BulkAction, Event } from '#libs/contracts';
import type { StoredCommit } from '#libs/ledger';

type Listed = {
  status: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly requestedAt: string;
  readonly isChild: boolean;
  readonly origin: string | undefined;
  hasStarted: boolean;
  /** Sequence of the commit that last changed its status. */
  since: number;
};

/** What is asked for in bulk: the labels, and until when it was requested. */
export type Wanted = { readonly labels?: Readonly<Record<string, string>>; readonly until?: string };

const actionable: Readonly<Record<BulkAction, readonly string[]>> = {
  pause: ['pending', 'running'],
  resume: ['paused'],
  cancel: ['pending', 'running', 'paused', 'cancelling'],
  retry: ['failed'],
  delete: ['completed', 'failed', 'cancelled'],
};

/** Which executions there are, and what could be done to them in bulk, at any place of the log: told a second time, without any read model. */
export class Listing {
  readonly all = new Map<string, Listed>();

  take({ ref, sequence, commit }: StoredCommit): void {
    for (const event of commit.events) this.takeEvent(ref.execution, sequence, event);
  }

  fitting(action: BulkAction, { labels = {}, until = '9' }: Wanted): readonly string[] {
    const carriedOn = new Set([...this.all.values()].map(({ origin }) => origin));
    return [...this.all].flatMap(([id, listed]) => {
      const isFit = actionable[action].includes(listed.status) && listed.requestedAt < until && Object.entries(labels).every(([key, value]) => listed.labels[key] === value);
      return isFit && (action !== 'retry' || (!carriedOn.has(id) && !listed.isChild)) ? [id] : [];
    });
  }

  private takeEvent(id: string, sequence: number, event: Event): void {
    if (event.type === 'ExecutionRequested') {
      const { labels, parent, origin } = event.data;
      this.all.set(id, { status: 'pending', labels, requestedAt: event.at, isChild: parent !== undefined, origin: origin?.execution, hasStarted: false, since: sequence });
    }
    const listed = this.all.get(id);
    const status = statusAfter(event, listed?.hasStarted ?? false);
    if (event.type === 'ExecutionDeleted') this.all.delete(id);
    if (!listed || status === undefined) return;
    Object.assign(listed, { status, since: sequence, hasStarted: listed.hasStarted || event.type === 'ExecutionStarted' });
  }
}

const statuses: Readonly<Partial<Record<Event['type'], string>>> = {
  ExecutionStarted: 'running',
  ExecutionPaused: 'paused',
  ExecutionCancelRequested: 'cancelling',
  ExecutionCompleted: 'completed',
  ExecutionFailed: 'failed',
  ExecutionCancelled: 'cancelled',
};

const statusAfter = ({ type }: Event, hasStarted: boolean): string | undefined => (type === 'ExecutionResumed' ? (hasStarted ? 'running' : 'pending') : statuses[type]);
