import fc from 'fast-check';
import { SHARDS } from '#libs/contracts';
import { shardsOf } from './shards.js';

const members = fc.uniqueArray(fc.uuid(), { minLength: 1, maxLength: 6 });

it('gives every shard to exactly one member', () => {
  fc.assert(
    fc.property(members, (all) => {
      const owned = all.flatMap((member) => [...shardsOf(member, all)]);
      expect(owned.toSorted((a, b) => a - b)).toEqual(Array.from({ length: SHARDS }, (_, shard) => shard));
    }),
  );
});

it('moves only the shards of the member that has gone', () => {
  fc.assert(
    fc.property(members, ([gone = '', ...rest]) => {
      fc.pre(rest.length > 0);
      for (const member of rest) {
        const before = shardsOf(member, [gone, ...rest]);
        const after = shardsOf(member, rest);
        expect([...before].every((shard) => after.has(shard))).toBe(true);
      }
    }),
  );
});
