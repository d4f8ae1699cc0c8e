import { isToken } from '#libs/contracts';
import { Problem } from '../problem.js';
import { type EventPosition, type Query, integer, known, one } from '../request-query.js';
import { type Level, type OutputLine, levels } from './lines.js';

export type LinesQuery = {
  readonly task: string | undefined;
  readonly stream: string | undefined;
  readonly level: Level;
  /** Lower case. */
  readonly search: string | undefined;
  readonly after: EventPosition;
  /** The last so many of those that fit. */
  readonly tail: number | undefined;
  /** Goes on until the execution has ended. */
  readonly follow: boolean;
  readonly form: 'ndjson' | 'text';
};

export const MAX_TAIL = 10_000;

const invalid = (name: string, message: string): never => {
  throw new Problem(400, 'QUERY_INVALID', `query parameter ${name} ${message}`);
};

const oneOf = <T extends string>(query: Query, name: string, values: readonly T[], fallback: T): T => {
  const text = one(query, name) ?? fallback;
  return values.find((value) => value === text) ?? invalid(name, `must be one of ${values.join(', ')}`);
};

/** Throws Problem QUERY_INVALID. */
export const parseLinesQuery = (query: Query): LinesQuery => {
  known(query, ['task', 'stream', 'level', 'search', 'after', 'tail', 'follow', 'format', 'access_token']);
  const [task, stream, search] = [one(query, 'task'), one(query, 'stream'), one(query, 'search')];
  if (task !== undefined && !isToken(task)) invalid('task', 'must be the id of a task');
  if (stream !== undefined && stream !== 'stdout' && stream !== 'stderr') invalid('stream', 'must be stdout or stderr');
  if (search !== undefined && (search.length === 0 || search.length > 200)) invalid('search', 'must be text of 1 to 200 characters');
  const after = /^(\d{1,15})\/(\d{1,6})$/.exec(one(query, 'after') ?? '0/0');
  if (!after) invalid('after', 'must be a position as a line carries it: <sequence>/<index>');
  return {
    task,
    stream,
    level: oneOf(query, 'level', levels, 'debug'),
    search: search?.toLowerCase(),
    after: { sequence: Number(after?.[1]), index: Number(after?.[2]) },
    tail: query['tail'] === undefined ? undefined : integer(query, 'tail', 0, 1, MAX_TAIL),
    follow: oneOf(query, 'follow', ['true', 'false'], 'false') === 'true',
    form: oneOf(query, 'format', ['ndjson', 'text'], 'ndjson'),
  };
};

/** Whether a line is behind the cursor, and what is wanted. */
export const isWanted = ({ after, stream, level, search }: LinesQuery, line: OutputLine): boolean => {
  const [sequence = 0, index = 0] = line.position.split('/').map(Number);
  if (sequence < after.sequence || (sequence === after.sequence && index <= after.index && after.sequence > 0)) return false;
  if (stream !== undefined && line.stream !== stream) return false;
  if (levels.indexOf(line.level) < levels.indexOf(level)) return false;
  return search === undefined || line.text.toLowerCase().includes(search);
};
