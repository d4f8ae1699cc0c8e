// From commit to client: clients that follow a tenant live while executions run one after another, and the gateway's memory meanwhile.
// usage: npm run build && node bench/streams.mjs [--clients 1000] [--executions 60] [--kind websocket|sse] [--json]
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';
import { WebSocket } from 'ws';

/** Clients, in a thread of their own: what they cost is not to be mistaken for the gateway's. */
const follow = ({ port, clients, kind }) => {
  // Of each event: how often it came, and when the last client had it.
  const seen = new Map();
  const tell = (position, event) => {
    const now = Date.now();
    const known = seen.get(position) ?? { at: event.time, sequence: Number(position.split('/')[0]), delays: [] };
    seen.set(position, known);
    known.delays.push(now);
  };
  let open = 0;
  const opened = () => {
    if (++open === clients) parentPort.postMessage('open');
  };
  for (let n = 0; n < clients; n++) {
    if (kind === 'websocket') {
      const socket = new WebSocket(`ws://127.0.0.1:${port}/api/v1/stream`);
      socket.on('message', (data) => {
        const { type, position, event } = JSON.parse(data);
        if (type === 'snapshot') opened();
        if (type === 'event') tell(position, event);
      });
    } else {
      request({ host: '127.0.0.1', port, path: '/api/v1/stream', agent: false, headers: { accept: 'text/event-stream' } }, (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (piece) => {
          text += piece;
          const blocks = text.split('\n\n');
          text = blocks.pop();
          for (const block of blocks) {
            if (block.startsWith('event: snapshot')) opened();
            const [, position, data] = /^id: (\S+)\ndata: (.*)$/.exec(block) ?? [];
            if (data) tell(position, JSON.parse(data));
          }
        });
      }).end();
    }
  }
  parentPort.on('message', () => parentPort.postMessage([...seen.values()]));
};

const main = async () => {
  const { values: options } = parseArgs({
    options: {
      clients: { type: 'string', default: '1000' },
      executions: { type: 'string', default: '60' },
      kind: { type: 'string', default: 'websocket' },
      json: { type: 'boolean', default: false },
    },
  });
  const [clients, executions] = [Number(options.clients), Number(options.executions)];
  const freePort = () =>
    new Promise((resolve) => {
      const server = createServer().listen(0, '127.0.0.1', () => {
        const { port } = server.address();
        server.close(() => resolve(port));
      });
    });
  const home = mkdtempSync(join(tmpdir(), 'runledger-bench-'));
  const [port, natsPort] = [await freePort(), await freePort()];
  const up = spawn(process.execPath, ['dist/apps/cli/src/main.js', 'up'], {
    env: { ...process.env, RUNLEDGER_HOME: home, RUNLEDGER_PORT: String(port), RUNLEDGER_NATS_PORT: String(natsPort) },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const url = `http://127.0.0.1:${port}`;

  /** Of the gateway: resident bytes, and CPU seconds so far. */
  const gateway = () => {
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      try {
        if (!readFileSync(`/proc/${pid}/environ`, 'latin1').includes(home) || !readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('apps/gateway/')) continue;
        const status = readFileSync(`/proc/${pid}/status`, 'latin1');
        const mib = (name) => Math.round(Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)[1]) / 1024);
        const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1].split(' ');
        return { rss: mib('VmRSS'), peak: mib('VmHWM'), cpu: (Number(fields[11]) + Number(fields[12])) / 100 };
      } catch {
        // It ended meanwhile.
      }
    }
    throw new Error('no gateway');
  };
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

  try {
    for (const until = Date.now() + 60_000; (await fetch(`${url}/api/v1/stats`).catch(() => undefined))?.status !== 200; await pause(100)) {
      if (Date.now() > until) throw new Error('not ready within 60 s');
    }
    const before = gateway();
    const worker = new Worker(new URL(import.meta.url), { workerData: { port, clients, kind: options.kind } });
    const heard = () =>
      new Promise((resolve, reject) => {
        worker.once('message', resolve);
        worker.once('error', reject);
      });
    const from = performance.now();
    await heard();
    const openMs = performance.now() - from;
    const idle = gateway();
    const body = JSON.stringify({ plan: { name: 'bench', tasks: [{ id: 'a', runner: 'noop' }] } });
    const ids = [];
    const peaks = [];
    const begun = performance.now();
    for (let n = 0; n < executions; n++) {
      const answer = await fetch(`${url}/api/v1/executions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
      ids.push((await answer.json()).id);
      await pause(Math.max(0, begun + (n + 1) * 1_000 - performance.now()));
      peaks.push(gateway().rss);
    }
    await pause(1_000);
    const after = gateway();
    const storedAt = new Map();
    for (const id of ids) {
      const { events } = await (await fetch(`${url}/api/v1/executions/${id}/events?limit=1000`)).json();
      for (const event of events) storedAt.set(event.position, Date.parse(event.storedAt));
    }
    worker.postMessage('done');
    const seen = await heard();
    const bySequence = new Map([...storedAt].map(([position, at]) => [Number(position.split('/')[0]), at]));
    const delays = seen.flatMap(({ sequence, delays: times }) => times.map((time) => time - bySequence.get(sequence))).sort((a, b) => a - b);
    const percentile = (p) => delays[Math.min(delays.length - 1, Math.floor(delays.length * p))];
    const figures = {
      clients,
      kind: options.kind,
      executions,
      events: storedAt.size,
      delivered: delays.length,
      missingOrRepeated: Math.abs(storedAt.size * clients - delays.length) + seen.filter(({ delays: times }) => times.length !== clients).length,
      commitToClientMs: { p50: percentile(0.5), p99: percentile(0.99), max: delays[delays.length - 1] },
      openedAllInMs: Math.round(openMs),
      gatewayMiB: { alone: before.rss, withClients: idle.rss, most: Math.max(...peaks), peak: after.peak },
      gatewayCpuPercentOfACore: Number((((after.cpu - idle.cpu) / executions) * 100).toFixed(1)),
    };
    if (options.json) console.log(JSON.stringify(figures, null, 2));
    else console.table(Object.fromEntries(Object.entries(figures).map(([key, value]) => [key, typeof value === 'object' ? JSON.stringify(value) : value])));
    await worker.terminate();
  } finally {
    up.kill('SIGTERM');
    if (up.exitCode === null) await new Promise((resolve) => up.once('exit', resolve));
    rmSync(home, { recursive: true, force: true });
  }
};

if (isMainThread) await main();
else follow(workerData);
