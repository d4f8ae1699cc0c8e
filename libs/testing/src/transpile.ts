import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { transformFile } from '@swc/core';

/**
 * Turns the TypeScript below `from` (specs left out) into ES modules below `into`, so that a test can run a source in
 * a process of its own, and kill it. Types are stripped, not checked. No `#libs` imports: they don't resolve there.
 */
export async function transpile(from: string, into: string): Promise<void> {
  const sources = (await readdir(from, { recursive: true })).filter(
    (name) => name.endsWith('.ts') && !name.endsWith('.spec.ts'),
  );
  await mkdir(into, { recursive: true });
  await writeFile(join(into, 'package.json'), '{ "type": "module" }\n');
  for (const source of sources) {
    const target = join(into, source.replace(/\.ts$/, '.js'));
    const { code } = await transformFile(join(from, source), {
      swcrc: false,
      jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
    });
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, code);
  }
}
