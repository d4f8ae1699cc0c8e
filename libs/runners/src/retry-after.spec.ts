import { retryAfter } from './retry-after.js';

const NOW = Date.parse('2026-01-01T00:00:00Z');

it.each([
  ['seconds', { 'retry-after': '120' }, 120_000],
  ['no time at all', { 'retry-after': '0' }, 0],
  ['a date', { 'retry-after': 'Thu, 01 Jan 2026 00:00:30 GMT' }, 30_000],
  ['a date by a clock that goes wrong', { 'retry-after': 'Thu, 01 Jan 2026 01:00:30 GMT', date: 'Thu, 01 Jan 2026 01:00:00 GMT' }, 30_000],
  ['a date that has passed', { 'retry-after': 'Wed, 31 Dec 2025 23:00:00 GMT' }, 0],
  ['nothing', {}, undefined],
  ['a negative number', { 'retry-after': '-5' }, undefined],
  ['a fraction', { 'retry-after': '1.5' }, undefined],
  ['words', { 'retry-after': 'soon' }, undefined],
  ['more digits than there are seconds', { 'retry-after': '9'.repeat(40) }, undefined],
])('understands %s', (_, headers, ms) => {
  expect(retryAfter(headers, NOW)).toBe(ms);
});
