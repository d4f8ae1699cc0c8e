import { type ArtifactType, type ExecutionStatus, artifactTypes, isToken, parseTime } from '#libs/contracts';
import type { ArtifactsQuery, AtLeast, ListQuery, PendingQuery } from '#libs/projections';
import { Problem } from './problem.js';
import { isText } from './request-body.js';

export type Query = Readonly<Record<string, string | readonly string[] | undefined>>;

export const executionStatuses: readonly string[] = ['pending', 'running', 'paused', 'cancelling', 'completed', 'failed', 'cancelled'];

/** Throws Problem QUERY_INVALID. */
export const invalid = (name: string, message: string): never => {
  throw new Problem(400, 'QUERY_INVALID', `query parameter ${name} ${message}`, {
    problems: [{ path: `?${name}`, message }],
  });
};

/** Throws Problem QUERY_INVALID for what is not among the names. */
export const known = (query: Query, names: readonly string[]): void => {
  for (const name of Object.keys(query)) {
    if (!names.includes(name)) invalid(name.slice(0, 64), `is unknown; known are ${names.join(', ')}`);
  }
};

const all = (query: Query, name: string): readonly string[] => {
  const value = query[name];
  return value === undefined ? [] : typeof value === 'string' ? [value] : value;
};

/** Values that were given several times, or separated by commas. */
export const many = (query: Query, name: string): readonly string[] => all(query, name).flatMap((value) => value.split(','));

export const one = (query: Query, name: string): string | undefined => {
  const values = all(query, name);
  if (values.length > 1) invalid(name, 'may be given once');
  return values[0];
};

export const integer = (query: Query, name: string, fallback: number, min: number, max: number): number => {
  const text = one(query, name);
  if (text === undefined) return fallback;
  const value = Number(text);
  if (!/^\d{1,16}$/.test(text) || value < min || value > max) invalid(name, `must be an integer from ${min} to ${max}`);
  return value;
};

/** An RFC 3339 time in UTC; undefined for what is none. */
export const utcOf = (value: unknown): string | undefined => {
  const ms = typeof value === 'string' ? parseTime(value) : undefined;
  return ms === undefined ? undefined : new Date(ms).toISOString();
};

/** An RFC 3339 time in UTC. Throws Problem QUERY_INVALID. */
export const time = (query: Query, name: string): string | undefined => {
  const text = one(query, name);
  if (text === undefined) return undefined;
  return utcOf(text) ?? invalid(name, 'must be an RFC 3339 time with its zone, such as 2026-11-20T12:00:00Z');
};

/** A log sequence, or a time of the broker's clock in milliseconds since the epoch: what stood there then is what is read. */
export type AsOf = { readonly sequence: number } | { readonly time: number };

/** When a read of one execution is of: as of then, or now with `minSeq` known at least. */
export type ReadAt = { readonly asOf?: AsOf; readonly minSeq?: number };

const readAtNames = ['asOf', 'minSeq'] as const;

const parseAsOf = (query: Query): AsOf | undefined => {
  const text = one(query, 'asOf');
  if (text === undefined) return undefined;
  if (/^\d+$/.test(text)) return { sequence: integer(query, 'asOf', 0, 1, Number.MAX_SAFE_INTEGER) };
  const ms = parseTime(text) ?? invalid('asOf', 'must be a log sequence or an RFC 3339 time with its zone, such as 2026-11-20T12:00:00Z');
  // What will be stored until then is not known yet: the same question would have two answers.
  if (ms > Date.now()) invalid('asOf', 'is in the future; leave it out to read what is known now');
  return { time: ms };
};

const parseMinSeq = (query: Query): Pick<AtLeast, 'minSeq'> =>
  one(query, 'minSeq') === undefined ? {} : { minSeq: integer(query, 'minSeq', 0, 0, Number.MAX_SAFE_INTEGER) };

const readAt = (query: Query): ReadAt => {
  const asOf = parseAsOf(query);
  return { ...(asOf && { asOf }), ...parseMinSeq(query) };
};

/** Throws Problem QUERY_INVALID. */
export const parseReadQuery = (query: Query): ReadAt => {
  known(query, readAtNames);
  return readAt(query);
};

/** Throws Problem QUERY_INVALID. */
export const parseStatsQuery = (query: Query): AtLeast => {
  known(query, ['minSeq']);
  return parseMinSeq(query);
};

/** `label=key=value`, given once or several times; undefined for none. Throws Problem QUERY_INVALID. */
export const labelsOf = (query: Query): Readonly<Record<string, string>> | undefined => {
  const labels = all(query, 'label').map((label) => {
    const at = label.indexOf('=');
    if (at < 1) invalid('label', 'must be key=value');
    return [label.slice(0, at), label.slice(at + 1)];
  });
  return labels.length > 0 ? (Object.fromEntries(labels) as Record<string, string>) : undefined;
};

