import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ProcessLog, worthShowing } from './process-log.js';

describe('the log of a process', () => {
  let folder: string;
  let file: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'runledger-log-'));
    file = join(folder, 'app.log');
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('hands on whole lines, however they arrive, and keeps the streams apart', () => {
    const lines: string[] = [];
    const log = new ProcessLog(file, (line, stream) => lines.push(`${stream} ${line}`));
    log.write('one\ntw', 'stdout');
    log.write('oops\n', 'stderr');
    log.write('o\n\nthr', 'stdout');
    log.close();
    expect(lines).toEqual(['stdout one', 'stderr oops', 'stdout two']);
  });

  it('goes on in the file of an earlier run, and keeps one older file past the limit', async () => {
    for (const text of ['first\n', 'second\n', 'third\n', 'fourth\n', 'fifth\n']) {
      const log = new ProcessLog(file, () => undefined, 12);
      log.write(text, 'stdout');
      log.close();
    }
    expect(await readFile(`${file}.1`, 'utf8')).toBe('third\nfourth\n');
    expect(await readFile(file, 'utf8')).toBe('fifth\n');
  });

  it('ignores what still comes when it is closed', async () => {
    const log = new ProcessLog(file, () => undefined);
    log.write('before\n', 'stdout');
    log.close();
    log.write('after\n', 'stdout');
    expect(await readFile(file, 'utf8')).toBe('before\n');
  });
});

describe('what people see of a log at once', () => {
  it.each([
    ['{"level":30,"msg":"accepted"}', 'stdout', undefined],
    ['{"level":40,"msg":"slow"}', 'stdout', 'slow'],
    ['{"level":50,"err":{"message":"no space left"},"msg":"append failed"}', 'stdout', 'append failed: no space left'],
    ['{"level":60,"err":{"message":"the same"},"msg":"the same"}', 'stdout', 'the same'],
    ['[7] 2026/01/02 03:04:05.678901 [INF] Server is ready', 'stderr', undefined],
    ['[7] 2026/01/02 03:04:05.678901 [WRN] Slow consumer', 'stderr', 'Slow consumer'],
    ['[7] 2026/01/02 03:04:05.678901 [ERR] disk full', 'stderr', 'disk full'],
    ['TypeError: x is not a function', 'stderr', 'TypeError: x is not a function'],
    ['(node:12) ExperimentalWarning: VM Modules', 'stderr', undefined],
    ['(Use `node --trace-warnings ...` to show where the warning was created)', 'stderr', undefined],
    ['plain words', 'stdout', undefined],
    ['{ not JSON', 'stdout', undefined],
  ] as const)('%s on %s is shown as %s', (line, stream, shown) => {
    expect(worthShowing(line, stream)).toBe(shown);
  });
});
