import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Browser } from 'playwright-core';
import { eventually } from '#libs/testing';
import { launchBrowser } from './browser.js';
import { type Platform, startPlatform } from './platform.js';
import { untilStatus } from './until-status.js';

/** What the README says of streams, in its order. */
const section = /^#### Follow it live[^]*?(?=^#### )/m.exec(readFileSync('README.md', 'utf8'))?.[0] ?? '';
const block = (language: string): string => new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\`$`, 'm').exec(section)?.[1] ?? '';

let platform: Platform;
let browser: Browser | undefined;
beforeAll(async () => {
  platform = await startPlatform();
  browser = await launchBrowser('what the README shows of EventSource and WebSocket');
}, 90_000);
afterAll(async () => {
  await browser?.close();
  expect(await platform.stop()).toBe(0);
}, 60_000);

/** But for the port. */
const here = (script: string): string => script.replaceAll('127.0.0.1:8080', new URL(platform.url).host);

it('the commands that the README shows follow an execution to its end, and wait for the first that has ended', () => {
  const script = block('sh');
  expect(script.match(/^curl -N /gm)).toHaveLength(2);
  const { stdout, status } = spawnSync('bash', ['-e', '-c', here(script)], { encoding: 'utf8', env: { ...process.env, RUNLEDGER_URL: platform.url, RUNLEDGER_TENANT: '' }, timeout: 60_000 });
  expect(status).toBe(0);
  const [followed = '', first = ''] = stdout.split('retry: 1000\n').slice(1);
  expect(followed).toMatch(/^\nevent: snapshot\nid: \d+\/\d+\ndata: \{[^\n]*\}\n\n/);
  expect(followed).toMatch(/"type":"runledger\.v1\.ExecutionCompleted"[^\n]*\n\n$/);
  expect(first.match(/^id: /gm)).toHaveLength(1);
  expect(first).toMatch(/^\nid: \d+\/\d+\ndata: \{[^\n]*"type":"runledger\.v1\.ExecutionCompleted"[^\n]*\}\n\n$/);
}, 90_000);

it('the page that the README shows gets the snapshot, each event, and where to come back when the gateway stops', async () => {
  const script = block('js');
  expect(script.match(/new (EventSource|WebSocket)\(/g)).toHaveLength(2);
  const page = await browser?.newPage();
  if (!page) return;
  const said: unknown[][] = [];
  page.on('console', (message) => {
    void Promise.all(message.args().map((argument) => argument.jsonValue())).then((values) => said.push(values));
  });
  const plan = { name: 'shown', tasks: [{ id: 'a', runner: 'wait', input: { durationMs: 1_500 } }] };
  const id = String((await platform.post('/api/v1/executions', { plan })).body['id']);
  await page.goto(`${platform.url}/health`);
  await page.addScriptTag({ content: `const id = '${id}'; const show = ({ id }) => console.log('shown', id);\n${here(script)}` });
  await untilStatus(platform, id, 'completed', 20_000);
  await eventually(() => said.some(([, type]) => type === 'runledger.v1.ExecutionCompleted'), { what: 'the last event' });
  expect(said).toContainEqual(['shown', id]);
  const events = (await platform.get(`/api/v1/executions/${id}/events?limit=1000`)).body['events'] as { position: string; type: string }[];
  const last = events[events.length - 1];
  expect(said).toContainEqual([last?.position, 'runledger.v1.ExecutionCompleted']);
  await eventually(() => said.some(([message]) => (message as { event?: { execution?: string } } | undefined)?.event?.execution === id), { what: 'the same over the WebSocket' });
  expect(said).toContainEqual([expect.objectContaining({ type: 'snapshot' })]);
  const positions = said.flatMap(([position, type]) => (String(type).startsWith('runledger.v1.') ? [position] : []));
  expect(positions).toEqual([...new Set(positions)]);

  process.kill(platform.processes().find(({ command }) => command.includes('apps/gateway/'))?.pid ?? 0, 'SIGTERM');
  await eventually(() => said.some(([code]) => code === 1001), { what: 'the WebSocket to be closed', timeoutMs: 15_000 });
  expect(said).toContainEqual([1001, expect.stringMatching(/^SERVER_STOPPING after=\d+\/\d+$/)]);
  await page.close();
}, 90_000);
