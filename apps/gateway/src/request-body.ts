import { type CancelMode, type JsonObject, type Plan, isToken } from '#libs/contracts';
import { MAX_SIGNAL_BYTES, type Succession, parsePlan } from '#libs/execution';
import { expressionRules } from '#libs/expressions';
import { runnerInputs } from '#libs/runners';
import { secretNames } from '#libs/secrets';
import { type Fault, Problem } from './problem.js';

// oxlint-disable-next-line no-control-regex
const unprintable = /[\u0000-\u001f\u007f]|\p{Surrogate}/u;
const labelKey = /^[A-Za-z0-9_.-]{1,64}$/;
const MAX_LABELS = 32;

export type ExecutionRequest = {
  readonly plan: Plan;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly input: JsonObject;
};

export type Fields = { readonly [key: string]: unknown };

export const isObject = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);
export const isText = (value: unknown, max: number): value is string =>
  typeof value === 'string' && value.length > 0 && value.length <= max && !unprintable.test(value);

export const unknownFields = (body: Fields, known: readonly string[]): Fault[] =>
  Object.keys(body)
    .filter((key) => !known.includes(key))
    .slice(0, 20)
    .map((key) => ({ path: `/${key.slice(0, 64)}`, message: `unknown field; known are ${known.join(', ')}` }));

export const labelFaults = (labels: unknown): Fault[] => {
  if (!isObject(labels)) return [{ path: '/labels', message: 'must be an object of texts' }];
  const entries = Object.entries(labels);
  if (entries.length > MAX_LABELS) return [{ path: '/labels', message: `${entries.length} labels; at most ${MAX_LABELS}` }];
  return entries.flatMap(([key, value]) => {
    if (!labelKey.test(key)) return [{ path: `/labels/${key.slice(0, 64)}`, message: `a label's key must match ${labelKey.source}` }];
    return isText(value, 256) ? [] : [{ path: `/labels/${key}`, message: 'must be text of 1 to 256 printable characters' }];
  });
};

/** Throws Problem BODY_EMPTY, BODY_INVALID. */
export const bodyOf = (body: unknown): Fields => {
  if (isObject(body)) return body;
  if (body === undefined) throw new Problem(400, 'BODY_EMPTY', 'the body is empty where a JSON object is needed');
  throw new Problem(400, 'BODY_INVALID', 'the body must be a JSON object');
};

/** Throws Problem with the code `what` where there are any. */
export const refuseFaults = (faults: readonly Fault[], what: string): void => {
  if (faults.length === 0) return;
  const [first] = faults;
  throw new Problem(400, what, `${first?.path || 'the body'}: ${first?.message ?? ''}`, { problems: faults });
};

/** An execution's input stands in the log for every task to see: no place is one for a secret. */
const withoutSecrets = (input: JsonObject): Fault[] =>
  secretNames(input).map((name) => ({ path: '', message: `refers to secret ${name}, which only the input of a task may do, in env, stdin, headers or body` }));

/** An execution's input obeys the same bounds as a task's: it is checked as one. */
const inputFaults = (input: unknown): readonly Fault[] => {
  const parsed = parsePlan({ name: 'input', tasks: [{ id: 'input', runner: 'any', input }] }, new Map([['any', withoutSecrets]]));
  return 'problems' in parsed ? parsed.problems.map(({ path, message }) => ({ path: path.replace('/tasks/0', ''), message })) : [];
};

/** The body of a request for an execution. Throws Problem BODY_INVALID or PLAN_INVALID with the path to each fault. */
export const parseExecutionRequest = (value: unknown): ExecutionRequest => {
  const body = bodyOf(value);
  const { plan, name, labels = {}, input = {} } = body;
  const faults = unknownFields(body, ['plan', 'name', 'labels', 'input']);
  if (name !== undefined && !isText(name, 200)) {
    faults.push({ path: '/name', message: 'must be text of 1 to 200 printable characters' });
  }
  faults.push(...labelFaults(labels));
  if (!isObject(input)) faults.push({ path: '/input', message: 'must be an object' });
  refuseFaults(faults, 'BODY_INVALID');
  if (Object.keys(input as object).length > 0) refuseFaults(inputFaults(input), 'BODY_INVALID');
  const parsed = parsePlan(plan, runnerInputs, expressionRules);
  if ('problems' in parsed) {
    refuseFaults(parsed.problems.map((fault) => ({ ...fault, path: `/plan${fault.path}` })), 'PLAN_INVALID');
    throw new Error('a plan without faults is a plan');
  }
  return {
    plan: parsed.plan,
    name: typeof name === 'string' ? name : parsed.plan.name,
    labels: labels as Record<string, string>,
    input: input as JsonObject,
  };
};

