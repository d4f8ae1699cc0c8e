import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Platform, startPlatform } from './platform.js';
import { untilStatus } from './until-status.js';

const MIB = 1024 ** 2;
/** Three times what was seen: a leak is far beyond it. */
const MOST_MEMORY = 700 * MIB;
/** The most that a plan may ask for. */
const OUTPUT_LIMIT = 8 * MIB;

let platform: Platform;
beforeAll(async () => {
  platform = await startPlatform();
}, 90_000);
afterAll(async () => expect(await platform.stop()).toBe(0), 60_000);

/** Bytes in memory of each process of the platform, commands left out. */
const memory = (): readonly number[] =>
  platform.processes().flatMap(({ pid, command }) => {
    if (!/apps\/(gateway|executor|projector)\/|nats-server/.test(command)) return [];
    try {
      return [Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024];
    } catch {
      return [];
    }
  });

const stored = (): number =>
  readdirSync(join(platform.home, 'nats'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, { parentPath, name }) => sum + (statSync(join(parentPath, name), { throwIfNoEntry: false })?.size ?? 0), 0);

/** How many bytes an answer has, which is not kept. */
const read = async (path: string): Promise<number> => {
  let size = 0;
  for await (const piece of (await fetch(platform.url + path)).body ?? []) size += (piece as Uint8Array).length;
  return size;
};

const sixMarkers = 'print "STEP_START:s" i " k=v"; print "ARTIFACT:f" i ":d"; print "META:k" i ":v"; print "STEP_START:"; print "META:x"; print "STEP_ERROR:"';

it.each([
  ['half a gigabyte without an end of line', "head -c 500000000 /dev/zero | tr '\\0' x", OUTPUT_LIMIT],
  ['a million markers, valid and not', `awk 'BEGIN { for (i = 0; i < 170000; i++) { ${sixMarkers} } }'`, 2 * MIB],
  ['fifty million empty lines', "yes '' | head -n 50000000", MIB],
  ['binary', 'head -c 50000000 /dev/urandom', OUTPUT_LIMIT],
])('of %s as much is kept as the limit says, which is told; it costs no process more memory than other output, nor the broker more disk', async (_what, script, maxOutputBytes) => {
  const before = stored();
  const peak: number[] = [];
  const sampling = setInterval(() => peak.push(...memory()), 200);
  const { body } = await platform.post('/api/v1/executions', { plan: { name: 'hostile', tasks: [{ id: 'a', runner: 'command', input: { shell: 'sh', script, maxOutputBytes } }] } });
  const id = String(body['id']);
  const lines = `/api/v1/executions/${id}/output/lines`;
  const following = [read(`${lines}?follow=true&search=zzz`), read(`${lines}?follow=true&tail=10&format=text&level=error`)];
  await untilStatus(platform, id, 'completed', 60_000);
  await Promise.all([...following, read(`${lines}?tail=10000`), read(`${lines}?search=zzz`), read(`/api/v1/executions/${id}/output?format=raw&limit=1000`)]);
  clearInterval(sampling);

  expect(peak.length).toBeGreaterThan(0);
  expect(Math.max(...peak)).toBeLessThan(MOST_MEMORY);
  expect(stored() - before).toBeLessThan(3 * OUTPUT_LIMIT);
  const execution = (await platform.get(`/api/v1/executions/${id}`)).body['result'] as { readonly a: Record<string, unknown> };
  expect(execution.a).toMatchObject({ truncated: true });
  expect(await (await fetch(`${platform.url}${lines}?tail=1&stream=stderr&format=text`)).text()).toBe(`[runledger] output truncated after ${maxOutputBytes} bytes\n`);
}, 120_000);
