import { type Query, parseEventsQuery, parseListQuery, parseOutputQuery } from './request-query.js';

const list = (query: Query): object => parseListQuery(query, 'acme');
const invalid = expect.objectContaining({ status: 400, code: 'QUERY_INVALID' }) as Error;

it('asks for the newest 50 of the tenant when nothing is said', () => {
  expect(list({})).toEqual({ tenant: 'acme', limit: 50 });
});

it('reads every filter; statuses repeated or with commas, labels repeated', () => {
  expect(
    list({
      status: ['running,paused', 'failed'],
      label: ['team=a', 'path=x=y'],
      name: 'night*',
      from: '2026-11-20T12:00:00+01:00',
      until: '2026-11-21T00:00:00.5Z',
      limit: '1000',
      cursor: 'abc',
    }),
  ).toEqual({
    tenant: 'acme',
    status: ['running', 'paused', 'failed'],
    labels: { team: 'a', path: 'x=y' },
    name: 'night*',
    from: '2026-11-20T11:00:00.000Z',
    until: '2026-11-21T00:00:00.500Z',
    limit: 1000,
    cursor: 'abc',
  });
});

it.each<[string, Query]>([
  ['an unknown parameter', { sort: 'name' }],
  ['an unknown status', { status: 'done' }],
  ['an empty status', { status: '' }],
  ['a label without =', { label: 'team' }],
  ['a label without key', { label: '=a' }],
  ['a name given twice', { name: ['a', 'b'] }],
  ['limit 0', { limit: '0' }],
  ['limit 1001', { limit: '1001' }],
  ['an empty limit', { limit: '' }],
  ['a limit in hexadecimal', { limit: '0x10' }],
  ['a limit with a fraction', { limit: '1.5' }],
  ['a negative limit', { limit: '-1' }],
  ['a time without zone', { from: '2026-11-20T12:00:00' }],
  ['a date', { until: '2026-11-20' }],
  ['a month 13', { from: '2026-13-20T12:00:00Z' }],
])('refuses %s', (_, query) => {
  expect(() => list(query)).toThrow(invalid);
});

it('reads positions of events', () => {
  expect(parseEventsQuery({})).toEqual({ after: { sequence: 0, index: 0 }, limit: 200 });
  expect(parseEventsQuery({ after: '12/3', limit: '5' })).toEqual({ after: { sequence: 12, index: 3 }, limit: 5 });
  for (const after of ['12', '12/', '/3', '-1/0', '1/2/3', 'a/b', '']) expect(() => parseEventsQuery({ after })).toThrow(invalid);
});

it.each<[string | undefined, string, string]>([
  [undefined, '*/*', 'json'],
  [undefined, 'text/plain', 'text'],
  ['raw', '*/*', 'bytes'],
  ['raw', 'text/plain, */*;q=0.5', 'text'],
  ['json', 'text/plain', 'json'],
])('answers output for format %s and Accept %s as %s', (format, accept, form) => {
  expect(parseOutputQuery({ format }, accept).form).toBe(form);
});

it.each<[string, Query]>([
  ['a task that is no id', { task: 'a.b' }],
  ['an unknown stream', { stream: 'stdin' }],
  ['an unknown format', { format: 'xml' }],
  ['a negative position', { after: '-1' }],
])('refuses output of %s', (_, query) => {
  expect(() => parseOutputQuery(query)).toThrow(invalid);
});