/** Throws Problem QUERY_INVALID. */
export const parseListQuery = (query: Query, tenant: string): ListQuery & AtLeast => {
  known(query, ['status', 'label', 'name', 'parent', 'from', 'until', 'origin', 'limit', 'cursor', 'minSeq']);
  const wanted = many(query, 'status');
  for (const status of wanted) if (!executionStatuses.includes(status)) invalid('status', `must be among ${executionStatuses.join(', ')}`);
  const labels = labelsOf(query);
  const parent = one(query, 'parent');
  if (parent !== undefined && !isToken(parent)) invalid('parent', 'must be the id of an execution');
  const [name, from, until, cursor] = [one(query, 'name'), time(query, 'from'), time(query, 'until'), one(query, 'cursor')];
  const origin = one(query, 'origin');
  if (origin !== undefined && !isToken(origin)) invalid('origin', 'must be the id of an execution');
  return {
    tenant,
    limit: integer(query, 'limit', 50, 1, 1_000),
    ...(wanted.length > 0 && { status: wanted as ExecutionStatus[] }),
    ...(labels && { labels }),
    ...(name !== undefined && { name }),
    ...(parent !== undefined && { parent }),
    ...(from !== undefined && { from }),
    ...(until !== undefined && { until }),
    ...(origin !== undefined && { origin }),
    ...(cursor !== undefined && { cursor }),
    ...parseMinSeq(query),
  };
};

/** Throws Problem QUERY_INVALID. */
export const parsePendingQuery = (query: Query, tenant: string): PendingQuery & AtLeast => {
  known(query, ['limit', 'cursor', 'minSeq']);
  const cursor = one(query, 'cursor');
  return { tenant, limit: integer(query, 'limit', 50, 1, 200), ...(cursor !== undefined && { cursor }), ...parseMinSeq(query) };
};

/** Throws Problem QUERY_INVALID. */
export const parseDeleteQuery = (query: Query): { readonly reason?: string } => {
  known(query, ['reason']);
  const reason = one(query, 'reason');
  if (reason !== undefined && !isText(reason, 500)) invalid('reason', 'must be text of 1 to 500 printable characters');
  return reason === undefined ? {} : { reason };
};

/** `of`: the execution that is asked, rather than the query naming one. Throws Problem QUERY_INVALID. */
export const parseArtifactsQuery = (query: Query, tenant: string, of?: string): ArtifactsQuery & AtLeast => {
  known(query, [...(of === undefined ? ['execution'] : []), 'task', 'step', 'type', 'tag', 'limit', 'cursor', 'minSeq']);
  const types = all(query, 'type').flatMap((value) => value.split(','));
  for (const type of types) if (!(artifactTypes as readonly string[]).includes(type)) invalid('type', `must be among ${artifactTypes.join(', ')}`);
  const tags = all(query, 'tag');
  if (tags.length > 16) invalid('tag', 'may be given 16 times at most');
  const [execution, task, step, cursor] = [of ?? one(query, 'execution'), one(query, 'task'), one(query, 'step'), one(query, 'cursor')];
  return {
    tenant,
    limit: integer(query, 'limit', 50, 1, 200),
    ...(execution !== undefined && { execution }),
    ...(task !== undefined && { task }),
    ...(step !== undefined && { step }),
    ...(types.length > 0 && { type: types as ArtifactType[] }),
    ...(tags.length > 0 && { tags }),
    ...(cursor !== undefined && { cursor }),
    ...parseMinSeq(query),
  };
};

/** A place among an execution's events: `<log sequence>/<index>`. */
export type EventPosition = { readonly sequence: number; readonly index: number };

/** Throws Problem QUERY_INVALID. */
export const parseEventsQuery = (query: Query): { readonly after: EventPosition; readonly limit: number; readonly at: ReadAt } => {
  known(query, ['after', 'limit', ...readAtNames]);
  const text = one(query, 'after') ?? '0/0';
  const match = /^(\d{1,15})\/(\d{1,6})$/.exec(text);
  if (!match) invalid('after', 'must be a position as an event carries it: <sequence>/<index>');
  return {
    after: { sequence: Number(match?.[1]), index: Number(match?.[2]) },
    limit: integer(query, 'limit', 200, 1, 1_000),
    at: readAt(query),
  };
};

/** How output is answered: as JSON, or as the bytes that were written, for a reader or for a file. */
type OutputForm = 'json' | 'text' | 'bytes';

type OutputQuery = {
  readonly task: string | undefined;
  readonly stream: string | undefined;
  readonly after: number;
  readonly limit: number;
  readonly form: OutputForm;
  readonly at: ReadAt;
};

const formOf = (format: string | undefined, accept: string): OutputForm => {
  const text = /\btext\/plain\b/i.test(accept);
  if (format === 'raw') return text ? 'text' : 'bytes';
  return format === undefined && text ? 'text' : 'json';
};

/** Throws Problem QUERY_INVALID. A chunk has at most 32 KiB. */
export const parseOutputQuery = (query: Query, accept = ''): OutputQuery => {
  // The token that a browser's link carries has been seen to.
  known(query, ['task', 'stream', 'after', 'limit', 'format', 'access_token', ...readAtNames]);
  const [task, stream, format] = [one(query, 'task'), one(query, 'stream'), one(query, 'format')];
  if (task !== undefined && !isToken(task)) invalid('task', 'must be the id of a task');
  if (stream !== undefined && stream !== 'stdout' && stream !== 'stderr') invalid('stream', 'must be stdout or stderr');
  if (format !== undefined && format !== 'raw' && format !== 'json') invalid('format', 'must be json or raw');
  const form = formOf(format, accept);
  return {
    task,
    stream,
    form,
    at: readAt(query),
    after: integer(query, 'after', 0, 0, Number.MAX_SAFE_INTEGER),
    limit: integer(query, 'limit', form === 'json' ? 200 : 1_000, 1, 1_000),
  };
};
