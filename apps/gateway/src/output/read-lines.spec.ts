import fc from 'fast-check';
import type { StoredOutput } from '#libs/jetstream';
import { Refused } from '#libs/execution';
import { LogError } from '#libs/ledger';
import { LastLines, MAX_TAIL_CHARACTERS } from './last-lines.js';
import { MAX_LINE, type OutputLine } from '#libs/output';
import { parseLinesQuery } from './lines-query.js';
import type { Source } from './output-pages.js';
import { MAX_IN_VAIN, readLines } from './read-lines.js';

const ref = { tenant: 't', execution: 'e' };
const chunk = (sequence: number, text: string | Buffer, task = 'a'): StoredOutput => ({
  sequence, task, attempt: 1, stream: 'stdout', chunk: sequence, storedAt: '2026-01-01T00:00:00.000Z', time: '2026-01-01T00:00:00.000Z', truncated: false, bytes: Buffer.from(text),
});

type Mutable<T> = { -readonly [name in keyof T]: T[name] };

/** As the store answers; counts the bytes that were read. */
class Stored implements Source {
  bytes = 0;
  ended = true;
  down = 0;
  constructor(public chunks: readonly StoredOutput[]) {}

  readonly hasEnded = (): Promise<boolean> => Promise.resolve(this.ended);
  readonly output: Mutable<Source['output']> = {
    connectedSince: 1,
    lastSequence: () => Promise.resolve(this.chunks[this.chunks.length - 1]?.sequence ?? 0),
    firstFrom: (_ref, task, sequence) => Promise.resolve(this.chunks.find((each) => each.sequence >= sequence && (task === undefined || each.task === task))),
    read: (_ref, task, range) => {
      const { afterSequence = 0, limit = Infinity } = range ?? {};
      if (this.down-- > 0) return Promise.reject(new LogError('LOG_UNAVAILABLE', 'no connection to the broker'));
      const found = this.chunks.filter((each) => each.sequence > afterSequence && (task === undefined || each.task === task));
      const chunks = found.slice(0, limit);
      for (const { bytes } of chunks) this.bytes += bytes.length;
      return Promise.resolve({ chunks, more: found.length > limit });
    },
    last: (_ref, task, { upTo = Infinity, tasks }) => {
      const found = this.chunks.filter((each) => each.sequence <= upTo && (task === undefined || each.task === task));
      const lasts = [...new Map(found.map((each) => [each.task, each] as const)).values()].toSorted((one, other) => one.sequence - other.sequence);
      for (const { bytes } of lasts) this.bytes += bytes.length;
      return Promise.resolve(lasts.length > tasks ? undefined : lasts);
    },
  };
}

const answer = async (source: Source, query: Record<string, string>, counts = (): boolean => true): Promise<string[]> => {
  const pieces: string[] = [];
  for await (const piece of readLines(source, ref, parseLinesQuery(query), { signal: new AbortController().signal, counts })) pieces.push(piece);
  return pieces.join('').split(/(?<=\n)/).filter((line) => line.trim() !== '');
};
const parsed = (pieces: readonly string[]): (OutputLine & { next?: string })[] => pieces.map((piece) => JSON.parse(piece) as OutputLine & { next?: string });

