// Appends per second through the log's own client, with every write synced, on each nats-server at hand.
// usage: npm run build && node bench/append.mjs [--seconds 3] [--in-flight 1,100,400] [--server path,path] [--flush] [--json]
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { JetStreamLog, connectNats, provision } from '#libs/jetstream';
import { percentile, print } from './figures.mjs';
import { natsServers, startNats } from './nats.mjs';
import { optionsOf } from './options.mjs';

const options = optionsOf({
  seconds: 3,
  'in-flight': '1,100,400',
  server: natsServers().join(','),
  /** The server's own flush interval in place of a sync at every write. */
  flush: false,
  json: false,
});

const filler = 'x'.repeat(80);
const body = (id) =>
  Buffer.from(
    JSON.stringify({
      id,
      version: 1,
      previous: 'A'.repeat(43),
      events: [{ type: 'ExecutionPaused', at: '2026-01-01T00:00:00.000Z', cause: filler, actor: 'bench', correlationId: id, data: {} }],
    }),
  );

const measure = async (log, inFlight) => {
  const until = performance.now() + options.seconds * 1_000;
  const latencies = [];
  const began = performance.now();
  const worker = async () => {
    while (performance.now() < until) {
      const id = randomUUID();
      const from = performance.now();
      const { stored } = await log.append({ ref: { tenant: 'bench', execution: id }, id, expected: 0, body: body(id) });
      if (!stored) throw new Error('a conflict on a new execution');
      latencies.push(performance.now() - from);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
  const seconds = (performance.now() - began) / 1_000;
  const at = (share) => Number(percentile(latencies, share).toFixed(2));
  return { work: `${inFlight} in flight`, commits: latencies.length, perSecond: Math.round(latencies.length / seconds), p50Ms: at(0.5), p99Ms: at(0.99) };
};

/** How fast a reader takes in, parses and hashes all that was appended. */
const measureFollow = async (log) => {
  const { sequence } = await log.head();
  const began = performance.now();
  let read = 0;
  const follower = await new Promise((resolve, reject) => {
    const done = log.follow(undefined, {
      commits: (batch) => void (read += batch.length),
      lost: (why) => reject(new Error(why)),
      caughtUp: () => resolve(done),
    });
  });
  const perSecond = Math.round(read / ((performance.now() - began) / 1_000));
  await follower.stop();
  if (read !== sequence) throw new Error(`read ${read} of ${sequence}`);
  return { work: 'follow', commits: read, perSecond };
};

const rows = [];
for (const binary of options.server.split(',')) {
  const server = await startNats(binary, { sync: options.flush ? '' : 'sync_interval: always' });
  const nats = await connectNats({ url: server.url, name: 'bench', wait: true });
  await provision(nats, { logMaxBytes: 2 * 1024 ** 3 });
  const log = new JetStreamLog(nats, (message) => console.error(message));
  const version = spawnSync(binary, ['--version']).stdout.toString().trim();
  const mode = options.flush ? 'default flush' : 'sync always';
  for (const inFlight of options['in-flight'].split(',').map(Number)) rows.push({ server: version, mode, ...(await measure(log, inFlight)) });
  rows.push({ server: version, mode, ...(await measureFollow(log)) });
  await nats.close();
  await server.stop();
}
print(rows, options.json);
