import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { WorkingCopy } from './working-copy.js';

describe('the command line of a checkout', () => {
  let copy: WorkingCopy;
  beforeEach(() => {
    copy = new WorkingCopy();
  });
  afterEach(() => copy.remove());

  const bin = (): string => {
    const manifest = JSON.parse(readFileSync(join(copy.root, 'package.json'), 'utf8')) as { bin: { runledger: string } };
    return join(copy.root, manifest.bin.runledger);
  };

  test('builds itself at first use, and keeps standard output to itself', () => {
    accessSync(bin(), constants.X_OK);
    const first = copy.run(bin(), '--version');
    expect(first).toMatchObject({ status: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) as string });
    expect(first.output).toContain('building');
    const second = copy.run(bin(), 'list', '--limit', 'many');
    expect(second).toMatchObject({ status: 2, stdout: '' });
    expect(second.output).not.toContain('building');
  }, 60_000);

  test('says what to do where the sources do not compile, or nothing is installed', () => {
    copy.write('apps/cli/src/planted.ts', 'const planted: string = 1;\nexport { planted };\n');
    const broken = copy.run(bin(), '--version');
    expect(broken.status).not.toBe(0);
    expect(broken).toMatchObject({ stdout: '' });
    expect(broken.output).toContain('planted.ts');
    copy.remove();
    copy = new WorkingCopy({ installed: false });
    expect(existsSync(join(copy.root, 'node_modules'))).toBe(false);
    const { status, output } = copy.run(bin(), '--version');
    expect(status).not.toBe(0);
    expect(output).toContain('npm ci');
  }, 60_000);
});
