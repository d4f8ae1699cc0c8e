// What retention gives back: executions with every app running, deleted by a setting, with sizes before and after, then verify and rebuild.
// usage: npm run build && node bench/retention.mjs [--count 10000] [--clients 50] [--json]
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import { print } from './figures.mjs';
import { optionsOf } from './options.mjs';
import { startStack, until } from './stack.mjs';

const { count, clients, json } = optionsOf({ count: 10_000, clients: 50, json: false });
const { call, command, connect, home, restart, stop } = await startStack({ clients });

const sizeOf = (folder) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0);

/** With a manager of the streams, for as long as `work` takes. */
const managed = async (work) => {
  const nc = await connect('provisioner');
  const manager = await jetstreamManager(nc, { checkAPI: false });
  const stream = async (name) => {
    const { messages, bytes } = (await manager.streams.info(name)).state;
    return { messages, bytes };
  };
  try {
    return await work(stream);
  } finally {
    await nc.drain();
  }
};

const sizes = () =>
  managed(async (stream) => ({
    log: await stream('LOG'),
    feed: await stream('FEED'),
    output: await stream('LOGS'),
    broker: sizeOf(join(home, 'nats')),
    readModels: sizeOf(join(home, 'projections')),
  }));

const secondsSince = (from) => Number(((performance.now() - from) / 1_000).toFixed(1));

try {
  const tasks = ['a', 'b', 'c'].map((id, i, all) => ({ id, runner: 'noop', input: { result: { text: 'x'.repeat(200) } }, ...(i > 0 && { dependsOn: [all[i - 1]] }) }));
  const body = JSON.stringify({ plan: { name: 'bench', tasks }, labels: { team: 'bench' } });
  let left = count;
  await Promise.all(
    Array.from({ length: clients }, async () => {
      while (left-- > 0) await call('POST', '/api/v1/executions', body);
    }),
  );
  await until('their ends', 300_000, async () => (await call('GET', '/api/v1/stats')).executions.byStatus.completed === count);
  await managed((stream) => until('the feed', 300_000, async () => (await stream('FEED')).messages >= count * 8));

  // What a server gives back it gives back when it starts: sizes are taken behind a restart.
  await restart();
  const before = await sizes();

  const from = performance.now();
  await restart({ RUNLEDGER_RETENTION_EXECUTIONS: '0' });
  await managed((stream) => until('the purge', 600_000, async () => (await stream('LOG')).messages === count));
  const retentionSeconds = secondsSince(from);
  const verifying = performance.now();
  const { status, stdout } = command('verify', '--json');
  const verify = { exit: status, faults: JSON.parse(stdout).faults.length, seconds: secondsSince(verifying) };
  const rebuild = {};
  for (const name of ['status', 'stats']) {
    await call('POST', `/api/v1/projections/${name}/rebuild`, '{}');
    const done = await until(`the rebuild of ${name}`, 300_000, async () => {
      const { rebuild: now } = await call('GET', `/api/v1/projections/${name}`);
      return now?.endedAt && now;
    });
    rebuild[name] = `${done.phase}, ${done.differs.length} tables differ`;
  }
  const { executions } = await call('GET', '/api/v1/stats');
  const after = await sizes();
  await restart();
  print({ count, retentionSeconds, before, after, verify, rebuild, left: executions.total, afterRestart: await sizes() }, json);
} finally {
  await stop();
}
