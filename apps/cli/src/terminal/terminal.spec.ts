import type { Chunk, ReadEvent } from '../executions-api.js';
import { duration } from './format.js';
import { OutputLines } from './output-lines.js';
import { Progress } from './progress.js';
import { Screen, printable } from './screen.js';
import { TaskText } from './task-text.js';
import { printTable } from './table.js';

class Paper {
  text = '';
  constructor(
    readonly isTTY = false,
    readonly columns = 40,
    private readonly colours = false,
  ) {}
  write(piece: string | Uint8Array): void {
    this.text += Buffer.from(piece).toString();
  }
  hasColors(): boolean {
    return this.colours;
  }
}

const at = (ms: number): string => new Date(Date.parse('2026-01-01T00:00:00Z') + ms).toISOString();
const event = (type: string, ms: number, data: object): ReadEvent => ({ type, at: at(ms), position: '1/0', data }) as ReadEvent;
const chunk = (task: string, text: string | Buffer, stream: 'stdout' | 'stderr' = 'stdout'): Chunk => ({
  position: 1,
  task,
  attempt: 1,
  stream,
  time: at(0),
  ...(typeof text === 'string' ? { text } : { base64: text.toString('base64') }),
});
const requested = (...ids: string[]): ReadEvent =>
  event('ExecutionRequested', 0, { name: 'plan', plan: { name: 'plan', tasks: ids.map((id) => ({ id })) } });

describe('colours', () => {
  it.each([
    ['a terminal', new Paper(true, 80, true), true],
    ['a terminal without', new Paper(true, 80, false), false],
    ['a file', new Paper(false, 80, true), false],
  ])('on %s', (_, paper, coloured) => {
    expect(new Screen(paper).paint('red', 'x') !== 'x').toBe(coloured);
  });
});

describe('text from elsewhere', () => {
  it('can not steer the terminal', () => {
    expect(printable('a\u001b[2Jb\nc\u009bd')).toBe('a [2Jb c d');
  });
});

describe('durations', () => {
  it.each([
    [-5, '0.00 s'],
    [1_234, '1.23 s'],
    [12_345, '12.3 s'],
    [125_000, '2 min 5 s'],
    [7_500_000, '2 h 5 min'],
    [180_000_000, '2 d 2 h'],
  ])('%i ms is %s', (ms, text) => expect(duration(ms)).toBe(text));
});

describe('a table', () => {
  it('is aligned, without spaces at the ends of its lines', () => {
    const paper = new Paper();
    printTable(new Screen(paper), [['A', 'B', 'C'], ['long', '', ''], ['x', { text: 'y', style: 'red' }, 'z']]);
    expect(paper.text).toBe('A     B  C\nlong\nx     y  z\n');
  });

  it('cuts its last column where a terminal ends, and nowhere else', () => {
    const rows = [['id', 'x'.repeat(60)]];
    const printed = (paper: Paper): string => {
      printTable(new Screen(paper), rows);
      return paper.text;
    };
    expect(printed(new Paper(true, 50))).toBe(`id  ${'x'.repeat(45)}…\n`);
    expect(printed(new Paper(true, 10))).toBe(`id  ${'x'.repeat(39)}…\n`);
    for (const paper of [new Paper(true, 0), new Paper()]) expect(printed(paper)).toBe(`id  ${'x'.repeat(60)}\n`);
  });
});

describe('output of several tasks', () => {
  it('comes in whole lines behind the name of the task, also where characters and lines were cut', () => {
    const [out, err] = [new Paper(), new Paper()];
    const lines = new OutputLines(new Screen(out), new Screen(err), 3);
    const euro = Buffer.from('€');
    lines.take(chunk('a', 'one\ntw'));
    lines.take(chunk('abc', 'x\n', 'stderr'));
    lines.take(chunk('a', euro.subarray(0, 1)));
    lines.take(chunk('a', euro.subarray(1)));
    lines.take(chunk('a', 'o\nlast'));
    lines.flush('abc');
    expect(out.text).toBe('a   | one\na   | tw€o\n');
    lines.flush();
    expect(out.text).toBe('a   | one\na   | tw€o\na   | last\n');
    expect(err.text).toBe('abc | x\n');
  });
});

