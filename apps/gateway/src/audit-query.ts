import { isPermission } from '#libs/access';
import type { AuditRecord } from '#libs/contracts';
import type { AuditQuery } from '#libs/jetstream';
import { type Query, integer, invalid, known, one, time } from './request-query.js';

export const outcomes = ['done', 'refused', 'failed'] as const;
type Outcome = (typeof outcomes)[number];

const outcomeOf = ({ status }: AuditRecord): Outcome => (status < 400 ? 'done' : status < 500 ? 'refused' : 'failed');

/** Throws Problem QUERY_INVALID. */
export const parseAuditQuery = (query: Query): AuditQuery => {
  known(query, ['actor', 'permission', 'outcome', 'from', 'until', 'limit', 'cursor']);
  const [actor, permission, outcome] = [one(query, 'actor'), one(query, 'permission'), one(query, 'outcome')];
  if (permission !== undefined && !isPermission(permission)) invalid('permission', 'must be one that a role has');
  if (outcome !== undefined && !(outcomes as readonly string[]).includes(outcome)) invalid('outcome', `must be one of ${outcomes.join(', ')}`);
  const [from, until] = [time(query, 'from'), time(query, 'until')];
  return {
    accepts: (record) =>
      (actor === undefined || record.actor === actor) &&
      (permission === undefined || record.permission === permission) &&
      (outcome === undefined || outcomeOf(record) === outcome),
    limit: integer(query, 'limit', 100, 1, 1_000),
    ...(from !== undefined && { from }),
    ...(until !== undefined && { until }),
    ...(one(query, 'cursor') !== undefined && { cursor: integer(query, 'cursor', 0, 0, Number.MAX_SAFE_INTEGER) }),
  };
};
