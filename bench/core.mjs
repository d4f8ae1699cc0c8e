// CPU time that the pure core takes for big plans: one execution decided commit by commit as an executor does, and long histories folded.
// usage: npm run build && node bench/core.mjs [--tasks 100,1000,2000,5000,10000] [--json]
import { decide, fold, initial, next } from '#libs/execution';
import { print } from './figures.mjs';
import { optionsOf } from './options.mjs';

const options = optionsOf({ tasks: '100,1000,2000,5000,10000', json: false });

const context = (cause) => ({ now: Date.parse('2026-01-01T00:00:00Z'), cause, actor: 'bench', correlationId: 'bench' });
const planOf = (count, dependsOn) => ({
  name: 'bench',
  tasks: Array.from({ length: count }, (_, i) => ({ id: `t${i}`, runner: 'noop', input: {}, dependsOn: dependsOn(i) })),
});

/** One execution; `failing` of its tasks fail for good. Its commits are of up to `perCommit` events. */
const run = (plan, perCommit, failing = () => false) => {
  const history = [];
  let committed = initial;
  let state = initial;
  let events = [];
  const tell = (command, cause) => {
    const decided = decide(command, state, context(cause));
    state = fold(state, decided);
    events.push(...decided);
  };
  const commit = () => {
    committed = fold(committed, events);
    history.push(events);
    events = [];
  };
  tell({ type: 'RequestExecution', plan, name: 'bench', labels: {}, input: {}, dialect: 'canonical' }, 'request');
  commit();
  for (;;) {
    const { start, advance } = next(state, 0);
    if (start.length === 0 && !advance) break;
    if (advance) tell({ type: 'Advance' }, 'timer');
    for (const taskId of start) {
      tell({ type: 'StartTask', taskId, executor: 'e' }, taskId);
      if (events.length >= perCommit) commit();
      const outcome = failing(taskId) ? { ok: false, error: { code: 'BROKEN', message: 'it broke', retryable: false } } : { ok: true, result: {} };
      tell({ type: 'RecordOutcome', taskId, attempt: 1, outcome }, taskId);
      if (events.length >= perCommit) commit();
    }
  }
  if (events.length > 0) commit();
  return { history, status: committed.status };
};

/** CPU time, so that others on the machine do not count. */
const timed = (work) => {
  const from = process.cpuUsage();
  const result = work();
  const { user, system } = process.cpuUsage(from);
  return { ms: (user + system) / 1000, result };
};

const apart = () => [];
const inSequence = (i) => (i === 0 ? [] : [`t${i - 1}`]);
const onTheFirst = (i) => (i === 0 ? [] : ['t0']);
const measure = (count) => {
  const rounded = ({ ms }) => Math.round(ms * 10) / 10;
  const single = timed(() => run(planOf(count, apart), 1));
  return {
    tasks: count,
    'apart, ms': rounded(timed(() => run(planOf(count, apart), 200))),
    'in sequence, ms': rounded(timed(() => run(planOf(count, inSequence), 200))),
    'fan-out, ms': rounded(timed(() => run(planOf(count, onTheFirst), 200))),
    'apart, the first fails, ms': rounded(timed(() => run(planOf(count, apart), 200, (id) => id === 't0'))),
    'an event a commit, ms': rounded(single),
    commits: single.result.history.length,
    'history folded commit by commit, ms': rounded(timed(() => single.result.history.reduce((state, events) => fold(state, events), initial))),
  };
};

measure(200); // Just-in-time compilation is not what is measured.
const small = timed(() => {
  for (let i = 0; i < 20_000; i++) run(planOf(1, apart), 200);
});
if (!options.json) console.log(`plans of one task: ${Math.round(20_000 / (small.ms / 1000))} per CPU second`);
print(options.tasks.split(',').map(Number).map(measure), options.json);
