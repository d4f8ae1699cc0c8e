import { type Query, parseEventsQuery, parseListQuery, parseOutputQuery, parseReadQuery, parseStatsQuery } from './request-query.js';

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
  ['a day that is none', { from: '2026-02-30T12:00:00Z' }],
  ['a date', { until: '2026-11-20' }],
  ['a month 13', { from: '2026-13-20T12:00:00Z' }],
])('refuses %s', (_, query) => {
  expect(() => list(query)).toThrow(invalid);
});

it('reads positions of events', () => {
  expect(parseEventsQuery({})).toEqual({ after: { sequence: 0, index: 0 }, limit: 200, at: {} });
  expect(parseEventsQuery({ after: '12/3', limit: '5' })).toEqual({ after: { sequence: 12, index: 3 }, limit: 5, at: {} });
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

it('reads when a read is of: a log sequence, a time, or now with something known at least', () => {
  expect(parseReadQuery({})).toEqual({});
  expect(parseReadQuery({ asOf: '12' })).toEqual({ asOf: { sequence: 12 } });
  expect(parseReadQuery({ asOf: '2026-11-20T12:00:00+01:00' })).toEqual({ asOf: { time: Date.parse('2026-11-20T11:00:00Z') } });
  expect(parseReadQuery({ minSeq: '7', asOf: '9' })).toEqual({ minSeq: 7, asOf: { sequence: 9 } });
  expect(parseEventsQuery({ asOf: '3' }).at).toEqual({ asOf: { sequence: 3 } });
  expect(parseOutputQuery({ minSeq: '0' }).at).toEqual({ minSeq: 0 });
  expect(list({ minSeq: '5' })).toMatchObject({ minSeq: 5 });
  expect(parseStatsQuery({ minSeq: '5' })).toEqual({ minSeq: 5 });
});

it.each<[string, Query]>([
  ['sequence 0', { asOf: '0' }],
  ['a negative sequence', { asOf: '-1' }],
  ['a sequence beyond every number', { asOf: '99999999999999999999' }],
  ['a time without zone', { asOf: '2026-11-20T12:00:00' }],
  ['a day that is not there', { asOf: '2026-02-31T99:00:00Z' }],
  ['the future', { asOf: '2999-01-01T00:00:00Z' }],
  ['nothing', { asOf: '' }],
  ['two of them', { asOf: ['1', '2'] }],
  ['a minSeq that is no number', { minSeq: 'latest' }],
  ['an unknown parameter', { asof: '1' }],
])('refuses to read as of %s', (_, query) => {
  expect(() => parseReadQuery(query)).toThrow(invalid);
});
