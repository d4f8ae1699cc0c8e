// `npm start`: builds when there is no build, or one older than its sources, and runs `runledger up` in this process,
// so that signals and the exit code are its own. An installation without sources runs what was built.
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

const stale = () => {
  if (!built.every((file) => existsSync(file))) return true;
  const oldestBuilt = Math.min(...built.map((file) => statSync(file).mtimeMs));
  return sources.some((path) => newest(path) > oldestBuilt);
};

if (existsSync(join(root, 'tsconfig.build.json')) && stale()) {
  console.log('runledger: building …');
  const { status } = spawnSync('npm', ['run', '--silent', 'build'], { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}
process.argv.splice(2, Infinity, 'up', ...process.argv.slice(2));
await import(new URL('../dist/apps/cli/src/main.js', import.meta.url).href);
