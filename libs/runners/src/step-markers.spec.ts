import type { StepReport } from './runner.js';
import { StepMarkers } from './step-markers.js';

type Told = StepReport | readonly string[];

const telling = (told: Told[]): StepMarkers =>
  new StepMarkers({
    step: (report) => told.push(report),
    metadata: (key, value) => told.push(['metadata', key, value]),
    artifact: ({ name, description, step }) => told.push(['artifact', name, description, ...(step === undefined ? [] : [String(step)])]),
    excess: (what) => told.push(['excess', what]),
    tooLong: (mostBytes) => told.push(['too long', String(mostBytes)]),
    stop: (name, error) => told.push(['stop', name, error]),
  });

function stepsIn(...pieces: readonly (string | Buffer)[]): Told[] {
  const reports: Told[] = [];
  const markers = telling(reports);
  for (const piece of pieces) markers.read(Buffer.from(piece as string));
  markers.end();
  return reports;
}

const started = (name: string, metadata: Record<string, string> = {}): StepReport => ({
  kind: 'started',
  name,
  metadata,
});

it('finds markers anywhere in a line, in any case, however the bytes arrive', () => {
  const text = `noise
2026 INFO step_Start:über uns k=v\r
noise
STEP_COMPLETE:über uns
STEP_START:b
x STEP_ERROR: it broke \n`;
  const expected = [
    started('über uns', { k: 'v' }),
    { kind: 'completed' },
    started('b'),
    { kind: 'failed', error: 'it broke' },
  ];
  expect(stepsIn(text)).toEqual(expected);
  expect(stepsIn(...[...Buffer.from(text)].map((byte) => Buffer.from([byte])))).toEqual(expected);
});

it('reads metadata in its three spellings', () => {
  expect(stepsIn('STEP_START:a b k=v=w --long.name=x {c:d} stray __proto__=x e=')).toEqual([
    started('a b', { k: 'v=w', 'long.name': 'x', c: 'd', e: '' }),
  ]);
});

it('takes a start before an end, and an end before an error, when a line has several', () => {
  expect(stepsIn('STEP_ERROR:x STEP_COMPLETE:x STEP_START:a\nSTEP_ERROR:x STEP_COMPLETE:a\n')).toEqual([
    started('a'),
    { kind: 'completed' },
  ]);
});

it('reports an end only of a step that is open', () => {
  const text = 'STEP_COMPLETE:a\nSTEP_ERROR:b\nSTEP_START:\nSTEP_START:c\nSTEP_COMPLETE:c\nSTEP_COMPLETE:c\n';
  expect(stepsIn(text)).toEqual([
    started('c'),
    { kind: 'completed' },
  ]);
});

it.each([
  ['in one piece', (line: string) => [line]],
  ['byte by byte', (line: string) => [...Buffer.from(line)].map((byte) => Buffer.from([byte]))],
])('tells once that a line with a marker was too long to be looked into, which came %s', (_, cut) => {
  const long = `x STEP_START:a ${'y'.repeat(8 * 1024)}\n`;
  expect(stepsIn(...cut(`${long}${long}STEP_START:b\n`))).toEqual([['too long', '8192'], started('b')]);
  expect(stepsIn(...cut(`${'y'.repeat(8 * 1024)} STEP_START:a\n`))).toEqual([]);
});

it('passes over lines of more than 8 KiB, and reads the next one', () => {
  const long = `STEP_START:a ${'x'.repeat(8 * 1024)}`;
  expect(stepsIn(long.slice(0, 5000), long.slice(5000), '\nSTEP_START:b\n')).toEqual([['too long', '8192'], started('b')]);
});

it.each([
  ['empty lines, with a marker behind all of them', '\n'.repeat(65_000), 'STEP_COMPLETE:x\n'],
  ['lines with markers', 'STEP_ERROR\n'.repeat(20_000), ''],
  ['many lines that all but are markers', 'META\n'.repeat(13_000), 'META:a:b\n'],
])('looks at each byte a few times, whatever it is among: %s', (_, noise, line) => {
  const markers = telling([]);
  const piece = Buffer.from(noise + line);
  const startedAt = performance.now();
  for (let i = 0; i < 20; i++) markers.read(piece);
  expect(performance.now() - startedAt).toBeLessThan(2_000);
});

