import { BULK, type Json, type JsonObject, type Origin } from '#libs/contracts';
import type { AnswerView, ClarificationView, ExecutionDetail, ExecutionSummary, StepView, TaskView } from './views.js';

/** A row of the status read model, wherever it is kept; a column that was never set is null or absent. */
export type Row = { readonly [column: string]: string | number | null };

const text = (row: Row, column: string): string => String(row[column]);
const textOrNull = (row: Row, column: string): string | null => (row[column] ?? null) as string | null;
const count = (row: Row, column: string): number => Number(row[column] ?? 0);
const json = <T>(row: Row, column: string): T | null => {
  const value = row[column];
  return typeof value === 'string' ? (JSON.parse(value) as T) : null;
};

const originOf = (origin: Origin | null): ExecutionSummary['origin'] => origin && { ...origin, task: origin.task ?? null };

/** A row of `executions` as lists show it. */
export const summaryOf = (row: Row): ExecutionSummary => ({
  id: text(row, 'execution'),
  name: text(row, 'name'),
  status: row['status'] as ExecutionSummary['status'],
  labels: json<Record<string, string>>(row, 'labels') ?? {},
  dialect: text(row, 'dialect'),
  origin: originOf(json<Origin>(row, 'origin')),
  parent: json(row, 'parent'),
  requestedAt: text(row, 'requested_at'),
  startedAt: textOrNull(row, 'started_at'),
  endedAt: textOrNull(row, 'ended_at'),
  tasks: { total: count(row, 'tasks_total'), ended: count(row, 'tasks_ended'), failed: count(row, 'tasks_failed') },
  version: count(row, 'version'),
  sequence: count(row, 'sequence'),
});

/** A row of `executions` in full, with the rows of its `metadata` in any order. */
export const detailOf = (row: Row, metadata: readonly Row[]): ExecutionDetail => ({
  ...summaryOf(row),
  input: json<ExecutionDetail['input']>(row, 'input') ?? {},
  result: json(row, 'result'),
  reason: json(row, 'reason'),
  cancel: json(row, 'cancel'),
  metadata: Object.fromEntries(metadata.map((entry) => [text(entry, 'id'), text(entry, 'value')]).toSorted(([a = ''], [b = '']) => (a < b ? -1 : 1))),
});

/** Each task followed by those it is done by, where it is among the rows. */
const inOrder = (tasks: readonly Row[]): readonly Row[] => {
  const children = new Map<string, Row[]>(tasks.map((row) => [text(row, 'id'), []]));
  const others: Row[] = [];
  for (const row of tasks) (children.get(String(row['parent'] ?? '')) ?? others).push(row);
  return others.flatMap((row) => [row, ...(children.get(text(row, 'id')) ?? [])]);
};

const ended: ReadonlySet<unknown> = new Set<TaskView['status']>(['completed', 'failed', 'cancelled']);

/** A bulk operation that is ended within a page tells by its result alone what it did of that page. */
const progressOf = (row: Row): TaskView['progress'] => {
  const told = json<NonNullable<TaskView['progress']>>(row, 'progress');
  if (!told || row['runner'] !== BULK || !ended.has(row['status'])) return told;
  const { done, failed } = json<JsonObject>(row, 'result') ?? {};
  return typeof done === 'number' && typeof failed === 'number' ? { ...told, done, failed } : told;
};

/** Rows of `tasks` by position, with the rows of `steps` of the same execution in any order. */
export const tasksOf = (tasks: readonly Row[], steps: readonly Row[]): readonly TaskView[] => {
  const stepsByTask = new Map<string, StepView[]>();
  for (const row of steps.toSorted(byStart)) {
    const known = stepsByTask.get(text(row, 'task'));
    if (known) known.push(stepOf(row));
    else stepsByTask.set(text(row, 'task'), [stepOf(row)]);
  }
  return inOrder(tasks).map((row) => ({
    id: text(row, 'id'),
    runner: text(row, 'runner'),
    status: row['status'] as TaskView['status'],
    dependsOn: json<string[]>(row, 'depends_on') ?? [],
    parent: textOrNull(row, 'parent'),
    item: json<Json>(row, 'item'),
    attempt: count(row, 'attempt'),
    startedAt: textOrNull(row, 'started_at'),
    endedAt: textOrNull(row, 'ended_at'),
    retryAt: textOrNull(row, 'retry_at'),
    result: json(row, 'result'),
    error: json(row, 'error'),
    waitsFor: json(row, 'waits_for'),
    subExecution: textOrNull(row, 'sub_execution'),
    why: textOrNull(row, 'why'),
    progress: progressOf(row),
    carriedFrom: textOrNull(row, 'carried_from'),
    steps: stepsByTask.get(text(row, 'id')) ?? [],
  }));
};

/** A row of `clarifications`, with its rows of `answers` in any order. */
export const clarificationOf = (execution: string, row: Row, answers: readonly Row[]): ClarificationView => ({
  execution,
  task: text(row, 'task'),
  attempt: count(row, 'attempt'),
  title: text(row, 'title'),
  description: textOrNull(row, 'description'),
  status: row['status'] as ClarificationView['status'],
  approvers: json<string[]>(row, 'approvers') ?? [],
  required: count(row, 'required'),
  approvals: answers.filter(({ decision }) => decision === 'approve').length,
  delegable: count(row, 'delegable') === 1,
  requestedAt: text(row, 'requested_at'),
  expiresAt: textOrNull(row, 'expires_at'),
  onExpiry: row['on_expiry'] as ClarificationView['onExpiry'],
  endedAt: textOrNull(row, 'ended_at'),
  answers: answers.toSorted(byTime).map((answer) => ({
    by: text(answer, 'by_actor'),
    decision: (answer['decision'] ?? null) as AnswerView['decision'],
    to: textOrNull(answer, 'to_actor'),
    reason: textOrNull(answer, 'reason'),
    at: text(answer, 'at'),
  })),
});

/** By the id where the time is the same. */
const byTime = (a: Row, b: Row): number => {
  const [left, right] = [`${text(a, 'at')} ${text(a, 'id')}`, `${text(b, 'at')} ${text(b, 'id')}`];
  return left < right ? -1 : Number(left > right);
};

/** Steps of one attempt carry a number; those of a later attempt start later. */
const byStart = (a: Row, b: Row): number => {
  const [left, right] = [text(a, 'started_at'), text(b, 'started_at')];
  if (left !== right) return left < right ? -1 : 1;
  return count(a, 'number') - count(b, 'number') || (text(a, 'id') < text(b, 'id') ? -1 : 1);
};

const stepOf = (row: Row): StepView => ({
  id: text(row, 'id'),
  name: text(row, 'name'),
  status: row['status'] as StepView['status'],
  startedAt: text(row, 'started_at'),
  endedAt: textOrNull(row, 'ended_at'),
  error: textOrNull(row, 'error'),
  metadata: json<Record<string, string>>(row, 'metadata') ?? {},
});
