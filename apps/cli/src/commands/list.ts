import type { ListAnswer } from '#libs/projections';
import { EXIT, type ExitCode } from '../exit-codes.js';
import type { ClientOptions, Session } from '../session.js';
import { dateTime, styleOf, took } from '../terminal/format.js';
import { printable } from '../terminal/screen.js';
import { type Cell, heading, printTable } from '../terminal/table.js';

export type ListOptions = ClientOptions & {
  readonly status?: readonly string[];
  readonly label?: Readonly<Record<string, string>>;
  readonly name?: string;
  readonly parent?: string;
  readonly from?: string;
  readonly until?: string;
  readonly origin?: string;
  readonly limit?: number;
  readonly cursor?: string;
};

export const list = async ({ api, out, err, json }: Session, options: ListOptions): Promise<ExitCode> => {
  const { status, label = {}, name, parent, from, until, origin, limit, cursor } = options;
  const labels = Object.entries(label).map(([key, value]) => `${key}=${value}`);
  const answer = await api.get<ListAnswer>('/executions', { status, label: labels, name, parent, from, until, origin, limit, cursor });
  if (json) {
    out.json(answer);
    return EXIT.ok;
  }
  if (answer.executions.length === 0) err.line('no executions');
  else {
    printTable(out, [
      heading('ID', 'STATUS', 'TASKS', 'REQUESTED', 'TOOK', 'NAME'),
      ...answer.executions.map(({ id, status: now, tasks, requestedAt, startedAt, endedAt, name: called }): readonly Cell[] => [
        id,
        { text: now, style: styleOf(now) },
        `${tasks.ended}/${tasks.total}`,
        dateTime(requestedAt),
        took(startedAt, endedAt),
        printable(called),
      ]),
    ]);
  }
  if (answer.next !== null) err.line(err.paint('dim', `there are more: the same with --cursor ${answer.next}`));
  return EXIT.ok;
};