it('stays bounded in number and time over a million markers', () => {
  const reports: Told[] = [];
  const markers = telling(reports);
  const piece = Buffer.from('STEP_START:again k=v\nSTEP_START:'.repeat(1_000));
  const startedAt = performance.now();
  for (let i = 0; i < 1_000; i++) markers.read(piece);
  expect(performance.now() - startedAt).toBeLessThan(2_000);
  expect(reports.filter((report) => 'kind' in report && report.kind === 'started')).toHaveLength(1_000);
  expect(reports.slice(1_000)).toEqual([['excess', '1000 steps'], { kind: 'completed' }, ['excess', '10000 lines with markers']]);
});

it.each(['STEP_START:'.repeat(700), `STEP_START:${' '.repeat(8_000)}x`, `STEP_START:${'a='.repeat(4_000)}`])(
  'takes no time over a line made to be slow',
  (line) => {
    const startedAt = performance.now();
    for (let i = 0; i < 50; i++) stepsIn(line);
    expect(performance.now() - startedAt).toBeLessThan(1_000);
  },
);

it('takes values and artifacts from what follows their colons, and what only looks like them for text', () => {
  const text = 'x META:git.commit: abc:def \nmeta:A:\nARTIFACT:out/report.html:The report: all of it\nartifact:a b.txt\nARTIFACT: not one\nMETA:no value\nMETA:__proto__:x\n';
  expect(stepsIn(text)).toEqual([
    ['metadata', 'git.commit', 'abc:def'],
    ['metadata', 'A', ''],
    ['artifact', 'out/report.html', 'The report: all of it'],
    ['artifact', 'a b.txt', ''],
  ]);
});

it('takes steps before artifacts, and artifacts before values', () => {
  expect(stepsIn('META:a:b ARTIFACT:x STEP_START:s\nMETA:a:b ARTIFACT:x\n')).toEqual([started('s'), ['artifact', 'x', '', '1']]);
});

it('asks for a stop where a step fails that was to stop the command, and nowhere else', () => {
  const text = 'STEP_ERROR:none is open\nSTEP_START:a stop_on_error=false\nSTEP_ERROR:x\nSTEP_START:b stop_on_error=True\nSTEP_COMPLETE:b\nSTEP_ERROR:late\nSTEP_START:c {stop_on_error:yes}\nSTEP_ERROR:it broke\n';
  expect(stepsIn(text).filter((told) => !('kind' in told))).toEqual([['stop', 'c', 'it broke']]);
});

it('tells of an artifact which step was open, by the number of its start', () => {
  const text = 'ARTIFACT:a\nSTEP_START:one\nARTIFACT:b\nSTEP_START:two\nARTIFACT:c\nSTEP_ERROR:no\nARTIFACT:d\nSTEP_START:three\nSTEP_COMPLETE:three\nARTIFACT:e\n';
  const artifacts = stepsIn(text).filter((each) => Array.isArray(each));
  expect(artifacts).toEqual([['artifact', 'a', ''], ['artifact', 'b', '', '1'], ['artifact', 'c', '', '2'], ['artifact', 'd', ''], ['artifact', 'e', '']]);
});

it('bounds artifacts and values, and reads steps behind them', () => {
  const told = stepsIn('ARTIFACT:x\nMETA:k:v\n'.repeat(2_000), 'STEP_START:s\n');
  const count = (kind: string): number => told.filter((each) => !('kind' in each) && each[0] === kind).length;
  expect([count('artifact'), count('metadata'), told.at(-1)]).toEqual([100, 1_000, started('s')]);
});

it.each([
  ['STEP_START:s\n', 1_000, '1000 steps'],
  ['ARTIFACT:a\n', 100, '100 artifacts'],
  ['META:k:v\n', 1_000, '1000 values of metadata'],
])('%j that is written more often than it counts is said to be, once', (line, most, what) => {
  const excess = (times: number): Told[] => stepsIn(line.repeat(times)).filter((told) => Array.isArray(told) && told[0] === 'excess');
  expect([excess(most), excess(most + 100)]).toEqual([[], [['excess', what]]]);
});

it('lines with markers that are not looked into any more are spoken of', () => {
  expect(stepsIn('STEP_COMPLETE:x\n'.repeat(20_000))).toEqual([['excess', '10000 lines with markers']]);
});
