// What a command costs, /bin/true run as an executor runs it: without anything, with limits, in a sandbox.
// usage: npm run build && node bench/commands.mjs [--count 200] [--json]
import { mkdtempSync, rmSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRunners, findSandbox } from '#libs/runners';
import { print } from './figures.mjs';
import { optionsOf } from './options.mjs';

const { count, json } = optionsOf({ count: 200, json: false });
const folder = mkdtempSync(join(tmpdir(), 'runledger-commands-'));
const found = await findSandbox(process.env.PATH ?? '');
if (found.missing) console.error(`no sandbox here: ${found.missing}`);

const limits = { cpuSeconds: 60, memoryBytes: 2 ** 30, openFiles: 1024, fileSizeBytes: 2 ** 30, processes: 1024, tmpBytes: 2 ** 28 };
const ways = [
  ['directly', {}, {}],
  ['with limits', limits, {}],
  ...(found.sandbox ? [['in a sandbox, with limits', limits, { sandbox: found.sandbox }]] : []),
];

/** Milliseconds per command, that many at once. */
async function measured(runner, atOnce) {
  let left = count;
  const startedAt = performance.now();
  const one = async () => {
    while (left-- > 0) {
      const outcome = await runner.run({
        ref: { tenant: 'bench', execution: 'bench' },
        taskId: 'true',
        attempt: left + 1,
        input: { argv: ['/bin/true'] },
        executionInput: {},
        idempotencyKey: 'bench/true',
        signal: new AbortController().signal,
        output: async () => {},
        step: () => {},
      });
      if (!outcome.ok) throw new Error(JSON.stringify(outcome));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, one));
  return Number(((performance.now() - startedAt) / count).toFixed(1));
}

const runners = ways.map(([name, limits, options]) => [
  name,
  createRunners({
    incarnation: randomUUID(),
    policyOf: () => ({ roots: [process.cwd()], readable: [], network: 'never', limits }),
    workRoot: join(folder, 'work'),
    ...options,
  }).get('command'),
]);
for (const [, runner] of runners) await measured(runner, 2);
const rows = [];
for (let round = 1; round <= 3; round++) {
  for (const [way, runner] of runners) {
    rows.push({ round, way, 'ms, one after another': await measured(runner, 1), 'ms, 8 at once': await measured(runner, 8) });
  }
}
print(rows, json);
rmSync(folder, { recursive: true, force: true });