describe('output that is hostile', () => {
  const hostile = '\u001b]0;title\u0007\u001b[2Jred\u001b[31m\u0008\r\n';

  it('is obeyed by no terminal, and comes whole to where no terminal is', () => {
    const [terminal, file] = [new Paper(true), new Paper()];
    for (const paper of [terminal, file]) {
      const screen = new Screen(paper);
      new OutputLines(screen, screen, 1).take(chunk('a', hostile));
      const text = new TaskText();
      text.write(screen, chunk('a', '\u001b'));
      text.write(screen, chunk('a', '[2J\n'));
    }
    expect(terminal.text).toBe('a | red␈\n␛[2J\n');
    expect(file.text).toBe(`a | ${hostile}\u001b[2J\n`);
  });

  it('is printed in pieces where it has no end of line', () => {
    const paper = new Paper();
    const lines = new OutputLines(new Screen(paper), new Screen(paper), 1);
    for (let i = 0; i < 320; i++) lines.take(chunk('a', 'x'.repeat(32 * 1024)));
    expect(paper.text.split('\n')).toHaveLength(321);
    expect(paper.text.match(/x/g)).toHaveLength(10 * 1024 * 1024);
  });
});

describe('progress', () => {
  it('of one task leaves its bytes as they are, on their own streams', () => {
    const [out, err] = [new Paper(), new Paper()];
    const progress = new Progress(new Screen(out), new Screen(err), 'e1');
    progress.take([requested('t'), chunk('t', Buffer.from([0xff, 0x0a])), chunk('t', 'oops', 'stderr')]);
    expect(Buffer.from(out.text)).toEqual(Buffer.from('\ufffd\n'));
    expect(err.text).toContain('oops');
    expect(out.text).not.toContain('|');
  });

  it('of several tasks says what happened to which, and how long it took', () => {
    const [out, err] = [new Paper(), new Paper()];
    const progress = new Progress(new Screen(out), new Screen(err), 'e1');
    const failure = { code: 'COMMAND_EXITED', message: 'exit code 1', retryable: true };
    progress.take([
      requested('build', 'test'),
      event('ExecutionStarted', 0, {}),
      event('TaskStarted', 0, { taskId: 'build', attempt: 1 }),
      chunk('build', 'half a line'),
      event('TaskFailed', 1_500, { taskId: 'build', attempt: 1, error: failure, final: false }),
      event('TaskRetryScheduled', 1_500, { taskId: 'build', attempt: 2, at: at(2_000) }),
      event('ExecutionFailed', 2_000, { reason: failure }),
    ]);
    expect(out.text).toBe('build | half a line\n');
    const said = err.text.split('\n').map((line) => line.replace(/^\S+ +/, ''));
    expect(said).toEqual([
      'plan   requested, 2 tasks',
      'plan   started',
      'build  started',
      'build  failed, COMMAND_EXITED: exit code 1 after 1.50 s',
      'build  attempt 2 in 0.50 s',
      'plan   failed, COMMAND_EXITED: exit code 1 after 2.00 s',
      '',
    ]);
  });

  it('starts a line of its own behind output without an end of line', () => {
    const tty = new Paper(true);
    const progress = new Progress(new Screen(tty), new Screen(tty), 'e1');
    progress.take([requested('t'), chunk('t', 'abc'), event('TaskCompleted', 1, { taskId: 't', attempt: 1 })]);
    expect(tty.text).toMatch(/\nabc\n\S+ +t +completed/);
  });

  it('shows an event of a later version by its name', () => {
    const err = new Paper();
    const progress = new Progress(new Screen(new Paper()), new Screen(err), 'e1');
    progress.take([event('ExecutionTeleported', 1, {})]);
    expect(err.text).toContain('ExecutionTeleported');
  });
});
