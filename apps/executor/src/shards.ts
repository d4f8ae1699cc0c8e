import { hash } from 'node:crypto';
import { SHARDS } from '#libs/contracts';

const weight = (member: string, shard: number): number =>
  hash('sha256', `${member}/${shard}`, 'buffer').readUIntBE(0, 6);

/**
 * The shards that fall to `self` among the living members, by rendezvous hashing: when a member comes or goes, only its own
 * shards move. Every member that sees the same members comes to the same answer.
 */
export const shardsOf = (self: string, members: Iterable<string>): ReadonlySet<number> => {
  const others = [...members].filter((member) => member !== self);
  const mine = new Set<number>();
  for (let shard = 0; shard < SHARDS; shard++) {
    const own = weight(self, shard);
    const beaten = others.some((other) => {
      const theirs = weight(other, shard);
      return theirs > own || (theirs === own && other > self);
    });
    if (!beaten) mine.add(shard);
  }
  return mine;
};
