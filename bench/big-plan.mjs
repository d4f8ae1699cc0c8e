// One plan of many tasks, from the request to the end of its execution, with every app running; and what each of them needed.
// usage: npm run build && node bench/big-plan.mjs [--wide 1000] [--deep 10] [--runner noop|command] [--pad 0] [--json]
import { parseArgs } from 'node:util';
import { startStack } from './stack.mjs';

const { values: options } = parseArgs({
  options: {
    wide: { type: 'string', default: '1000' },
    deep: { type: 'string', default: '10' },
    runner: { type: 'string', default: 'noop' },
    pad: { type: 'string', default: '0' },
    json: { type: 'boolean', default: false },
  },
});
const [wide, deep, pad] = [options.wide, options.deep, options.pad].map(Number);
const inputs = { noop: { result: { n: 1 } }, command: { argv: ['/bin/true'] } };
const tasks = Array.from({ length: wide * deep }, (_, i) => ({
  id: `layer-${Math.floor(i / wide)}-${i % wide}`,
  runner: options.runner,
  input: { ...inputs[options.runner], ...(pad > 0 && options.runner === 'noop' && { result: { pad: 'x'.repeat(pad) } }) },
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
  let detail;
  do {
    await new Promise((resolve) => setTimeout(resolve, 50));
    detail = await stack.call('GET', `/api/v1/executions/${id}`);
  } while (detail.endedAt === null);
  const ended = performance.now();
  const seen = performance.now();
  const { tasks: views } = await stack.call('GET', `/api/v1/executions/${id}/tasks`);
  const read = performance.now();
  const after = stack.usage();
  const figures = {
    tasks: views.length,
    runner: options.runner,
    bodyKiB: Math.round(body.length / 1024),
    status: detail.status,
    acceptedMs: Math.round(accepted - from),
    endedMs: Math.round(ended - from),
    readTasksMs: Math.round(read - seen),
    commits: detail.version,
    cpuSeconds: Object.fromEntries(Object.entries(after).map(([name, { cpuSeconds }]) => [name, (cpuSeconds - (before[name]?.cpuSeconds ?? 0)).toFixed(2)])),
    peakMiB: Object.fromEntries(Object.entries(after).map(([name, { peakMiB }]) => [name, `${Math.round(before[name]?.peakMiB ?? 0)} → ${Math.round(peakMiB)}`])),
  };
  if (options.json) console.log(JSON.stringify(figures, null, 2));
  else console.table(Object.fromEntries(Object.entries(figures).map(([key, value]) => [key, typeof value === 'object' ? JSON.stringify(value) : value])));
} finally {
  await stack.stop();
}
