// Hooks of Node's loader: sources of tests as they stand, without a build of their own. What they import of #libs is the build that the apps run.
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { transform } from '@swc/core';

export const resolve = async (specifier, context, next) => {
  if (/^\.{1,2}\/.*\.js$/.test(specifier) && context.parentURL?.endsWith('.ts')) {
    const source = new URL(specifier.replace(/\.js$/, '.ts'), context.parentURL);
    if (existsSync(source)) return { url: source.href, format: 'module', shortCircuit: true };
  }
  return await next(specifier, context);
};

export const load = async (url, context, next) => {
  if (!url.endsWith('.ts')) return await next(url, context);
  const filename = fileURLToPath(url);
  const jsc = { target: 'es2022', parser: { syntax: 'typescript' } };
  const { code } = await transform(await readFile(filename, 'utf8'), { filename, swcrc: false, sourceMaps: 'inline', jsc });
  return { format: 'module', source: code, shortCircuit: true };
};
