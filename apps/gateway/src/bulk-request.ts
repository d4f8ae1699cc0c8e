import { BULK, type BulkAction, type BulkInput, type ExecutionStatus, type JsonObject, type Plan, type Selection, isToken } from '#libs/contracts';
import type { Fault } from './problem.js';
import { type Fields, bodyOf, isObject, isText, labelFaults, refuseFaults, unknownFields } from './request-body.js';
import { utcOf } from './request-query.js';

/** In which status an execution takes each; the first of them where none is named. */
export const actionable: Readonly<Record<BulkAction, readonly ExecutionStatus[]>> = {
  pause: ['pending', 'running'],
  resume: ['paused'],
  cancel: ['pending', 'running', 'paused', 'cancelling'],
  retry: ['failed', 'cancelled'],
  delete: ['completed', 'failed', 'cancelled'],
};

/** A cancelled execution was to end: it is retried where that is asked for. */
const byDefault = (action: BulkAction): readonly ExecutionStatus[] => (action === 'retry' ? ['failed'] : actionable[action]);

export const RATE = { least: 1, usual: 20, most: 200 } as const;

type BulkRequest = Omit<BulkInput, 'actor' | 'correlationId'> & { readonly dryRun: boolean };

const filterFaults = (action: BulkAction, filter: Fields): Fault[] => {
  const { status = [], labels, name, from, until, origin } = filter;
  const faults = unknownFields(filter, ['status', 'labels', 'name', 'from', 'until', 'origin']);
  const fault = (field: string, message: string): void => void faults.push({ path: `/${field}`, message });
  if (Object.keys(filter).length === 0) faults.push({ path: '', message: `names nothing, which would be everything there is; name at least a status: ${actionable[action].join(', ')}` });
  const isFit = (one: unknown): boolean => (actionable[action] as readonly unknown[]).includes(one);
  if (!Array.isArray(status) || !status.every(isFit)) fault('status', `must be a list of ${actionable[action].join(', ')}: others can't be ${pastOf[action]}`);
  if (labels !== undefined) faults.push(...labelFaults(labels));
  if (name !== undefined && !isText(name, 201)) fault('name', 'must be text of 1 to 200 printable characters, with * behind it for what it begins with');
  for (const [field, value] of Object.entries({ from, until })) {
    if (value !== undefined && utcOf(value) === undefined) fault(field, 'must be an RFC 3339 time with its zone, such as 2026-11-20T12:00:00Z');
  }
  if (origin !== undefined && !isToken(origin)) fault('origin', 'must be the id of an execution');
  return faults;
};

const pastOf: Readonly<Record<BulkAction, string>> = { pause: 'paused', resume: 'resumed', cancel: 'cancelled', retry: 'retried', delete: 'deleted' };

/** Executions that were requested by `now`: what comes later is none of those that were seen to fit. */
const selectionOf = (action: BulkAction, filter: Fields, now: number): Selection => {
  const { status = [], labels, name, from, until, origin } = filter as Selection;
  const time = new Date(now).toISOString();
  const asked = until === undefined ? undefined : utcOf(until);
  return {
    status: status.length > 0 ? status : byDefault(action),
    ...(labels && { labels }),
    ...(name !== undefined && { name }),
    ...(from !== undefined && { from: utcOf(from) ?? from }),
    until: asked !== undefined && asked < time ? asked : time,
    ...(origin !== undefined && { origin }),
    // What another one carries on is retried by retrying that, and what is a task of another one by retrying that one.
    ...(action === 'retry' && { carriedOn: false, child: false }),
  };
};

/** The body of a bulk operation. `now`: milliseconds since the epoch. Throws Problem BODY_EMPTY, BODY_INVALID. */
export const parseBulkRequest = (value: unknown, action: BulkAction, now: number): BulkRequest => {
  const body = bodyOf(value);
  const { filter, dryRun = false, ratePerSecond = RATE.usual, reason, mode } = body;
  const known = ['filter', 'dryRun', 'ratePerSecond', ...(action === 'retry' ? [] : ['reason']), ...(action === 'cancel' ? ['mode'] : [])];
  const faults = unknownFields(body, known);
  if (isObject(filter)) faults.push(...filterFaults(action, filter).map((fault) => ({ ...fault, path: `/filter${fault.path}` })));
  else faults.push({ path: '/filter', message: 'must be an object that says which executions' });
  if (typeof dryRun !== 'boolean') faults.push({ path: '/dryRun', message: 'must be true or false' });
  if (!Number.isInteger(ratePerSecond) || Number(ratePerSecond) < RATE.least || Number(ratePerSecond) > RATE.most) {
    faults.push({ path: '/ratePerSecond', message: `must be an integer from ${RATE.least} to ${RATE.most}` });
  }
  if (reason !== undefined && !isText(reason, 500)) faults.push({ path: '/reason', message: 'must be text of 1 to 500 printable characters' });
  if (mode !== undefined && mode !== 'graceful' && mode !== 'immediate') faults.push({ path: '/mode', message: 'must be graceful or immediate' });
  refuseFaults(faults, 'BODY_INVALID');
  return {
    action,
    filter: selectionOf(action, filter as Fields, now),
    dryRun: dryRun === true,
    ratePerSecond: Number(ratePerSecond),
    ...(typeof reason === 'string' && { reason }),
    ...((mode === 'graceful' || mode === 'immediate') && { mode }),
  };
};

/** One durable task. It is tried again for about an hour while broker or projector are away. */
export const bulkPlan = (input: BulkInput): Plan => ({
  name: `bulk ${input.action}`,
  tasks: [{ id: BULK, runner: BULK, input: JSON.parse(JSON.stringify(input)) as JsonObject, dependsOn: [], retry: { maxAttempts: 20, delayMs: 1_000, maxDelayMs: 300_000 } }],
});
