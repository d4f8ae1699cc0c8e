import { isToken } from '#libs/contracts';
import { type EventPosition, type Query, integer, invalid, known, one } from '../request-query.js';
import { type Level, type OutputLine, levels } from '#libs/output';

/** Behind which line to go on. */
export type LinesCursor = EventPosition & {
  /** Sequence of a chunk behind which no line was open: nothing before it needs to be read again. */
  readonly readFrom: number;
};

export type LinesQuery = {
  readonly task: string | undefined;
  readonly stream: string | undefined;
  readonly level: Level;
  /** Lower case where the case does not matter. */
  readonly search: string | undefined;
  readonly case: 'ignore' | 'exact';
  readonly after: LinesCursor;
  /** The last so many of those that fit. */
  readonly tail: number | undefined;
  /** At most so many of those that fit; undefined: all. */
  readonly limit: number | undefined;
  /** Goes on until the execution has ended. */
  readonly follow: boolean;
  readonly form: 'ndjson' | 'text';
};

export const MAX_LINES = 10_000;

const oneOf = <T extends string>(query: Query, name: string, values: readonly T[], fallback: T): T => {
  const text = one(query, name) ?? fallback;
  return values.find((value) => value === text) ?? invalid(name, `must be one of ${values.join(', ')}`);
};

const count = (query: Query, name: string): number | undefined => (query[name] === undefined ? undefined : integer(query, name, 0, 1, MAX_LINES));

/** Throws Problem QUERY_INVALID. */
export const parseLinesQuery = (query: Query): LinesQuery => {
  known(query, ['task', 'stream', 'level', 'search', 'case', 'after', 'tail', 'limit', 'follow', 'format', 'access_token']);
  const [task, stream, search] = [one(query, 'task'), one(query, 'stream'), one(query, 'search')];
  if (task !== undefined && !isToken(task)) invalid('task', 'must be the id of a task');
  if (stream !== undefined && stream !== 'stdout' && stream !== 'stderr') invalid('stream', 'must be stdout or stderr');
  if (search !== undefined && (search.length === 0 || search.length > 200)) invalid('search', 'must be text of 1 to 200 characters');
  const after = /^(\d{1,15})\/(\d{1,6})(?:@(\d{1,15}))?$/.exec(one(query, 'after') ?? '0/0');
  if (!after) invalid('after', 'must be a position as a line carries it, or a `next` as an answer ends with: <sequence>/<index>');
  const letters = oneOf(query, 'case', ['ignore', 'exact'], 'ignore');
  const [tail, limit] = [count(query, 'tail'), count(query, 'limit')];
  if (tail !== undefined && limit !== undefined) invalid('limit', 'counts from the first line, tail from the last: take one of them');
  return {
    task,
    stream,
    level: oneOf(query, 'level', levels, 'debug'),
    search: letters === 'exact' ? search : search?.toLowerCase(),
    case: letters,
    after: { sequence: Number(after?.[1]), index: Number(after?.[2]), readFrom: Math.min(Number(after?.[3] ?? 0), Number(after?.[1])) },
    tail,
    limit,
    follow: oneOf(query, 'follow', ['true', 'false'], 'false') === 'true',
    form: oneOf(query, 'format', ['ndjson', 'text'], 'ndjson'),
  };
};

export const positionOf = ({ position }: OutputLine): EventPosition => {
  const [sequence = 0, index = 0] = position.split('/').map(Number);
  return { sequence, index };
};

/** No line has position 0/0: it is before all of them. */
export const isBehind = (after: EventPosition, line: OutputLine): boolean => {
  const { sequence, index } = positionOf(line);
  return sequence > after.sequence || (sequence === after.sequence && index > after.index);
};

/** Whether a line that is behind the cursor is what is wanted. */
export const isWanted = ({ stream, level, search, case: letters }: LinesQuery, line: OutputLine): boolean => {
  if (stream !== undefined && line.stream !== stream) return false;
  if (levels.indexOf(line.level) < levels.indexOf(level)) return false;
  return search === undefined || (letters === 'exact' ? line.text : line.text.toLowerCase()).includes(search);
};