/** The optional body of a signal. Throws Problem BODY_INVALID. */
export const parseSignalRequest = (value: unknown): { readonly payload: JsonObject } => {
  const body = value === undefined ? {} : bodyOf(value);
  const { payload = {} } = body;
  const faults = unknownFields(body, ['payload']);
  if (!isObject(payload)) faults.push({ path: '/payload', message: 'must be an object' });
  const bytes = Buffer.byteLength(JSON.stringify(payload));
  if (bytes > MAX_SIGNAL_BYTES) faults.push({ path: '/payload', message: `has ${bytes} bytes of JSON; at most ${MAX_SIGNAL_BYTES} are kept` });
  refuseFaults(faults, 'BODY_INVALID');
  refuseFaults(inputFaults(payload).map((fault) => ({ ...fault, path: fault.path.replace('/input', '/payload') })), 'BODY_INVALID');
  return { payload: payload as JsonObject };
};

const actor = /^(user|key):[^\s*]{1,200}$/;

/** Throws Problem BODY_EMPTY, BODY_INVALID. */
export const parseResponse = (value: unknown): { readonly decision: 'approve' | 'reject'; readonly reason?: string } => {
  const body = bodyOf(value);
  const { decision, reason } = body;
  const faults = unknownFields(body, ['decision', 'reason']);
  if (decision !== 'approve' && decision !== 'reject') faults.push({ path: '/decision', message: 'must be approve or reject' });
  if (reason !== undefined && !isText(reason, 500)) faults.push({ path: '/reason', message: 'must be text of 1 to 500 printable characters' });
  refuseFaults(faults, 'BODY_INVALID');
  return { decision: decision as 'approve' | 'reject', ...(typeof reason === 'string' && { reason }) };
};

/** Throws Problem BODY_EMPTY, BODY_INVALID. */
export const parseDelegation = (value: unknown): { readonly to: string } => {
  const body = bodyOf(value);
  const { to } = body;
  const faults = unknownFields(body, ['to']);
  if (!isText(to, 204) || !actor.test(to)) faults.push({ path: '/to', message: 'must be an actor, such as user:ada or key:<id>' });
  refuseFaults(faults, 'BODY_INVALID');
  return { to: to as string };
};

const sequence = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 1;

/** The optional body of a retry, which has no fields. Throws Problem BODY_INVALID. */
export const parseRetry = (value: unknown): Succession => {
  refuseFaults(value === undefined ? [] : unknownFields(bodyOf(value), []), 'BODY_INVALID');
  return { kind: 'retry' };
};

/** Throws Problem BODY_EMPTY, BODY_INVALID. */
export const parseRerun = (value: unknown): Succession => {
  const body = bodyOf(value);
  const { fromTask } = body;
  const faults = unknownFields(body, ['fromTask']);
  if (!isToken(fromTask)) faults.push({ path: '/fromTask', message: 'must be the id of a task' });
  refuseFaults(faults, 'BODY_INVALID');
  return { kind: 'rerun', task: fromTask as string };
};

/** The optional body of a fork. Throws Problem BODY_INVALID. */
export const parseFork = (value: unknown): { readonly atSequence?: number; readonly how: Extract<Succession, { readonly kind: 'fork' }> } => {
  const body = value === undefined ? {} : bodyOf(value);
  const { atSequence, input, labels } = body;
  const faults = unknownFields(body, ['atSequence', 'input', 'labels']);
  if (atSequence !== undefined && !sequence(atSequence)) faults.push({ path: '/atSequence', message: 'must be a log sequence: an integer from 1' });
  if (labels !== undefined) faults.push(...labelFaults(labels));
  if (input !== undefined && !isObject(input)) faults.push({ path: '/input', message: 'must be an object' });
  refuseFaults(faults, 'BODY_INVALID');
  if (input !== undefined) refuseFaults(inputFaults(input), 'BODY_INVALID');
  return {
    how: { kind: 'fork', ...(input !== undefined && { input: input as JsonObject }), ...(labels !== undefined && { labels: labels as Record<string, string> }) },
    ...(atSequence !== undefined && { atSequence: atSequence as number }),
  };
};

type ControlRequest = { readonly reason?: string; readonly mode: CancelMode };

/** The optional body of pause, resume and cancel. Throws Problem BODY_INVALID. */
export const parseControlRequest = (value: unknown, verb: 'pause' | 'resume' | 'cancel'): ControlRequest => {
  const body = value === undefined ? {} : bodyOf(value);
  const { reason, mode = 'immediate' } = body;
  const faults = unknownFields(body, verb === 'cancel' ? ['reason', 'mode'] : ['reason']);
  if (reason !== undefined && !isText(reason, 500)) {
    faults.push({ path: '/reason', message: 'must be text of 1 to 500 printable characters' });
  }
  if (mode !== 'graceful' && mode !== 'immediate') faults.push({ path: '/mode', message: 'must be graceful or immediate' });
  refuseFaults(faults, 'BODY_INVALID');
  return { mode: mode as CancelMode, ...(typeof reason === 'string' && { reason }) };
};
