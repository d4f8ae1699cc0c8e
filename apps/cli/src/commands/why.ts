import type { EndedBy, Wait, Why } from '#libs/projections';
import { EXIT, type ExitCode } from '../exit-codes.js';
import { pathOf } from '../executions-api.js';
import type { Session } from '../session.js';
import { dateTime, duration, styleOf } from '../terminal/format.js';
import { printable } from '../terminal/screen.js';
import { type Cell, heading, printTable } from '../terminal/table.js';
import type { AsOfOptions } from './show.js';

/** A call of the API as the command that makes it. */
const commandOf = (call: string): string => {
  const [verb = '', name] = call.slice(call.lastIndexOf('executions/')).split('/').slice(2);
  if (verb === 'clarifications') return `approve … ${name}`;
  return name === undefined ? verb : `${verb.replace(/s$/, '')} … ${name}`;
};

/** For whoever sits at this command line. */
const whoEnds = ({ kind, name }: EndedBy): string => {
  switch (kind) {
    case 'time':
      return dateTime(name);
    case 'event':
      return `an event ${name}`;
    case 'execution':
      return `execution ${name}`;
    case 'task':
      return `task ${name}`;
    case 'executor':
      return 'an executor';
    case 'client':
      return `runledger ${commandOf(name)}`;
  }
};

/** `now` is undefined where the answer is of another time than now. */
const row = ({ task, text, since, endedBy }: Wait, now: number | undefined): readonly Cell[] => [
  task ?? '-',
  printable(text),
  `${now === undefined ? dateTime(since.time) : duration(now - Date.parse(since.time))} (log sequence ${since.sequence})`,
  [...new Set(endedBy.map(whoEnds))].join(', '),
];

/** What an execution waits for, since when, and who could end it. */
export const why = async ({ api, out, json }: Session, id: string, { asOf }: AsOfOptions): Promise<ExitCode> => {
  const answer = await api.get<Why>(`${pathOf(id)}/why`, { asOf });
  if (json) {
    out.json(answer);
    return EXIT.ok;
  }
  const { status, waitsFor, total, deadlineAt, ended } = answer;
  const painted = out.paint(styleOf(status), status);
  if (ended) {
    const reason = ended.reason === null ? '' : `, ${printable(`${ended.reason.code}: ${ended.reason.message}`)}`;
    out.line(`${id} is ${painted} since ${dateTime(ended.time)} (log sequence ${ended.sequence})${reason}; it waits for nothing`);
    return EXIT.ok;
  }
  out.line(`${id} is ${painted}${deadlineAt === null ? '' : `, and fails at ${dateTime(deadlineAt)} if it has not ended by then`}`);
  if (waitsFor.length > 0) {
    const now = asOf === undefined ? Date.now() : undefined;
    printTable(out, [heading('TASK', 'WHAT', now === undefined ? 'SINCE' : 'FOR', 'ENDED BY'), ...waitsFor.map((wait) => row(wait, now))]);
  }
  if (total > waitsFor.length) out.line(`… and ${total - waitsFor.length} more`);
  return EXIT.ok;
};
