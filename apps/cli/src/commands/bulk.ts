import type { ExecutionStatus } from '#libs/contracts';
import type { ExecutionSummary } from '#libs/projections';
import { EXIT, type ExitCode } from '../exit-codes.js';
import type { ClientOptions, Session } from '../session.js';
import { dateTime, styleOf } from '../terminal/format.js';
import { printable } from '../terminal/screen.js';
import { type Cell, heading, printTable } from '../terminal/table.js';
import { type Accepted, follow } from './run.js';

export type BulkOptions = ClientOptions & {
  readonly status?: readonly string[];
  readonly label?: Readonly<Record<string, string>>;
  readonly name?: string;
  readonly from?: string;
  readonly until?: string;
  readonly origin?: string;
  readonly dryRun?: boolean;
  readonly rate?: number;
  readonly reason?: string;
  readonly graceful?: boolean;
  readonly detach?: boolean;
};

type DryRun = { readonly matched: number; readonly byStatus: Partial<Record<ExecutionStatus, number>>; readonly examples?: readonly ExecutionSummary[] };

const printDryRun = ({ out }: Session, { matched, byStatus, examples = [] }: DryRun): void => {
  const parts = Object.entries(byStatus).map(([status, n]) => `${n} ${status}`);
  out.line(`${matched} ${matched === 1 ? 'execution' : 'executions'}${parts.length > 0 ? `: ${parts.join(', ')}` : ''}; nothing was changed`);
  if (examples.length === 0) return;
  const rows = examples.map(({ id, status, requestedAt, name }): readonly Cell[] => [id, { text: status, style: styleOf(status) }, dateTime(requestedAt), printable(name)]);
  printTable(out, [heading('ID', 'STATUS', 'REQUESTED', 'NAME'), ...rows]);
  if (examples.length < matched) out.line(out.paint('dim', `and ${matched - examples.length} more`));
};

/** One thing done to all executions that fit; followed to its end, which Ctrl-C leaves as it is. */
export const bulk = async (session: Session, action: 'pause' | 'resume' | 'cancel' | 'retry' | 'delete', options: BulkOptions): Promise<ExitCode> => {
  const { status, label: labels, name, from, until, origin, dryRun, rate: ratePerSecond, reason, graceful } = options;
  const body = { filter: { status, labels, name, from, until, origin }, dryRun, ratePerSecond, reason, ...(graceful === true && { mode: 'graceful' }) };
  const answer = await session.api.post<Accepted | DryRun>(`/bulk/${action}`, body);
  if ('id' in answer) return await follow(session, answer, options);
  if (session.json) session.out.json(answer);
  else printDryRun(session, answer);
  return EXIT.ok;
};
