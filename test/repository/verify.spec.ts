import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { WorkingCopy } from './working-copy.js';

describe('npm test', () => {
  let copy: WorkingCopy;
  beforeEach(() => {
    copy = new WorkingCopy();
  });
  afterEach(() => copy.remove());

  test('stops at the first gate that fails, and says how to go on', () => {
    const path = 'proto/runledger/v1/events.proto';
    const text = readFileSync(join(copy.root, path), 'utf8');
    copy.write(path, text.replace('message ExecutionStarted {', 'message ExecutionStarted {\n  string planted = 100;'));
    const { status, output } = copy.run('npm', 'test', '--silent');
    expect(status).not.toBe(0);
    expect(output).toContain('generated types … FAILED');
    expect(output).toContain('npm run contract:generate');
    expect(output).not.toContain('contract lint …');
  });

  test('refuses a stale file among the generated types', () => {
    copy.write('libs/contracts/src/generated/runledger/v1/planted.ts', 'export {};\n');
    const { status, output } = copy.run('node', 'scripts/contract.mjs', 'check');
    expect(status).not.toBe(0);
    expect(output).toContain('runledger/v1/planted.ts');
  });

  test('refuses a floating promise, any, and a switch that forgets a case', () => {
    copy.write(
      'libs/execution/src/planted.ts',
      `Promise.resolve(1);
export const planted: any = 1;
export function forgets(of: 'a' | 'b'): void { switch (of) { case 'a': return; } }
`,
    );
    const { status, output } = copy.run('npm', 'run', '--silent', 'lint');
    expect(status).not.toBe(0);
    for (const rule of ['no-floating-promises', 'no-explicit-any', 'switch-exhaustiveness-check']) expect(output).toContain(rule);
  });

  test('refuses a fault in types', () => {
    copy.write('libs/execution/src/planted.ts', `export const planted: number = 'text';\n`);
    const { status, output } = copy.run('npm', 'run', '--silent', 'typecheck');
    expect(status).not.toBe(0);
    expect(output).toContain('libs/execution/src/planted.ts');
  });
});
