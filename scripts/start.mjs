// npm start: builds where the sources are newer than what was built, then brings everything up.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

const built = 'dist/apps/cli/src/main.js';

const newest = (folder) =>
  readdirSync(folder, { withFileTypes: true }).reduce((latest, entry) => {
    const path = join(folder, entry.name);
    return Math.max(latest, entry.isDirectory() ? newest(path) : statSync(path).mtimeMs);
  }, 0);

const isStale = () => !existsSync(built) || Math.max(...['apps', 'libs'].map(newest)) > statSync(built).mtimeMs;

if (isStale()) {
  console.log('Building …');
  const { status } = spawnSync('npm', ['run', '--silent', 'build'], { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}

process.argv.splice(2, 0, 'up');
await import(new URL(`../${built}`, import.meta.url).href);
