import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '#libs/testing';
import { type Platform, startPlatform } from './platform.js';
import { untilStatus } from './until-status.js';

type Sample = { readonly label: string; readonly source: string };
type Paths = Readonly<Record<string, Readonly<Record<string, { readonly 'x-codeSamples': readonly Sample[] }>>>>;

let platform: Platform;
beforeAll(async () => {
  platform = await startPlatform();
  writeFileSync(join(platform.home, '.curlrc'), 'fail-with-body\n');
}, 60_000);
afterAll(() => platform.stop());

/** What the sample prints; it has to exit with 0, which curl does not for a status of 400 or more. */
const run = ({ source }: Sample): Record<string, unknown> => {
  const { status, stdout } = spawnSync('bash', ['-c', source], { encoding: 'utf8', env: { ...process.env, CURL_HOME: platform.home } });
  expect([source, stdout, status]).toEqual([source, stdout, 0]);
  return stdout.startsWith('{') ? (JSON.parse(stdout) as Record<string, unknown>) : {};
};

it('runs every sample of its description as it stands, against this very server', async () => {
  const paths = (await platform.get('/docs-json')).body['paths'] as Paths;
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, samples: operation['x-codeSamples'] })),
  );
  const requests = operations.find(({ path, method }) => path === '/api/v1/executions' && method === 'post')?.samples ?? [];
  expect(requests.map(({ label }) => label)).toEqual(['hello', 'diamond', 'fanOut', 'loop', 'release', 'saga', 'nap']);
  const ids = requests.map((sample) => String(run(sample)['id']));
  // The same again is the same execution.
  expect(requests.map((sample) => String(run(sample)['id']))).toEqual(ids);
  for (const id of ids.slice(0, 4)) {
    await untilStatus(platform, id, 'completed', 10_000);
  }
  await untilStatus(platform, ids[5] ?? '', 'failed', 10_000);

  const asked = `/api/v1/executions/${ids[4] ?? ''}/clarifications`;
  await eventually(async () => ((await platform.get(asked)).body['clarifications'] as unknown[]).length === 2, { what: 'two clarifications' });

  const others = operations.filter(({ path, method }) => path !== '/api/v1/executions' || method !== 'post');
  expect(others.length).toBeGreaterThan(10);
  for (const { samples } of others) {
    expect(samples).toHaveLength(1);
    for (const sample of samples) run(sample);
  }
  const verbs = await Promise.all(ids.map(async (id) => (await platform.get(`/api/v1/executions/${id}`)).body['status']));
  expect(verbs).toEqual(['completed', 410, 'completed', 'completed', 'running', 'failed', 'cancelled']);
}, 60_000);
