import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { transformFile } from '@swc/core';

const libraries = fileURLToPath(new URL('../../', import.meta.url));

/**
 * Turns the TypeScript below `from` (specs left out) into ES modules below `into`, so that a test can run a source in
 * a process of its own, and kill it. Types are stripped, not checked. Of `#libs`, those named resolve there.
 */
export async function transpile(from: string, into: string, libs: readonly string[] = []): Promise<void> {
  await toModules(from, into);
  for (const lib of libs) await toModules(join(libraries, lib, 'src'), join(into, 'libs', lib));
  const imports = { '#libs/*': './libs/*/index.js' };
  await writeFile(join(into, 'package.json'), JSON.stringify({ type: 'module', ...(libs.length > 0 && { imports }) }));
}

async function toModules(from: string, into: string): Promise<void> {
  const sources = (await readdir(from, { recursive: true })).filter(
    (name) => name.endsWith('.ts') && !name.endsWith('.spec.ts'),
  );
  await mkdir(into, { recursive: true });
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
