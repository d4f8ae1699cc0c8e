import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Platform, startPlatform } from './platform.js';

const readme = readFileSync('README.md', 'utf8');

/** The samples for a shell below a heading. */
const samplesBelow = (heading: string): string => {
  const [, section] = readme.split(`#### ${heading}\n`);
  if (section === undefined) throw new Error(`the README has no heading ${heading}`);
  return [...(section.split(/^#{2,4} /m)[0] ?? '').matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, script]) => script).join('');
};

let platform: Platform;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'runledger-readme-'));
  symlinkSync(resolve('README.md'), join(folder, 'README.md'));
  platform = await startPlatform();
}, 60_000);
afterAll(async () => {
  await platform.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Pasted as they stand, but for where the server is; curl fails where it is refused. */
const pasted = (samples: string): { readonly status: number | null; readonly out: string } => {
  const script = `curl() { command curl --fail-with-body "$@"; }\nnpx() { shift; node ${resolve('dist/apps/cli/src/main.js')} "$@"; }\n${samples.replaceAll('http://127.0.0.1:8080', platform.url)}`;
  const { status, stdout, stderr } = spawnSync('bash', ['-e', '-o', 'pipefail', '-c', script], {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, RUNLEDGER_URL: platform.url, NATS_URL: platform.natsUrl, RUNLEDGER_HOME: platform.home },
  });
  return { status, out: stdout + stderr };
};

it('the samples of deletion delete an execution, tell what is left of it, and change nothing when they do so again', () => {
  const { status, out } = pasted(samplesBelow('Delete, or keep only so much (retention)'));
  expect([out, status]).toEqual([expect.stringMatching(/^(\S+) is deleted\n[^]*a test[^]*"id":"\1"[^]*"changed":false/), 0]);
}, 30_000);

it('the samples of artifacts keep a file, give it back and delete it', () => {
  const { status, out } = pasted(`${samplesBelow('Keep files (artifacts)')}\ncmp README.md copy.md\n`);
  expect([out, status]).toEqual([expect.stringContaining('README.md'), 0]);
}, 30_000);
