import type { StoredOutput } from '#libs/jetstream';
import { LineReader, MAX_LINE, type OutputLine } from './lines.js';

const chunk = (sequence: number, text: string | Buffer, more: Partial<StoredOutput> = {}): StoredOutput => ({
  sequence,
  storedAt: '2026-01-01T00:00:00.000Z',
  task: 'a',
  attempt: 1,
  stream: 'stdout',
  chunk: sequence,
  time: `2026-01-01T00:00:0${sequence % 10}.000Z`,
  truncated: false,
  bytes: Buffer.from(text as string),
  ...more,
});

const read = (...chunks: readonly StoredOutput[]): readonly OutputLine[] => {
  const reader = new LineReader();
  return [...chunks.flatMap((each) => [...reader.take(each)]), ...reader.end()];
};

const texts = (lines: readonly OutputLine[]): readonly string[] => lines.map(({ text }) => text);

describe('lines of output', () => {
  it('are put together of chunks, also where a character is cut in two, each task and stream apart', () => {
    const [one, two] = [Buffer.from('ü').subarray(0, 1), Buffer.from('ü').subarray(1)];
    const lines = read(chunk(1, Buffer.concat([Buffer.from('sch'), one])), chunk(2, 'other\n', { task: 'b' }), chunk(3, 'err\r\n', { stream: 'stderr' }), chunk(4, Buffer.concat([two, Buffer.from('n\nlast')])));
    expect(lines).toMatchObject([
      { position: '2/0', task: 'b', text: 'other' },
      { position: '3/0', stream: 'stderr', level: 'error', text: 'err' },
      { position: '4/0', task: 'a', stream: 'stdout', level: 'info', text: 'schün', time: '2026-01-01T00:00:01.000Z' },
      { position: '4/1', text: 'last', time: '2026-01-01T00:00:04.000Z' },
    ]);
  });

  it('end with the attempt that wrote them', () => {
    expect(texts(read(chunk(1, 'half'), chunk(2, 'new\n', { attempt: 2 })))).toEqual(['half', 'new']);
  });

  it('have the level that they name, and else that of their stream', () => {
    const lines = read(chunk(1, '2026 DEBUG x\n[WARN] x\nlevel=ERROR\nan ERRORS list\n'), chunk(2, 'INFO x\nx\n', { stream: 'stderr' }));
    expect(lines.map(({ level }) => level)).toEqual(['debug', 'warn', 'error', 'info', 'info', 'error']);
  });

  it('come in pieces where they are long: a line of 10 MB, of which no more than one piece is held', () => {
    const reader = new LineReader();
    const piece = 'x'.repeat(32_768);
    let count = 0;
    for (let i = 1; i <= 320; i++) for (const line of reader.take(chunk(i, piece))) count += Number(line.text.length === MAX_LINE && line.continues === true);
    expect(count).toBe(639);
    expect([...reader.end()]).toMatchObject([{ text: 'x'.repeat(MAX_LINE) }]);
  });

  it('that are long have no character cut in two', () => {
    const text = `${'x'.repeat(MAX_LINE - 1)}😀${'y'.repeat(MAX_LINE)}`;
    for (const lines of [read(chunk(1, text)), read(chunk(1, `${text}\n`))]) {
      expect(texts(lines).join('')).toBe(text);
      for (const line of lines) expect(Buffer.from(line.text).toString()).toBe(line.text);
    }
  });

  it('without an end are held of 500 tasks, and of more go on in lines of their own', () => {
    const reader = new LineReader();
    const lines = Array.from({ length: 502 }, (_, i) => [...reader.take(chunk(i + 1, 'x', { task: `t${i}` }))]).flat();
    expect(lines).toMatchObject([{ task: 't0', continues: true }, { task: 't1', continues: true }]);
    expect([...reader.end()]).toHaveLength(500);
  });

  it('are made of binary, too', () => {
    const bytes = Buffer.from(Array.from({ length: 512 }, (_, i) => i % 256));
    const lines = read(chunk(1, bytes));
    // oxlint-disable-next-line no-control-regex
    for (const { text } of lines) expect(text).not.toMatch(/[\u0000-\u0008\u000a-\u001f\u007f-\u009f]/);
    expect(lines).toHaveLength(3);
  });

  it('say where there is no more although there was', () => {
    expect(read(chunk(1, 'x\n'), chunk(2, '[runledger] output truncated\n', { stream: 'stderr', truncated: true }))[1]).toMatchObject({ truncated: true });
  });
});
