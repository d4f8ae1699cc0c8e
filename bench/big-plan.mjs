// One plan of many tasks, from the request to the end of its execution, with every app running; and what each of them needed.
// usage: npm run build && node bench/big-plan.mjs [--wide 1000] [--deep 10] [--runner noop|command] [--pad 0] [--json]
import { print } from './figures.mjs';
import { optionsOf } from './options.mjs';
import { startStack, until } from './stack.mjs';

const { wide, deep, runner, pad, json } = optionsOf({ wide: 1000, deep: 10, runner: 'noop', pad: 0, json: false });
const inputs = { noop: { result: { n: 1 } }, command: { argv: ['/bin/true'] } };
const tasks = Array.from({ length: wide * deep }, (_, i) => ({
  id: `layer-${Math.floor(i / wide)}-${i % wide}`,
  runner,
  input: { ...inputs[runner], ...(pad > 0 && runner === 'noop' && { result: { pad: 'x'.repeat(pad) } }) },
  // Each on one of the layer before, and on its neighbour.
  dependsOn: i < wide ? [] : [...new Set([i - wide, i - wide + 1 - (i % wide === wide - 1 ? wide : 0)])].map((j) => `layer-${Math.floor(j / wide)}-${j % wide}`),
}));
const body = JSON.stringify({ plan: { name: 'big', tasks } });

const stack = await startStack();
try {
  // Just-in-time compilation is not what is measured.
  for (let i = 0; i < 20; i++) await stack.call('POST', '/api/v1/executions', JSON.stringify({ plan: { name: 'warm', tasks: tasks.slice(0, 20).map((task) => ({ ...task, dependsOn: [] })) } }));
  const before = stack.usage();
  const from = performance.now();
  const { id } = await stack.call('POST', '/api/v1/executions', body);
  const accepted = performance.now();
  const detail = await until('its end', 600_000, async () => {
    const now = await stack.call('GET', `/api/v1/executions/${id}`);
    return now.endedAt !== null && now;
  });
  const ended = performance.now();
  const seen = performance.now();
  const { tasks: views } = await stack.call('GET', `/api/v1/executions/${id}/tasks`);
  const read = performance.now();
  const after = stack.usage();
  const figures = {
    tasks: views.length,
    runner,
    bodyKiB: Math.round(body.length / 1024),
    status: detail.status,
    acceptedMs: Math.round(accepted - from),
    endedMs: Math.round(ended - from),
    readTasksMs: Math.round(read - seen),
    commits: detail.version,
    cpuSeconds: Object.fromEntries(Object.entries(after).map(([name, { cpuSeconds }]) => [name, (cpuSeconds - (before[name]?.cpuSeconds ?? 0)).toFixed(2)])),
    peakMiB: Object.fromEntries(Object.entries(after).map(([name, { peakMiB }]) => [name, `${Math.round(before[name]?.peakMiB ?? 0)} → ${Math.round(peakMiB)}`])),
  };
  print(figures, json);
} finally {
  await stack.stop();
}
