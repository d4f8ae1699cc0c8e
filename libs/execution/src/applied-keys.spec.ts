import fc from 'fast-check';
import { type AppliedKeys, fingerprintOf, withKey } from './applied-keys.js';

const keysOf = (count: number): AppliedKeys => {
  let applied: AppliedKeys;
  for (let i = 0; i < count; i++) applied = withKey(applied, `k${i}`, `f${i}`);
  return applied;
};

it('knows every key with its last fingerprint, and stays as it was when another is added', () => {
  const entries = fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g'), fc.string()), { maxLength: 40 });
  fc.assert(
    fc.property(entries, (added) => {
      let applied: AppliedKeys;
      const model = new Map<string, string>();
      const made: [AppliedKeys, ReadonlyMap<string, string>][] = [[applied, new Map()]];
      for (const [key, fingerprint] of added) {
        applied = withKey(applied, key, fingerprint);
        made.push([applied, new Map(model.set(key, fingerprint))]);
      }
      for (const [is, expected] of made) {
        for (const key of 'abcdefg') expect(fingerprintOf(is, key)).toBe(expected.get(key));
      }
    }),
  );
});

it('keeps few maps however many keys there are', () => {
  let maps = 0;
  for (let part = keysOf(10_000); part; part = part.older) maps += 1;
  expect(maps).toBeLessThanOrEqual(14);
});
