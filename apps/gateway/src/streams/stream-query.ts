import { type ExecutionStatus, eventTypes, isToken } from '#libs/contracts';
import { FEED_START, type FeedPlace } from '#libs/jetstream';
import { Problem } from '../problem.js';
import { type Query, executionStatuses, integer, invalid, known, labelsOf, many, one } from '../request-query.js';
import { type StreamFilter, comesTo } from './filter.js';

export type StreamQuery = Omit<StreamFilter, 'tenant' | 'execution'> & {
  /** Of the last event that was received; undefined: begin with a snapshot. */
  readonly after: FeedPlace | undefined;
  readonly untilEnd?: boolean;
  readonly limit?: number;
};

const form = /^(\d{1,15})\/(-?\d{1,6})$/;

const placeOf = (text: string): FeedPlace | undefined => {
  const [, sequence, index] = form.exec(text) ?? [];
  if (sequence === undefined) return undefined;
  // 0/0 is before everything wherever positions are taken.
  return sequence === '0' ? FEED_START : { sequence: Number(sequence), index: Number(index) };
};

/** What a browser comes back with counts, as its address still says where it has begun. */
const afterOf = (query: Query, lastEventId: string | undefined): FeedPlace | undefined => {
  const given = one(query, 'after');
  const after = given === undefined ? undefined : (placeOf(given) ?? invalid('after', 'must be a position as an event carries it: <sequence>/<index>'));
  if (lastEventId === undefined || lastEventId === '') return after;
  const place = placeOf(lastEventId);
  if (place) return place;
  throw new Problem(400, 'QUERY_INVALID', 'Last-Event-ID must be a position as an event carries it: <sequence>/<index>');
};

const typesOf = (query: Query): ReadonlySet<string> | undefined => {
  const [types, statuses] = [many(query, 'type'), many(query, 'status')];
  const known: readonly string[] = eventTypes;
  for (const type of types) if (!known.includes(type)) invalid('type', `must be among ${eventTypes.join(', ')}`);
  for (const status of statuses) if (!executionStatuses.includes(status)) invalid('status', `must be among ${executionStatuses.join(', ')}`);
  const all = [...types, ...statuses.flatMap((status) => comesTo[status as ExecutionStatus])];
  return all.length > 0 ? new Set(all) : undefined;
};

/** Throws Problem QUERY_INVALID. */
export const parseStreamQuery = (query: Query, lastEventId: string | undefined, ofTenant: boolean): StreamQuery => {
  known(query, ['after', 'type', 'status', 'task', 'limit', 'access_token', ofTenant ? 'label' : 'until']);
  const [task, until, types, labels] = [one(query, 'task'), one(query, 'until'), typesOf(query), labelsOf(query)];
  if (task !== undefined && !isToken(task)) invalid('task', 'must be the id of a task');
  if (until !== undefined && until !== 'end') invalid('until', 'must be end: the stream ends with the execution');
  const limit = one(query, 'limit') === undefined ? undefined : integer(query, 'limit', 1, 1, 1_000_000);
  return {
    after: afterOf(query, lastEventId),
    ...(types && { types }),
    ...(task !== undefined && { task }),
    ...(labels && { labels }),
    ...(until !== undefined && { untilEnd: true }),
    ...(limit !== undefined && { limit }),
  };
};
