import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { grants, permissions, roles } from '#libs/access';
import { type Platform, startPlatform } from './platform.js';

const guide = readFileSync('docs/access.md', 'utf8');
const blocks = [...guide.matchAll(/^```sh( start)?\n([\s\S]*?)^```$/gm)].map(([, start, script]) => ({ starts: start !== undefined, script: script ?? '' }));

let folder: string;
let platform: Platform;
afterAll(async () => {
  await platform.stop();
  rmSync(folder, { recursive: true });
});

/** curl as it is, but that it says on the side which status it got. */
const telling = `curl() { command curl -w '%{stderr}%{http_code} ' "$@"; }; `;

it('the guide from nothing to tokens, tenants, roles and a key does what it says, pasted as it stands', async () => {
  folder = mkdtempSync(join(tmpdir(), 'runledger-guide-'));
  for (const name of ['examples', 'node_modules']) symlinkSync(resolve(name), join(folder, name));
  const start = blocks.findIndex(({ starts }) => starts);
  const before = blocks.slice(0, start).map(({ script }) => script).join('');
  expect(spawnSync('bash', ['-e', '-c', before], { cwd: folder, encoding: 'utf8' })).toMatchObject({ status: 0 });

  const settings = [...(blocks[start]?.script ?? '').matchAll(/(RUNLEDGER_\w+)=(\S+)/g)].map(([, name, value]) => [name, value?.replace('$PWD', folder)]);
  expect(settings).toHaveLength(3);
  platform = await startPlatform(Object.fromEntries(settings) as Record<string, string>);

  const after = blocks.slice(start + 1).map(({ script }) => script).join('').replaceAll('http://127.0.0.1:8080', platform.url);
  const promised = [...after.matchAll(/^curl (?:.*\\\n)*.*$/gm)].map(([command]) => /# (\d{3})(?: (\w+))?$/.exec(command) ?? []);
  const { stdout, stderr, status } = spawnSync('bash', ['-e', '-c', telling + after], { cwd: folder, encoding: 'utf8' });
  expect(status).toBe(0);
  expect(promised.length).toBeGreaterThan(8);
  expect(stderr.trim().split(' ')).toEqual(promised.map(([, code]) => code));
  const codes = [...stdout.matchAll(/"code":"(\w+)"/g)].map(([, code]) => code);
  expect(codes).toEqual(promised.flatMap(([, , code]) => code ?? []));
}, 90_000);

it('the table of the guide is the one that the gateway goes by', () => {
  const rows = permissions.map((permission) => `| \`${permission}\` | ${roles.map((role) => (grants[role].includes(permission) ? 'yes' : '–')).join(' | ')} |`);
  for (const row of rows) expect(guide).toContain(row);
  expect(guide.match(/^\| `[a-z]+\.[a-z]+` \|/gm)).toHaveLength(permissions.length);
});
