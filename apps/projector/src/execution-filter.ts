import type { ListQuery } from '#libs/projections';
import { decodeCursor } from './cursor.js';

/** Of the executions that fit, behind the cursor. Throws QueryRefused CURSOR_INVALID. */
export const conditionsOf = (query: ListQuery): { readonly where: string; readonly values: readonly (string | number)[] } => {
  const where = ['tenant = ?'];
  const values: (string | number)[] = [query.tenant];
  const also = (condition: string, ...given: (string | number)[]): void => {
    where.push(condition);
    values.push(...given);
  };
  if (query.status) also(`status IN (${query.status.map(() => '?').join(', ')})`, ...query.status);
  if (query.name?.endsWith('*')) also('substr(name, 1, length(?)) = ?', query.name.slice(0, -1), query.name.slice(0, -1));
  else if (query.name !== undefined) also('name = ?', query.name);
  if (query.origin !== undefined) also('origin_execution = ?', query.origin);
  if (query.parent !== undefined) also('parent_execution = ?', query.parent);
  if (query.child === false) also('parent_execution IS NULL');
  if (query.carriedOn === false) also('NOT EXISTS (SELECT 1 FROM executions AS s WHERE s.tenant = e.tenant AND s.origin_execution = e.execution)');
  if (query.from !== undefined) also('requested_at >= ?', query.from);
  if (query.until !== undefined) also('requested_at < ?', query.until);
  for (const [key, value] of Object.entries(query.labels ?? {})) {
    also('execution IN (SELECT execution FROM labels WHERE tenant = ? AND key = ? AND value = ?)', query.tenant, key, value);
  }
  if (query.cursor !== undefined) also('(requested_at, execution) < (?, ?)', ...decodeCursor(query.cursor, 2));
  return { where: where.join(' AND '), values };
};
