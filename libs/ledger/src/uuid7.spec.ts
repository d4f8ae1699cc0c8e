import { uuid7 } from './uuid7.js';

it('is a UUID of version 7 that carries its time', () => {
  const id = uuid7(Date.now() + 60_000);
  expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

it('sorts by when it was made, also within a millisecond and when the clock goes backwards', () => {
  const now = Date.now() + 120_000;
  const ids = Array.from({ length: 10_000 }, (_, i) => uuid7(now - (i % 3)));
  expect(ids).toEqual(ids.toSorted());
  expect(new Set(ids).size).toBe(ids.length);
});
