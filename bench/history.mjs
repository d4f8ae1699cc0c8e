// A long history read from a real log and folded, as a gateway does it for a command, and an executor for an execution that it takes over.
// usage: npm run build && node bench/history.mjs [--tasks 5000] [--rounds 5] [--json]
import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import { decide, next } from '#libs/execution';
import { JetStreamLog, connectNats, provision } from '#libs/jetstream';
import { append, load, replay, submit, unborn } from '#libs/ledger';
import { natsServers, startNats } from './nats.mjs';

const { values: options } = parseArgs({
  options: { tasks: { type: 'string', default: '5000' }, rounds: { type: 'string', default: '5' }, json: { type: 'boolean', default: false } },
});

const server = await startNats(natsServers()[0]);
const nats = await connectNats({ url: server.url, name: 'bench', wait: true });
try {
  await provision(nats, { logMaxBytes: 2 * 1024 ** 3 });
  const log = new JetStreamLog(nats, (message) => console.error(message));
  const ref = { tenant: 'bench', execution: randomUUID() };
  const context = (cause) => ({ now: Date.now(), cause, actor: 'bench', correlationId: 'bench' });
  const tasks = Array.from({ length: Number(options.tasks) }, (_, i) => ({ id: `t${i}`, runner: 'noop', input: {}, dependsOn: i === 0 ? [] : [`t${i - 1}`] }));
  let { execution } = await submit(log, ref, { type: 'RequestExecution', plan: { name: 'bench', tasks }, name: 'bench', labels: {}, input: {}, dialect: 'canonical' }, context('request'));
  const tell = async (command, cause) => (execution = await append(log, execution, decide(command, execution.state, context(cause))));
  // An event or two a commit.
  for (let [taskId] = next(execution.state, Date.now()).start; taskId !== undefined; [taskId] = next(execution.state, Date.now()).start) {
    await tell({ type: 'StartTask', taskId, executor: 'bench' }, taskId);
    await tell({ type: 'RecordOutcome', taskId, attempt: 1, outcome: { ok: true, result: {} } }, taskId);
  }
  const rounds = [];
  for (let i = 0; i < Number(options.rounds); i++) {
    const from = performance.now();
    const history = await log.history(ref);
    const read = performance.now();
    const { state } = replay(unborn(ref), history);
    rounds.push({ commits: history.length, status: state.status, readMs: Math.round(read - from), foldMs: Math.round(performance.now() - read), allMs: Math.round(performance.now() - from) });
  }
  const from = performance.now();
  await load(log, ref);
  rounds.push({ commits: execution.version, status: execution.state.status, allMs: Math.round(performance.now() - from) });
  if (options.json) console.log(JSON.stringify(rounds, null, 2));
  else console.table(rounds);
} finally {
  await nats.close();
  await server.stop();
}
