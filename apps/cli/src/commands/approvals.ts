import type { ClarificationView, PendingAnswer } from '#libs/projections';
import { EXIT, type ExitCode } from '../exit-codes.js';
import { pathOf } from '../executions-api.js';
import type { ClientOptions, Session } from '../session.js';
import { dateTime, styleOf } from '../terminal/format.js';
import { printable } from '../terminal/screen.js';
import { type Cell, heading, printTable } from '../terminal/table.js';

export type ApprovalsOptions = ClientOptions & { readonly limit?: number; readonly cursor?: string };
export type AnswerOptions = ClientOptions & { readonly reason?: string };

type Controlled = { readonly id: string; readonly status: string; readonly sequence: number; readonly changed: boolean };

const row = ({ execution, task, title, approvers, required, approvals: has, requestedAt, expiresAt }: ClarificationView): readonly Cell[] => [
  execution,
  task,
  dateTime(requestedAt),
  expiresAt === null ? '-' : dateTime(expiresAt),
  `${has}/${required}`,
  printable(approvers.length === 0 ? 'whoever may' : approvers.join(', ')),
  printable(title),
];

/** What waits for an answer of somebody. */
export const approvals = async ({ api, out, err, json }: Session, { limit, cursor }: ApprovalsOptions): Promise<ExitCode> => {
  const answer = await api.get<PendingAnswer>('/clarifications', { limit, cursor });
  if (json) {
    out.json(answer);
    return EXIT.ok;
  }
  if (answer.clarifications.length === 0) err.line('nothing waits for an answer');
  else printTable(out, [heading('EXECUTION', 'TASK', 'SINCE', 'UNTIL', 'HAS', 'WHO', 'WHAT'), ...answer.clarifications.map(row)]);
  if (answer.next !== null) err.line(err.paint('dim', `there are more: the same with --cursor ${answer.next}`));
  return EXIT.ok;
};

const send = async ({ api, out, json }: Session, id: string, path: string, body: object, done: string): Promise<ExitCode> => {
  const answer = await api.post<Controlled>(`${pathOf(id)}/clarifications/${path}`, body);
  if (json) out.json(answer);
  else out.line(`${answer.changed ? done : 'you have answered so already'}; ${id} is ${out.paint(styleOf(answer.status), answer.status)}`);
  return EXIT.ok;
};

export const respond = (session: Session, verb: 'approve' | 'reject', id: string, task: string, { reason }: AnswerOptions): Promise<ExitCode> =>
  send(session, id, `${task}/respond`, { decision: verb, ...(reason !== undefined && { reason }) }, `${task} is ${verb === 'approve' ? 'approved' : 'rejected'} by you`);

/** `to` is an actor. */
export const delegate = (session: Session, id: string, task: string, to: string): Promise<ExitCode> =>
  send(session, id, `${task}/delegate`, { to }, `${task} is left to ${printable(to)}`);
