#!/usr/bin/env node
// The `runledger` command of a checkout, and with `up` what `npm start` runs. Where there is no build it makes one first; `up`
// also where the build is older than its sources (no other command does: what runs now may run on that build). It goes on in
// this process, so that signals and the exit code are its own. An installation without sources runs what was built.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const inputs = ['apps', 'libs', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json'];
const sources = inputs.map((name) => join(root, name));
const built = ['cli', 'gateway', 'executor', 'projector'].map((app) => join(root, `dist/apps/${app}/src/main.js`));

const newest = (path) => {
  if (!existsSync(path) || path.endsWith('.spec.ts')) return 0;
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.mtimeMs;
  return Math.max(0, ...readdirSync(path).map((name) => newest(join(path, name))));
};

const isBuilt = () => built.every((file) => existsSync(file));

const isStale = () => {
  const oldestBuilt = Math.min(...built.map((file) => statSync(file).mtimeMs));
  return sources.some((path) => newest(path) > oldestBuilt);
};

if (existsSync(join(root, 'tsconfig.build.json')) && (!isBuilt() || (process.argv[2] === 'up' && isStale()))) {
  if (!existsSync(join(root, 'node_modules'))) {
    console.error('runledger: nothing is installed here yet; run: npm ci');
    process.exit(1);
  }
  console.error('runledger: building …');
  // Standard output is the command's own: somebody may parse it.
  const { status } = spawnSync('npm', ['run', '--silent', 'build'], { cwd: root, stdio: ['ignore', 2, 2] });
  if (status !== 0) process.exit(status ?? 1);
}
await import(new URL('../dist/apps/cli/src/main.js', import.meta.url).href);