describe('an answer of lines', () => {
  it('says behind what to go on where it has as many as were asked for, and so gives each line once', async () => {
    // Two tasks whose lines interlace, so that seldom none is open.
    const chunks = Array.from({ length: 60 }, (_, i) => chunk(i + 1, i % 7 === 0 ? 'x\ny\n' : `${i}\n…`, i % 3 === 0 ? 'b' : 'a'));
    const all = parsed(await answer(new Stored(chunks), {}));
    for (const limit of [1, 2, 5, 13]) {
      const got: OutputLine[] = [];
      for (let after: string | undefined = '0/0'; after !== undefined; ) {
        const page = parsed(await answer(new Stored(chunks), { after, limit: String(limit) }));
        after = page[page.length - 1]?.next;
        got.push(...page.filter(({ next }) => next === undefined));
      }
      expect(got).toEqual(all);
    }
    expect((await answer(new Stored(chunks), { limit: '1', format: 'text' })).slice(1)).toEqual(['[runledger] not all of it: go on with after=1/0@0\n']);
  });

  it('searches so many bytes in vain, and then goes on from there, not from the beginning', async () => {
    const piece = `${'x'.repeat(32 * 1024 - 1)}\n`;
    const length = (2.5 * MAX_IN_VAIN) / piece.length;
    const source = new Stored([...Array.from({ length }, (_, i) => chunk(i + 1, piece)), chunk(length + 1, 'Found\n')]);
    const pages: unknown[] = [];
    for (let after: string | undefined = '0/0'; after !== undefined; ) {
      const page = parsed(await answer(source, { search: 'Found', case: 'exact', after }));
      pages.push(page.map(({ next, text }) => text ?? typeof next));
      after = page[page.length - 1]?.next;
    }
    expect(pages).toEqual([['string'], ['string'], ['Found']]);
    expect(source.bytes).toBeLessThan(3.1 * MAX_IN_VAIN);
  }, 60_000);

  it('tells upper from lower case where it is asked to, and takes no text for a pattern', async () => {
    const source = new Stored([chunk(1, '(a+)+$\nTable\ntable\n')]);
    expect(parsed(await answer(source, { search: 'TABLE' }))).toHaveLength(2);
    expect(parsed(await answer(source, { search: 'Table', case: 'exact' }))).toMatchObject([{ text: 'Table' }]);
    expect(parsed(await answer(source, { search: '(a+)+$' }))).toHaveLength(1);
    expect(parsed(await answer(source, { search: '.*' }))).toHaveLength(0);
  });

  it('is followed over a broker that is away, which breaks off what is not followed', async () => {
    const source = new Stored([chunk(1, 'x\n')]);
    source.down = 2;
    expect(parsed(await answer(source, { follow: 'true' }))).toMatchObject([{ text: 'x' }]);
    source.down = 1;
    await expect(answer(source, {})).rejects.toThrow(LogError);
  });

  it('ends with where to go on for whose credentials count no longer', async () => {
    const source = new Stored([chunk(1, 'x\ny')]);
    source.ended = false;
    expect(parsed(await answer(source, { follow: 'true' }, () => false))).toMatchObject([{ text: 'x' }, { next: '1/0@0' }]);
  });

  describe('that has the last of them', () => {
    /** As runners write it: of some chunks it is not known whether a line is open behind them. */
    const written = fc
      .array(
        fc.record({
          task: fc.constantFrom('a', 'b', 'c'),
          stream: fc.constantFrom('stdout' as const, 'stderr' as const),
          isNext: fc.boolean(),
          isTold: fc.nat(9).map((n) => n > 0),
          gap: fc.constantFrom(1, 1, 1, 2, 60),
          text: fc.constantFrom('x\n', 'xy\n', 'y', '\n', 'x\ny', 'ERROR x\ny\n', 'ü'.repeat(9_000), 'x\r\n', ''),
        }),
        { maxLength: 120 },
      )
      .map((pieces) => {
        const attempts = new Map<string, number>();
        const open = new Map<string, Set<string>>();
        let sequence = 7;
        return pieces.map(({ task, stream, isNext, isTold, gap, text }): StoredOutput => {
          const attempt = (attempts.get(task) ?? 1) + (isNext && text === '' ? 1 : 0);
          if (attempt !== attempts.get(task)) open.set(task, new Set());
          attempts.set(task, attempt);
          const mine = open.get(task)!;
          if (text.endsWith('\n')) mine.delete(stream);
          else mine.add(stream);
          return { ...chunk((sequence += gap), text, task), attempt, stream, ...(isTold && { otherEnded: !mine.has(stream === 'stdout' ? 'stderr' : 'stdout') }) };
        });
      });
    const queries = fc.record({ n: fc.integer({ min: 1, max: 60 }), task: fc.option(fc.constantFrom('a', 'b')), search: fc.option(fc.constantFrom('y', 'x')), after: fc.option(fc.nat()) });

    it('has the same ones, whatever was written, as all of them end with, and goes on behind them', async () => {
      await fc.assert(
        fc.asyncProperty(written, queries, fc.boolean(), async (chunks, { n, task, search, after }, ended) => {
          const source = new Stored(chunks);
          source.ended = ended;
          const everything = parsed(await answer(source, {}));
          const start = after === null || everything.length === 0 ? undefined : everything[after % everything.length]?.position;
          const query = { ...(task !== null && { task }), ...(search !== null && { search }), ...(start !== undefined && { after: start }) };
          const all = parsed(await answer(source, query));
          expect(parsed(await answer(source, { ...query, tail: String(n) }))).toEqual(all.slice(-n));
          const followed = parsed(await answer(source, { ...query, tail: String(n), follow: 'true' }, () => false));
          const next = followed.find((line) => line.next !== undefined)?.next;
          if (ended) return expect(next).toBeUndefined();
          expect(followed.slice(0, -1)).toEqual(all.slice(-n));
          source.ended = true;
          expect(parsed(await answer(source, { ...query, after: next! }))).toEqual(parsed(await answer(source, query)).slice(all.length));
        }),
        { numRuns: 200 },
      );
    }, 60_000);

    it('ends with what was never ended, in the order in which it began', async () => {
      const open = [chunk(1, 'a'), chunk(2, 'b', 'b'), chunk(3, 'a')];
      const source = new Stored([...open, ...Array.from({ length: 100 }, (_, i) => ({ ...chunk(i + 4, 'c\n', 'c'), otherEnded: true }))]);
      expect(parsed(await answer(source, { tail: '3' })).map(({ text }) => text)).toEqual(['c', 'aa', 'b']);
    });

    it('reads no more than them, also where a line that is open for long has begun at the very beginning', async () => {
      const open = { ...chunk(1, 'curl says no more'), task: 'b', otherEnded: true };
      const source = new Stored([open, ...Array.from({ length: 20_000 }, (_, i) => ({ ...chunk(i + 2, 'a line\nand one\n'), otherEnded: true }))]);
      expect(parsed(await answer(source, { tail: '100' }))).toHaveLength(100);
      expect(source.bytes).toBeLessThan(5_000);
    });

    it('reads no more than them where chunks are cut in the middle of lines', async () => {
      const text = 'a line of some length\n'.repeat(100_000);
      const chunks = Array.from({ length: Math.floor(text.length / 1_000) }, (_, i) => ({ ...chunk(i + 1, text.slice(i * 1_000, (i + 1) * 1_000)), otherEnded: true }));
      const source = new Stored(chunks);
      expect(parsed(await answer(source, { tail: '100' }))).toHaveLength(100);
      expect(source.bytes).toBeLessThan(50_000);
    });
  });

  it('ends with where to go on where the execution is deleted while it is followed, and breaks off otherwise', async () => {
    const source = new Stored([chunk(1, 'x\n')]);
    const looks = [false];
    const deleted = { output: source.output, hasEnded: () => (looks.length > 0 ? Promise.resolve(looks.pop() === true) : Promise.reject(new Refused('EXECUTION_DELETED', 'gone'))) };
    expect(parsed(await answer(deleted, { follow: 'true' }))).toMatchObject([{ text: 'x' }, { next: '1/0@1' }]);
    await expect(answer(deleted, {})).rejects.toThrow('gone');
  });

  describe('of a broker that was killed, and lost the last of it', () => {
    const again = (each: StoredOutput): StoredOutput => ({ ...each, storedAt: '2026-01-02T00:00:00.000Z' });
    const told = Array.from({ length: 20 }, (_, i) => chunk(i + 1, `${i + 1}\n`));

    it.each([0, 1, 12, 19])('goes on behind what is left, which are %s chunks, and misses nothing that is there', async (left) => {
      const source = new Stored(told);
      source.ended = false;
      const lines = readLines(source, ref, parseLinesQuery({ follow: 'true' }), { signal: new AbortController().signal, counts: () => true });
      let seen = '';
      while (!seen.includes('"20"')) seen += (await lines.next()).value ?? '';
      source.chunks = [...told.slice(0, left), ...Array.from({ length: 30 }, (_, i) => again(chunk(left + 1 + i, `new ${i}\n`)))];
      source.output.connectedSince = 2;
      const { next, lost } = JSON.parse((await lines.next()).value ?? '') as { next: string; lost: boolean };
      expect([lost, (await lines.next()).done]).toEqual([true, true]);
      source.ended = true;
      expect(parsed(await answer(source, { after: next, follow: 'true' })).map(({ text }) => text)).toEqual(Array.from({ length: 30 }, (_, i) => `new ${i}`));
    });

    it('is followed on where all of it is there', async () => {
      const source = new Stored(told);
      source.ended = false;
      const lines = readLines(source, ref, parseLinesQuery({ follow: 'true', tail: '1' }), { signal: new AbortController().signal, counts: () => true });
      let seen = '';
      while (!seen.includes('"20"')) seen += (await lines.next()).value ?? '';
      source.output.connectedSince = 2;
      source.chunks = [...told, chunk(21, '21\n')];
      source.ended = true;
      expect((await lines.next()).value).toContain('"21"');
      expect((await lines.next()).done).toBe(true);
    });

    it.each([{}, { tail: '5' }])('tells who comes back with a place that is gone, %j, behind what to go on', async (more) => {
      const source = new Stored(told.slice(0, 3));
      const [told3] = parsed(await answer(source, { after: '9/0@8', ...more })) as unknown as { next: string; lost: boolean }[];
      expect(told3).toEqual({ next: '3/999999@0', lost: true });
      source.chunks = [...source.chunks, again(chunk(4, 'new\n'))];
      expect(parsed(await answer(source, { after: told3!.next })).map(({ text }) => text)).toEqual(['new']);
      source.chunks = [];
      expect(parsed(await answer(source, { after: '9/0@8', ...more }))).toEqual([{ next: '0/0@0', lost: true }]);
      expect(await answer(source, { after: '9/0@8', format: 'text' })).toEqual(['[runledger] the broker has lost the last of it: go on with after=0/0@0\n']);
    });
  });

  it.each([{ search: 'y' }, { search: 'y', tail: '5' }])('lets others have their turn within a chunk of lines that nobody wants, %j', async (query) => {
    let turns = 0;
    const count = (): void => {
      turns++;
      timer = setImmediate(count);
    };
    let timer = setImmediate(count);
    await answer(new Stored([chunk(1, '\n'.repeat(32 * 1024))]), query);
    clearImmediate(timer);
    expect(turns).toBeGreaterThan(50);
  });

  it('comes in pieces, not line by line', async () => {
    let pieces = 0;
    const source = new Stored([chunk(1, 'line\n'.repeat(6_000))]);
    for await (const _ of readLines(source, ref, parseLinesQuery({ format: 'text' }), { signal: new AbortController().signal, counts: () => true })) pieces++;
    expect(pieces).toBe(1);
  });

  it('has a million lines one after the other, and the last of them', async () => {
    const source = new Stored(Array.from({ length: 100 }, (_, i) => chunk(i + 1, 'STEP_START:x\n'.repeat(10_000))));
    expect(await answer(source, { format: 'text', search: 'y' })).toEqual([]);
    expect(await answer(source, { format: 'text', tail: '10000' })).toHaveLength(10_000);
  }, 60_000);
});

it('of the last lines holds those that fit its memory', () => {
  const long = { text: 'x'.repeat(MAX_LINE) } as OutputLine;
  const last = new LastLines(10_000);
  for (let i = 0; i < 3_000; i++) last.add({ ...long, position: String(i) });
  expect(last.lines).toHaveLength(MAX_TAIL_CHARACTERS / MAX_LINE);
  expect(last.lines.map(({ position }) => position).slice(-2)).toEqual(['2998', '2999']);
});
