import { Output } from './output.js';
import type { OutputChunk } from './runner.js';

/** An output whose chunks are acknowledged at once, or when `acknowledge` is called. */
function recording({ limit = 1e9, held = false }: { limit?: number; held?: boolean } = {}) {
  const chunks: OutputChunk[] = [];
  const pauses: boolean[] = [];
  const waiting: (() => void)[] = [];
  const output = new Output(
    {
      attempt: 1,
      output: (chunk) => {
        chunks.push(chunk);
        return held ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve();
      },
    },
    limit,
    (paused) => pauses.push(paused),
  );
  const told = (): string[] => chunks.map(({ stream, bytes }) => `${stream} ${Buffer.from(bytes).toString()}`);
  return { output, chunks, pauses, waiting, told };
}

it('gathers small writes, and keeps the order of the two streams', async () => {
  const { output, told, chunks } = recording();
  for (const [stream, text] of [['stdout', 'a'], ['stdout', 'b'], ['stderr', 'c'], ['stdout', 'd']] as const) {
    output.write(stream, Buffer.from(text));
  }
  expect(chunks).toEqual([]);
  await output.finish(1000);
  expect(told()).toEqual(['stdout ab', 'stderr c', 'stdout d']);
  expect(chunks.map(({ chunk }) => chunk)).toEqual([1, 2, 3]);
});

it('says of a chunk whether a line of the other stream is open behind it, and that none is behind the last that is kept', async () => {
  const { output, chunks } = recording({ limit: 8 });
  for (const [stream, text] of [['stdout', 'a'], ['stderr', 'b\n'], ['stdout', '\n'], ['stderr', 'c'], ['stdout', 'd\n'], ['stdout', 'ee']] as const) {
    output.write(stream, Buffer.from(text));
  }
  await output.finish(1000);
  expect(chunks.map(({ otherEnded }) => otherEnded)).toEqual([true, false, true, true, false, true]);
});

it('sends what it has when no more comes', async () => {
  await new Promise<void>((resolve) => {
    const output = new Output({ attempt: 1, output: async () => resolve() }, 100, () => {});
    output.write('stdout', Buffer.from('prompt> '));
  });
});

it('cuts chunks of 32 KiB, also through the middle of a character', async () => {
  const { output, chunks } = recording();
  const text = Buffer.from(`x${'ü'.repeat(40_000)}`);
  output.write('stdout', text);
  await output.finish(1000);
  expect(chunks.map(({ bytes }) => bytes.length)).toEqual([32_768, 32_768, 14_465]);
  expect(Buffer.concat(chunks.map(({ bytes }) => bytes)).equals(text)).toBe(true);
});

it('makes few chunks of streams that take turns byte by byte, and loses nothing', async () => {
  const { output, chunks } = recording();
  for (let i = 0; i < 10_000; i++) output.write(i % 2 === 0 ? 'stdout' : 'stderr', Buffer.from([i % 251]));
  await output.finish(1000);
  expect(chunks.length).toBeLessThanOrEqual(16);
  expect(chunks.reduce((sum, { bytes }) => sum + bytes.length, 0)).toBe(10_000);
});

it('counts exactly the limit as complete, and one byte more as truncated', async () => {
  const exact = recording({ limit: 3 });
  exact.output.write('stdout', Buffer.from('abc'));
  await exact.output.finish(1000);
  expect([exact.told(), exact.output.truncated]).toEqual([['stdout abc'], false]);

  const over = recording({ limit: 3 });
  over.output.write('stdout', Buffer.from('abc'));
  over.output.write('stdout', Buffer.from('d'));
  over.output.write('stdout', Buffer.from('e'));
  await over.output.finish(1000);
  expect(over.told()).toEqual(['stdout abc', 'stderr [runledger] output truncated after 3 bytes\n']);
  expect(over.chunks.map(({ truncated }) => truncated)).toEqual([false, true]);
  expect([over.output.bytes, over.output.lostChunks]).toEqual([5, 0]);
});

it('pauses reading at four unsettled chunks, and goes on when one settles', async () => {
  const { output, chunks, pauses, waiting } = recording({ held: true });
  for (let i = 0; i < 5; i++) output.write('stdout', Buffer.alloc(32_768));
  expect([chunks.length, pauses]).toEqual([4, [true]]);
  waiting.shift()!();
  await new Promise(setImmediate);
  expect([chunks.length, pauses]).toEqual([5, [true]]);
  waiting.shift()!();
  await new Promise(setImmediate);
  expect(pauses).toEqual([true, false]);
});

it('reads on without pause once it drops what it reads', () => {
  const { output, pauses } = recording({ limit: 200_000, held: true });
  for (let i = 0; i < 10; i++) output.write('stdout', Buffer.alloc(32_768));
  expect([pauses, output.truncated]).toEqual([[true, false], true]);
});

it('gives up on a sink that never settles, counts its chunks as lost, and sends no more', async () => {
  const { output, chunks, waiting } = recording({ held: true });
  for (let i = 0; i < 6; i++) output.write('stdout', Buffer.alloc(32_768));
  await output.finish(10);
  expect(output.lostChunks).toBe(6);
  for (const settle of waiting) settle();
  await new Promise(setImmediate);
  expect([chunks.length, output.lostChunks]).toEqual([4, 6]);
});
