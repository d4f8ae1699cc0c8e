import type { TaskView } from '#libs/projections';
import { EXIT, type ExitCode } from '../exit-codes.js';
import { type Shown, readShown } from '../executions-api.js';
import type { ClientOptions, Session } from '../session.js';
import { clock, dateTime, originText, progressText, styleOf, took } from '../terminal/format.js';
import { type Screen, printable } from '../terminal/screen.js';
import { type Cell, heading, printTable } from '../terminal/table.js';

export type AsOfOptions = ClientOptions & { readonly asOf?: string };

const noteOf = ({ status, error, why, waitsFor, retryAt, carriedFrom, progress, steps, subExecution }: TaskView): string => {
  const step = steps[steps.length - 1];
  if (carriedFrom !== null) return `carried over from ${carriedFrom}`;
  if (why !== null) return why;
  if (waitsFor !== null) return waitsFor.kind === 'time' ? `until ${clock(waitsFor.name)}` : `waits for ${waitsFor.kind} ${waitsFor.name}`;
  if (status === 'pending' && retryAt !== null) return `again at ${clock(retryAt)}${error ? ` after ${error.code}: ${error.message}` : ''}`;
  if (progress !== null && error === null) return progressText(progress);
  if (error !== null) return `${error.code}: ${error.message}`;
  if (subExecution !== null) return `was execution ${subExecution}`;
  return status === 'running' && step?.status === 'running' ? `step ${step.name}` : '';
};

const ITEM_LENGTH = 40;

/** What it is for, where it is one of many. */
const itemOf = ({ parent, item }: TaskView): string => {
  if (parent === null || item === null) return '';
  const text = typeof item === 'string' ? item : JSON.stringify(item);
  return `for ${text.length > ITEM_LENGTH ? `${text.slice(0, ITEM_LENGTH)}…` : text}`;
};

const taskRow = (task: TaskView): readonly Cell[] => [
  task.id,
  { text: task.status, style: styleOf(task.status) },
  task.attempt === 0 ? '' : String(task.attempt),
  task.status === 'pending' ? '' : took(task.startedAt, task.endedAt),
  printable([itemOf(task), noteOf(task)].filter((part) => part !== '').join(': ')),
];

export const printShown = (out: Screen, { execution, tasks }: Shown): void => {
  const { name, status, id, requestedAt, startedAt, endedAt, version, sequence, labels, metadata, parent, reason, cancel, origin, successors = [] } = execution;
  const field = (field: string, text: string): readonly Cell[] => [{ text: field, style: 'dim' }, printable(text)];
  out.line(`${out.paint('bold', printable(name))}  ${out.paint(styleOf(status), status)}`);
  printTable(out, [
    field('id', id),
    field('requested', dateTime(requestedAt)),
    ...(startedAt === null ? [] : [field(endedAt === null ? 'running for' : 'took', took(startedAt, endedAt))]),
    ...(Object.keys(labels).length === 0 ? [] : [field('labels', Object.entries(labels).map(([key, value]) => `${key}=${value}`).join(', '))]),
    ...(Object.keys(metadata).length === 0 ? [] : [field('metadata', Object.entries(metadata).map(([key, value]) => `${key}=${value}`).join(', '))]),
    ...(parent === null ? [] : [field('parent', `${parent.execution}, task ${parent.task}, attempt ${parent.attempt}`)]),
    ...(reason === null ? [] : [field('reason', `${reason.code}: ${reason.message}`)]),
    ...(cancel === null ? [] : [field('cancel', `${cancel.mode}${cancel.reason === null ? '' : `: ${cancel.reason}`}`)]),
    ...(origin === null ? [] : [field('origin', originText(origin))]),
    ...successors.map(({ id: successor, kind }) => field('carried on by', `${successor} (${kind})`)),
    field('version', `${version}, log sequence ${sequence}`),
  ]);
  out.line();
  printTable(out, [heading('TASK', 'STATUS', 'TRY', 'TOOK', 'NOTE'), ...tasks.map(taskRow)]);
};

export const show = async ({ api, out, json }: Session, id: string, { asOf }: AsOfOptions): Promise<ExitCode> => {
  const shown = await readShown(api, id, { asOf });
  if (json) out.json(shown);
  else printShown(out, shown);
  return EXIT.ok;
};
