// What retention gives back: executions with every app running, deleted by a setting, with sizes before and after, then verify and rebuild.
// usage: npm run build && node bench/retention.mjs [--count 10000] [--clients 50] [--json]
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { connectionOptions } from '#libs/jetstream';

const { values: options } = parseArgs({
  options: { count: { type: 'string', default: '10000' }, clients: { type: 'string', default: '50' }, json: { type: 'boolean', default: false } },
});
const [count, clients] = [Number(options.count), Number(options.clients)];

const freePort = () =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

const home = mkdtempSync(join(tmpdir(), 'runledger-bench-'));
const [port, natsPort] = [await freePort(), await freePort()];
const environment = { ...process.env, RUNLEDGER_HOME: home, RUNLEDGER_PORT: String(port), RUNLEDGER_NATS_PORT: String(natsPort) };
const agent = new Agent({ keepAlive: true, maxSockets: clients });
const call = (method, path, body) =>
  new Promise((resolve, reject) => {
    const outgoing = request({ agent, host: '127.0.0.1', port, method, path, headers: body && { 'content-type': 'application/json' } }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (piece) => (text += piece)).on('end', () => {
        if (answer.statusCode >= 300) reject(new Error(`${method} ${path}: ${answer.statusCode} ${text.slice(0, 300)}`));
        else resolve(JSON.parse(text));
      });
    });
    outgoing.on('error', reject).end(body);
  });
const until = async (what, within, condition) => {
  for (const end = Date.now() + within; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 250))) {
    const found = await condition().catch(() => undefined);
    if (found) return found;
  }
  throw new Error(`waited ${within} ms in vain for ${what}`);
};

let up;
const start = async (more = {}) => {
  up = spawn(process.execPath, ['dist/apps/cli/src/main.js', 'up'], { env: { ...environment, ...more }, stdio: ['ignore', 'ignore', 'inherit'] });
  await until('the platform', 60_000, () => call('GET', '/readyz'));
};
const stop = async () => {
  up.kill('SIGTERM');
  if (up.exitCode === null) await new Promise((resolve) => up.once('exit', resolve));
};

const sizeOf = (folder) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0);

const sizes = async (manager) => {
  const stream = async (name) => {
    const { messages, bytes } = (await manager.streams.info(name)).state;
    return { messages, bytes };
  };
  return { log: await stream('LOG'), feed: await stream('FEED'), output: await stream('LOGS'), broker: sizeOf(join(home, 'nats')), readModels: sizeOf(join(home, 'projections')) };
};

const managerOf = async () => {
  const credentials = { seed: readFileSync(join(home, 'nats/users/provisioner/nkey'), 'utf8') };
  const nc = await connect(connectionOptions({ url: `127.0.0.1:${natsPort}`, credentials }, 'provisioner', 'bench'));
  return { manager: await jetstreamManager(nc, { checkAPI: false }), nc };
};

const seconds = (from) => Number(((performance.now() - from) / 1_000).toFixed(1));

try {
  await start();
  const tasks = ['a', 'b', 'c'].map((id, i, all) => ({ id, runner: 'noop', input: { result: { text: 'x'.repeat(200) } }, ...(i > 0 && { dependsOn: [all[i - 1]] }) }));
  const body = JSON.stringify({ plan: { name: 'bench', tasks }, labels: { team: 'bench' } });
  let left = count;
  await Promise.all(
    Array.from({ length: clients }, async () => {
      while (left-- > 0) await call('POST', '/api/v1/executions', body);
    }),
  );
  await until('their ends', 300_000, async () => (await call('GET', '/api/v1/stats')).executions.byStatus.completed === count);
  const first = await managerOf();
  await until('the feed', 300_000, async () => (await first.manager.streams.info('FEED')).state.messages >= count * 8);
  await first.nc.drain();
  await stop();

  await start();
  const second = await managerOf();
  const before = await sizes(second.manager);
  await second.nc.drain();
  await stop();

  const from = performance.now();
  await start({ RUNLEDGER_RETENTION_EXECUTIONS: '0' });
  const { manager, nc } = await managerOf();
  await until('the purge', 600_000, async () => (await manager.streams.info('LOG')).state.messages === count);
  const retention = seconds(from);
  const verifying = performance.now();
  const { status, stdout } = spawnSync(process.execPath, ['dist/apps/cli/src/main.js', 'verify', '--json'], { env: { ...environment, RUNLEDGER_URL: `http://127.0.0.1:${port}` }, encoding: 'utf8', maxBuffer: 2 ** 28 });
  const verify = { exit: status, faults: JSON.parse(stdout).faults.length, seconds: seconds(verifying) };
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
  const result = { count, retentionSeconds: retention, before, after: await sizes(manager), verify, rebuild, left: executions.total };
  await nc.drain();
  await stop();
  await start();
  const last = await managerOf();
  result.afterRestart = await sizes(last.manager);
  await last.nc.drain();
  console.log(options.json ? JSON.stringify(result) : JSON.stringify(result, null, 2));
} finally {
  await stop();
  rmSync(home, { recursive: true, force: true });
}
