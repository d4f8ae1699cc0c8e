// What the platform takes when little is asked of it: one execution alone, requests at a given rate, reads of a status, and nothing at all.
// usage: npm run build && node bench/light-load.mjs [--alone 500] [--rate 500] [--seconds 5] [--readers 32] [--idle 20] [--json]
import { setTimeout as pause } from 'node:timers/promises';
import { jetstream } from '@nats-io/jetstream';
import { percentile, print } from './figures.mjs';
import { optionsOf } from './options.mjs';
import { startStack } from './stack.mjs';

const options = optionsOf({ alone: 500, rate: 500, seconds: 5, readers: 32, idle: 20, json: false });
const body = JSON.stringify({ plan: { name: 'bench', tasks: [{ id: 'a', runner: 'noop' }] } });
const millis = (samples) => ({ p50: percentile(samples, 0.5).toFixed(1), p99: percentile(samples, 0.99).toFixed(1) });
const withSum = (values, digits) => {
  const all = Object.values(values).reduce((total, value) => total + value, 0);
  return Object.fromEntries(Object.entries({ ...values, all }).map(([name, value]) => [name, value.toFixed(digits)]));
};

const { call, connect, usage, stop } = await startStack({ clients: 200 });
const request = () => call('POST', '/api/v1/executions', body);

/** When executions have completed, as the log tells it. */
const completions = async () => {
  const nc = await connect();
  const ended = new Map();
  let heard = () => undefined;
  const consumer = await jetstream(nc).consumers.get('LOG');
  await consumer.consume({
    callback: (message) => {
      if (message.json().events.at(-1).type !== 'ExecutionCompleted') return;
      ended.set(message.subject.slice(message.subject.lastIndexOf('.') + 1), performance.now());
      heard();
    },
  });
  return {
    of: async (id) => {
      while (!ended.has(id)) await new Promise((resolve) => (heard = resolve));
      return ended.get(id);
    },
    close: () => nc.drain(),
  };
};

const alone = async (count) => {
  const completed = await completions();
  const [accepted, done] = [[], []];
  for (let i = 0; i < count; i++) {
    const from = performance.now();
    const { id } = await request();
    accepted.push(performance.now() - from);
    done.push((await completed.of(id)) - from);
  }
  await completed.close();
  return { accepted: millis(accepted), completed: millis(done) };
};

/** As many as they come, whether those before were answered or not. */
const atRate = async () => {
  const { rate, seconds } = options;
  const taken = [];
  const from = performance.now();
  for (let sent = []; ; await pause(2)) {
    const due = Math.floor(((performance.now() - from) / 1000) * rate);
    while (sent.length < Math.min(due, rate * seconds)) {
      const asked = performance.now();
      sent.push(request().then(() => taken.push(performance.now() - asked)));
    }
    if (sent.length < rate * seconds) continue;
    await Promise.all(sent);
    return millis(taken);
  }
};

const reads = async () => {
  const { id } = await request();
  const before = usage();
  const from = performance.now();
  let count = 0;
  const reader = async () => {
    for (; performance.now() - from < options.seconds * 1000; count++) await call('GET', `/api/v1/executions/${id}`);
  };
  await Promise.all(Array.from({ length: options.readers }, reader));
  const after = usage();
  const spent = (name) => ((after[name].cpuSeconds - before[name].cpuSeconds) / count) * 1000;
  return {
    perSecond: Math.round(count / ((performance.now() - from) / 1000)),
    cpuSecondsPerThousand: Object.fromEntries(Object.keys(before).map((name) => [name, spent(name).toFixed(2)])),
  };
};

const idle = async () => {
  await pause(5_000);
  const before = usage();
  await pause(options.idle * 1000);
  const after = usage();
  const names = Object.keys(after);
  const percent = Object.fromEntries(names.map((name) => [name, ((after[name].cpuSeconds - before[name].cpuSeconds) / options.idle) * 100]));
  const resident = Object.fromEntries(names.map((name) => [name, after[name].mib]));
  return { percentOfACore: withSum(percent, 1), mib: withSum(resident, 0) };
};

try {
  const fresh = await idle();
  await alone(Math.min(500, options.alone));
  const figures = { alone: await alone(options.alone), acceptedAtRate: await atRate(), statusReads: await reads() };
  const used = await idle();
  print({ ...figures, idleWhenNew: fresh, idleAfterwards: used }, options.json);
} finally {
  await stop();
}
