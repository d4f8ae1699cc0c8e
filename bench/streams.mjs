// From commit to client: clients that follow a tenant live while executions run one after another, and the gateway's memory meanwhile.
// usage: npm run build && node bench/streams.mjs [--clients 1000] [--executions 60] [--kind websocket|sse] [--json]
import { request } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';
import { WebSocket } from 'ws';
import { percentile, print } from './figures.mjs';
import { optionsOf } from './options.mjs';
import { startStack } from './stack.mjs';

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
  const { clients, executions, kind, json } = optionsOf({ clients: 1000, executions: 60, kind: 'websocket', json: false });
  const { call, port, stop, usage } = await startStack();
  const gateway = () => {
    const { cpuSeconds, mib, peakMiB } = usage().gateway;
    return { cpu: cpuSeconds, mib: Math.round(mib), peak: Math.round(peakMiB) };
  };

  try {
    const before = gateway();
    const worker = new Worker(new URL(import.meta.url), { workerData: { port, clients, kind } });
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
      ids.push((await call('POST', '/api/v1/executions', body)).id);
      await pause(Math.max(0, begun + (n + 1) * 1_000 - performance.now()));
      peaks.push(gateway().mib);
    }
    await pause(1_000);
    const after = gateway();
    const storedAt = new Map();
    for (const id of ids) {
      const { events } = await call('GET', `/api/v1/executions/${id}/events?limit=1000`);
      for (const event of events) storedAt.set(event.position, Date.parse(event.storedAt));
    }
    worker.postMessage('done');
    const seen = await heard();
    const bySequence = new Map([...storedAt].map(([position, at]) => [Number(position.split('/')[0]), at]));
    const delays = seen.flatMap(({ sequence, delays: times }) => times.map((time) => time - bySequence.get(sequence)));
    const figures = {
      clients,
      kind,
      executions,
      events: storedAt.size,
      delivered: delays.length,
      missingOrRepeated: Math.abs(storedAt.size * clients - delays.length) + seen.filter(({ delays: times }) => times.length !== clients).length,
      commitToClientMs: { p50: percentile(delays, 0.5), p99: percentile(delays, 0.99), max: percentile(delays, 1) },
      openedAllInMs: Math.round(openMs),
      gatewayMiB: { alone: before.mib, withClients: idle.mib, most: Math.max(...peaks), peak: after.peak },
      gatewayCpuPercentOfACore: Number((((after.cpu - idle.cpu) / executions) * 100).toFixed(1)),
    };
    print(figures, json);
    await worker.terminate();
  } finally {
    await stop();
  }
};

if (isMainThread) await main();
else follow(workerData);
