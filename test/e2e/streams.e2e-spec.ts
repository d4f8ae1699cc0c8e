import { randomUUID } from 'node:crypto';
import type { Browser } from 'playwright-core';
import { eventually } from '#libs/testing';
import { Follower } from '../gateway/stream-clients.js';
import { launchBrowser } from './browser.js';
import { type Platform, startPlatform } from './platform.js';
import { untilStatus } from './until-status.js';

const plan = { name: 'chain', tasks: ['a', 'b', 'c'].map((id, index, all) => ({ id, runner: 'noop', dependsOn: all.slice(0, index).slice(-1) })) };

let platform: Platform;
let browser: Browser | undefined;
beforeAll(async () => {
  platform = await startPlatform();
  browser = await launchBrowser('EventSource in a browser');
}, 90_000);
afterAll(async () => {
  await browser?.close();
  expect(await platform.stop()).toBe(0);
}, 60_000);

/** Also while the gateway is away: one execution, whichever answers were lost. */
const request = (): Promise<string> => {
  const headers = { 'content-type': 'application/json', 'idempotency-key': randomUUID() };
  return eventually(
    async () => {
      const answer = await fetch(`${platform.url}/api/v1/executions`, { method: 'POST', headers, body: JSON.stringify({ plan }) });
      return answer.status === 202 && String(((await answer.json()) as { id: string }).id);
    },
    { what: 'an execution to be accepted', timeoutMs: 30_000 },
  );
};

const place = (position: string): number => Number(position.split('/')[0]) * 1_000 + Number(position.split('/')[1]);

/** Positions of every committed event, in order. */
const committed = async (ids: readonly string[]): Promise<readonly string[]> => {
  const pages = await Promise.all(ids.map(async (id) => (await platform.get(`/api/v1/executions/${id}/events?limit=1000`)).body['events'] as { position: string }[]));
  return pages.flat().map(({ position }) => position).toSorted((a, b) => place(a) - place(b));
};

it('shows every committed event once to curl, a WebSocket and the EventSource of a browser, over killed gateways and a killed projector', async () => {
  const url = `${platform.url}/api/v1/stream`;
  const page = await browser?.newPage();
  await page?.goto(`${platform.url}/health`);
  await page?.evaluate(() => {
    const got: string[] = [];
    Object.assign(globalThis, { got });
    const source = new EventSource('/api/v1/stream?after=0/0');
    source.onmessage = ({ lastEventId }) => got.push(lastEventId);
  });
  const inPage = async (): Promise<readonly string[]> => (await page?.evaluate(() => (globalThis as unknown as { got: string[] }).got)) ?? [];

  const ids: string[] = [];
  const all = [new Follower(url, 'event stream', '0/0'), new Follower(url, 'WebSocket', '0/0')];
  const first = await request();
  ids.push(first);
  const one = [new Follower(`${platform.url}/api/v1/executions/${first}/stream`, 'WebSocket', '0/0')];
  let goesOn = true;
  const load = (async () => {
    while (goesOn) ids.push(await request());
  })();
  for (const victim of ['apps/gateway/', 'apps/projector/', 'apps/gateway/']) {
    const then = ids.length;
    await eventually(() => ids.length > then + 20, { what: 'some more executions', timeoutMs: 30_000 });
    await platform.killAndAwaitReturn(victim);
  }
  const last = ids.length;
  await eventually(() => ids.length > last + 20, { what: 'the last executions', timeoutMs: 30_000 });
  goesOn = false;
  await load;
  for (const id of ids) await untilStatus(platform, id, 'completed', 30_000);

  const expected = await committed(ids);
  const end = expected[expected.length - 1];
  await eventually(() => all.every((follower) => follower.last === end), { what: 'the followers to come to the end', timeoutMs: 30_000 });
  for (const follower of all) expect(follower.positions).toEqual(expected);
  expect(one[0]?.positions).toEqual(await committed([first]));
  expect(all.map(({ connected }) => connected >= 3)).toEqual([true, true]);
  for (const follower of [...all, ...one]) follower.stop();
  if (!page) return;
  await eventually(async () => (await inPage()).slice(-1)[0] === end, { what: 'the browser to come to the end', timeoutMs: 30_000 });
  expect(await inPage()).toEqual(expected);
}, 180_000);

it('serves 500 WebSockets that come back at once, each of which goes on without a gap', async () => {
  const before = await request();
  await untilStatus(platform, before, 'completed', 10_000);
  const from = (await committed([before])).slice(-1)[0] ?? '';
  const followers = Array.from({ length: 500 }, () => new Follower(`${platform.url}/api/v1/stream`, 'WebSocket', from));
  await eventually(() => followers.every(({ connected }) => connected === 1), { what: '500 connections', timeoutMs: 30_000 });
  const ids: string[] = [];
  for (let n = 0; n < 5; n++) ids.push(await request());
  const killed = platform.killAndAwaitReturn('apps/gateway/');
  for (let n = 0; n < 5; n++) ids.push(await request());
  await killed;
  await eventually(() => followers.every(({ connected }) => connected === 2), { what: '500 connections again', timeoutMs: 60_000 });
  for (let n = 0; n < 5; n++) ids.push(await request());
  for (const id of ids) await untilStatus(platform, id, 'completed', 30_000);
  const expected = await committed(ids);
  await eventually(() => followers.every(({ last }) => last === expected[expected.length - 1]), { what: 'all of them to come to the end', timeoutMs: 60_000 });
  expect(followers.filter(({ positions }) => JSON.stringify(positions) !== JSON.stringify(expected)).map(({ positions }) => positions)).toEqual([]);
  for (const follower of followers) follower.stop();
}, 180_000);

it('ends streams with the position to come back with when it is stopped in order', async () => {
  const gateway = platform.processes().find(({ command }) => command.includes('apps/gateway/'));
  const events = await fetch(`${platform.url}/api/v1/stream`, { headers: { accept: 'text/event-stream' } });
  const reading = events.text();
  process.kill(gateway?.pid ?? 0, 'SIGTERM');
  expect(await reading).toMatch(/\nevent: dropped\nid: (\d+\/\d+)\ndata: \{"code":"SERVER_STOPPING","position":"\1",.*\}\n\n$/);
  await eventually(async () => (await fetch(`${platform.url}/readyz`).catch(() => undefined))?.status === 200, { what: 'the gateway to be back', timeoutMs: 30_000 });
}, 60_000);
