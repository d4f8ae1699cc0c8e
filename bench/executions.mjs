// Executions per second over HTTP with every app running, and where the time goes.
// usage: npm run build && node bench/executions.mjs [--count 2000] [--clients 100] [--tasks 1] [--runner noop|command] [--json]
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { percentile, print } from './figures.mjs';
import { optionsOf } from './options.mjs';
import { startStack } from './stack.mjs';

const { count, clients, runner, json, ...options } = optionsOf({ count: 2000, clients: 100, tasks: 1, runner: 'noop', json: false });

const { call, connect, usage, stop } = await startStack({ clients });

/** CPU seconds so far, by what each process of this run is. */
const cpu = () => Object.fromEntries(Object.entries(usage()).map(([name, { cpuSeconds }]) => [name, cpuSeconds]));

try {
  const nc = await connect();
  const manager = await jetstreamManager(nc);
  const startedAt = new Map();
  const latencies = [];
  let commits = 0;
  let finished;
  const allDone = new Promise((resolve) => (finished = resolve));
  const waiting = new Map();
  const consumer = await jetstream(nc).consumers.get('LOG');
  const messages = await consumer.consume({
    max_messages: 5_000,
    callback: (message) => {
      commits += 1;
      const id = message.subject.slice(message.subject.lastIndexOf('.') + 1);
      const { events } = message.json();
      const last = events[events.length - 1].type;
      if (last === 'ExecutionCompleted') {
        const at = startedAt.get(id);
        if (at === undefined) waiting.set(id, performance.now());
        else ended(performance.now() - at);
      } else if (last === 'ExecutionFailed') throw new Error(`execution ${id} failed`);
    },
  });
  const ended = (ms) => {
    latencies.push(ms);
    if (latencies.length === total) finished();
  };

  const tasks = Array.from({ length: options.tasks }, (_, i) => ({
    id: `t${i}`,
    runner,
    ...(runner === 'command' && { input: { argv: ['/bin/true'] } }),
    ...(i > 0 && { dependsOn: [`t${i - 1}`] }),
  }));
  const body = JSON.stringify({ plan: { name: 'bench', tasks } });
  const accepts = [];
  let total = 0;
  const drive = async (n) => {
    let left = n;
    await Promise.all(
      Array.from({ length: clients }, async () => {
        while (left-- > 0) {
          const from = performance.now();
          const { id } = await call('POST', '/api/v1/executions', body);
          accepts.push(performance.now() - from);
          const done = waiting.get(id);
          if (done === undefined) startedAt.set(id, from);
          else ended(done - from);
        }
      }),
    );
  };

  // Just-in-time compilation is not what is measured.
  total = Math.min(500, count);
  const warm = Math.min(500, count);
  const warmed = allDone;
  await drive(warm);
  await warmed;
  latencies.length = accepts.length = 0;
  commits = 0;
  total = count;
  const measured = new Promise((resolve) => (finished = resolve));

  const lags = [];
  let sampling = true;
  // One probe at a time, rarely: the questions must not become the load.
  const sampler = (async () => {
    while (sampling) {
      const from = performance.now();
      const head = (await manager.streams.info('LOG')).state.last_seq;
      while ((await call('GET', '/api/v1/executions?limit=1')).asOfSeq < head && performance.now() - from < 10_000);
      lags.push(performance.now() - from);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  })();
  const before = cpu();
  const from = performance.now();
  await drive(count);
  const accepted = performance.now();
  await measured;
  const to = performance.now();
  const after = cpu();
  sampling = false;
  await sampler;
  await messages.close();
  await nc.drain();

  const seconds = (to - from) / 1000;
  const figures = {
    executions: count,
    clients,
    tasksEach: options.tasks,
    runner,
    executionsPerSecond: Math.round(count / seconds),
    acceptedPerSecond: Math.round(count / ((accepted - from) / 1000)),
    acceptMs: { p50: percentile(accepts, 0.5).toFixed(1), p99: percentile(accepts, 0.99).toFixed(1) },
    requestToCompletedMs: { p50: percentile(latencies, 0.5).toFixed(1), p99: percentile(latencies, 0.99).toFixed(1) },
    statusLagMs: lags.length > 0 ? { p50: percentile(lags, 0.5).toFixed(0), p99: percentile(lags, 0.99).toFixed(0) } : 'too short to sample',
    commitsPerExecution: (commits / count).toFixed(2),
    cpuSecondsPerThousand: Object.fromEntries(
      Object.entries(after).map(([name, value]) => [name, (((value - (before[name] ?? 0)) / count) * 1000).toFixed(2)]),
    ),
  };
  print(figures, json);
} finally {
  await stop();
}
