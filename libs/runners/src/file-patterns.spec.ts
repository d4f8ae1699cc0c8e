import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { filesMatching } from './file-patterns.js';

let root: string;
let directory: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'runledger-files-'));
  directory = join(root, 'work');
  for (const path of ['out/a.txt', 'out/b.log', 'out/deep/er/c.txt', 'other/d.txt', 'e.txt', 'x+y.txt']) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), path);
  }
  writeFileSync(join(root, 'secret.txt'), 'secret');
  symlinkSync(join(root, 'secret.txt'), join(directory, 'out', 'link.txt'));
  symlinkSync(root, join(directory, 'out', 'up'));
});
afterEach(() => rmSync(root, { recursive: true }));

it.each([
  ['out/**', ['out/a.txt', 'out/b.log', 'out/deep/er/c.txt']],
  ['out/*', ['out/a.txt', 'out/b.log']],
  ['**/*.txt', ['e.txt', 'other/d.txt', 'out/a.txt', 'out/deep/er/c.txt', 'x+y.txt']],
  ['*.txt', ['e.txt', 'x+y.txt']],
  ['x+y.txt', ['x+y.txt']],
  ['out/?.log', ['out/b.log']],
  ['out/**/c.txt', ['out/deep/er/c.txt']],
  ['none/**', []],
  ['**', ['e.txt', 'other/d.txt', 'out/a.txt', 'out/b.log', 'out/deep/er/c.txt', 'x+y.txt']],
  ['out/**/**/*.txt', ['out/a.txt', 'out/deep/er/c.txt']],
  ['**/d*/**', ['out/deep/er/c.txt']],
  ['e.txt/**', []],
  ['**/*t*r/*', ['other/d.txt']],
  ['out/up/*.txt', []],
  ['out/up/**', []],
  ['out/up/secret.txt', []],
])('%s fits %j, and no link', async (pattern, files) => {
  expect(await filesMatching(directory, [pattern])).toEqual(files);
});

it('each file is found once, by however many patterns', async () => {
  expect(await filesMatching(directory, ['e.txt', '*.txt', '**'])).toHaveLength(6);
});

it('more than 100 files are too many', async () => {
  for (let i = 0; i < 101; i++) writeFileSync(join(directory, 'other', `${i}.many`), '');
  await expect(filesMatching(directory, ['other/*.many'])).rejects.toThrow('more than 100 files');
});

it('no pattern takes long, whatever the names are', async () => {
  const name = 'a'.repeat(250);
  const deep = join(directory, ...Array.from({ length: 40 }, () => 'b'));
  mkdirSync(deep, { recursive: true });
  writeFileSync(join(deep, name), '');
  expect(await filesMatching(directory, ['**/' + '*a'.repeat(100) + 'c', '**/'.repeat(60) + 'c', '*'.repeat(250) + 'c'])).toEqual([]);
  expect(await filesMatching(directory, ['**/' + '*a'.repeat(100)])).toHaveLength(1);
}, 5_000);
