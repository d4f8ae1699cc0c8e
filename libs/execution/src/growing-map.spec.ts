import fc from 'fast-check';
import { GrowingMap } from './growing-map.js';

it('knows every key with its last value, and stays as it was when others are added', () => {
  const entry = fc.tuple(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g'), fc.string());
  fc.assert(
    fc.property(fc.array(fc.array(entry, { maxLength: 4 }), { maxLength: 20 }), (rounds) => {
      let map = GrowingMap.of<string>();
      const model = new Map<string, string>();
      const made: [GrowingMap<string>, ReadonlyMap<string, string>][] = [[map, new Map()]];
      for (const added of rounds) {
        map = map.plus(added);
        for (const [key, value] of added) model.set(key, value);
        made.push([map, new Map(model)]);
      }
      for (const [is, expected] of made) {
        for (const key of 'abcdefg') expect([is.get(key), is.has(key)]).toEqual([expected.get(key), expected.has(key)]);
      }
    }),
  );
});

it('keeps few maps however often it has grown', () => {
  let map: GrowingMap<number> | undefined = GrowingMap.of();
  for (let i = 0; i < 10_000; i++) map = map.plus([[`k${i}`, i]]);
  let maps = 0;
  for (; map; map = map['older']) maps += 1;
  expect(maps).toBeLessThanOrEqual(14);
});
