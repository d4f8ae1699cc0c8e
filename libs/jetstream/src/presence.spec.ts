import fc from 'fast-check';
import { Presence } from './presence.js';

const TTL_MS = 3_000;
const BEAT_MS = 1_000;

/** An observer that beats every second, on a clock of the test. */
const observer = () => {
  let now = 1_000_000;
  const changes: string[] = [];
  const presence = new Presence({ self: 'me', ttlMs: TTL_MS, now: () => now, changed: () => changes.push([...presence.live().keys()].join()) });
  return {
    presence,
    changes,
    /** Connected for so long; `others` beat, too, from `backAfterMs` on. */
    connected: (forMs: number, others: readonly string[] = [], backAfterMs = 0): void => {
      for (let ms = 0; ms < forMs; ms += 250) {
        if (ms % BEAT_MS === 0) presence.hear('me', {});
        if (ms >= backAfterMs && (ms - backAfterMs) % BEAT_MS === 0) for (const other of others) presence.hear(other, {});
        presence.expire();
        now += 250;
      }
    },
    away: (forMs: number): void => {
      presence.interrupted();
      now += forMs;
    },
    goesBy: (ms: number): void => void (now += ms),
  };
};

const windows = fc.array(fc.record({ upMs: fc.integer({ min: 1, max: 60 }).map((n) => n * 250), awayMs: fc.integer({ min: 1, max: 600_000 }) }), { minLength: 1, maxLength: 40 });

it('given a member that is killed, when nothing else goes wrong, then it is absent after 3 s and for a time to live after 6 s', () => {
  const { presence, connected } = observer();
  connected(4_000, ['other']);
  connected(2_000);
  expect([...presence.live().keys()]).toEqual(['me', 'other']);
  connected(1_000);
  expect([...presence.live().keys()]).toEqual(['me']);
  expect(presence.goneFor('other')).toBeLessThan(TTL_MS);
  connected(3_000);
  expect(presence.goneFor('other')).toBeGreaterThanOrEqual(TTL_MS);
});

it('given outages of any number and length, when a member is back within 2 s of each, then it is never absent', () => {
  fc.assert(
    fc.property(windows, fc.integer({ min: 0, max: 7 }), (all, quarters) => {
      const { presence, changes, connected, away } = observer();
      connected(2_000, ['other']);
      for (const { upMs, awayMs } of all) {
        away(awayMs);
        connected(upMs, ['other'], quarters * 250);
        expect(presence.goneFor('other')).toBe(0);
      }
      expect(changes).toEqual(['me', 'me,other']);
    }),
  );
});

it('given a member that is dead, when the broker comes and goes, then what counts of each connection adds up: all of it but 3 s', () => {
  fc.assert(
    fc.property(windows, (all) => {
      const { presence, connected, away } = observer();
      connected(2_000, ['dead']);
      let counted = 0;
      for (const { upMs, awayMs } of all) {
        away(awayMs);
        connected(upMs);
        counted += Math.max(0, upMs - 3_000);
        if (upMs > 2_000 && counted >= 2 * TTL_MS + BEAT_MS) expect(presence.goneFor('dead')).toBeGreaterThanOrEqual(TTL_MS);
      }
    }),
  );
});

it('given a member that was absent, when this process reconnects, then nobody can say for 2 s, as it may be back as well', () => {
  const { presence, connected, away } = observer();
  connected(2_000, ['other']);
  connected(9_000);
  expect(presence.goneFor('other')).toBeGreaterThan(TTL_MS);
  away(10_000);
  expect(presence.goneFor('other')).toBe(0);
  connected(1_750);
  expect(presence.goneFor('other')).toBe(0);
  connected(250, ['other']);
  expect([...presence.live().keys()]).toEqual(['me', 'other']);
  expect(presence.goneFor('other')).toBe(0);
});

it('given one that was never heard of, when it is asked about, then it is absent since this connection, and stays so over the next ones', () => {
  const { presence, connected, away } = observer();
  connected(5_000);
  away(1_000);
  connected(4_000);
  expect(presence.goneFor('never')).toBe(2_000);
  away(1_000);
  connected(4_000);
  expect(presence.goneFor('never')).toBeGreaterThanOrEqual(TTL_MS);
});

it('given a process that was frozen, when it goes on, then it takes nobody for absent before their beats can have come', () => {
  const { presence, changes, connected, goesBy } = observer();
  connected(2_000, ['other']);
  goesBy(60_000);
  presence.expire();
  expect(presence.goneFor('never')).toBe(0);
  connected(2_000);
  connected(2_000, ['other']);
  expect(changes).toEqual(['me', 'me,other']);
});

it('given a member that leaves, then it is absent at once, and the count begins', () => {
  const { presence, connected } = observer();
  connected(2_000, ['other']);
  presence.leaves('other');
  expect([...presence.live().keys()]).toEqual(['me']);
  connected(2_000);
  expect(presence.goneFor('other')).toBe(2_000);
});
