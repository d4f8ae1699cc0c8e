// A long history read from a real log and folded, as a gateway does it for a command, and an executor for an execution that it takes over.
// usage: npm run build && node bench/history.mjs [--tasks 5000] [--rounds 5] [--json]
import { randomUUID } from 'node:crypto';
import { decide, next } from '#libs/execution';
import { JetStreamLog, connectNats, provision } from '#libs/jetstream';
import { append, load, replay, submit, unborn } from '#libs/ledger';
import { print } from './figures.mjs';
import { natsServers, startNats } from './nats.mjs';
import { optionsOf } from './options.mjs';

const options = optionsOf({ tasks: 5000, rounds: 5, json: false });

const server = await startNats(natsServers()[0]);
const nats = await connectNats({ url: server.url, name: 'bench', wait: true });
try {
  await provision(nats, { logMaxBytes: 2 * 1024 ** 3 });
  const log = new JetStreamLog(nats, (message) => console.error(message));
  const ref = { tenant: 'bench', execution: randomUUID() };
  const context = (cause) => ({ now: Date.now(), cause, actor: 'bench', correlationId: 'bench' });
  const tasks = Array.from({ length: options.tasks }, (_, i) => ({ id: `t${i}`, runner: 'noop', input: {}, dependsOn: i === 0 ? [] : [`t${i - 1}`] }));
  let { execution } = await submit(log, ref, { type: 'RequestExecution', plan: { name: 'bench', tasks }, name: 'bench', labels: {}, input: {}, dialect: 'canonical' }, context('request'));
  const tell = async (command, cause) => (execution = await append(log, execution, decide(command, execution.state, context(cause))));
  // An event or two a commit.
  for (let [taskId] = next(execution.state, Date.now()).start; taskId !== undefined; [taskId] = next(execution.state, Date.now()).start) {
    await tell({ type: 'StartTask', taskId, executor: 'bench' }, taskId);
    await tell({ type: 'RecordOutcome', taskId, attempt: 1, outcome: { ok: true, result: {} } }, taskId);
  }
  const rounds = [];
  for (let i = 0; i < options.rounds; i++) {
    const from = performance.now();
    const history = await log.history(ref);
    const read = performance.now();
    const { state } = replay(unborn(ref), history);
    rounds.push({ commits: history.length, status: state.status, readMs: Math.round(read - from), foldMs: Math.round(performance.now() - read), allMs: Math.round(performance.now() - from) });
  }
  const from = performance.now();
  await load(log, ref);
  rounds.push({ commits: execution.version, status: execution.state.status, allMs: Math.round(performance.now() - from) });
  print(rounds, options.json);
} finally {
  await nats.close();
  await server.stop();
}
