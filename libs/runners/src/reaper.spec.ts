import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { eventually, transpile } from '#libs/testing';
import { findSandbox } from './sandbox-probe.js';

/** Starts a command whose processes write their ids to stdout, and prints those and the reaper's id as they come. */
const host = `
  import { Reaper } from './reaper.js';
  import { commandRun } from './command-run.js';
  import { findSandbox } from './sandbox-probe.js';
  const [incarnation, workRoot, script, sandboxed, untold] = process.argv.slice(2);
  const { sandbox: found } = sandboxed ? await findSandbox(process.env.PATH) : {};
  const sandbox = untold ? { ...found, program: untold } : found;
  if (untold) Reaper.prototype.watch = () => process.kill(process.pid, 'SIGKILL');
  let reaper;
  const start = Reaper.prototype.start;
  Reaper.prototype.start = function () {
    const started = start.call(this);
    if (this.pid !== reaper) console.log('reaper ' + (reaper = this.pid));
    return started;
  };
  await commandRun({ incarnation, workRoot, policyOf: () => ({ roots: [], readable: [], network: 'never', limits: {} }), ...(sandbox && { sandbox }) })({
    ref: { tenant: 'acme', execution: 'run' },
    taskId: 'build',
    attempt: 1,
    input: { shell: 'bash', script },
    executionInput: {},
    idempotencyKey: 'run/build',
    signal: new AbortController().signal,
    output: async ({ bytes }) => void process.stdout.write(bytes),
    step: () => {},
  });
  console.log('ended');
`;

let folder: string;
let hosts: ChildProcess[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'reaper-'));
  await transpile(fileURLToPath(new URL('.', import.meta.url)), folder, ['contracts', 'secrets']);
});

afterEach(() => {
  for (const started of hosts) started.kill('SIGKILL');
  hosts = [];
});

afterAll(() => rm(folder, { recursive: true, force: true }));

/** An executor that runs `script`, in a process group of its own, and the lines it has printed so far. */
async function executor(script: string, ...sandboxed: readonly string[]): Promise<{ process: ChildProcess; lines: string[] }> {
  const program = host.replaceAll(`'./`, `'${folder}/`);
  const child = spawn(
    process.execPath,
    ['--input-type=module', '-e', program, '--', 'host', randomUUID(), join(folder, 'work'), script, ...sandboxed],
    { detached: true, stdio: ['ignore', 'pipe', 'inherit'] },
  );
  hosts.push(child);
  const lines: string[] = [];
  createInterface(child.stdout).on('line', (line) => lines.push(line));
  return { process: child, lines };
}

const isAlive = async (pid: number): Promise<boolean> => {
  const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return status !== '' && !status.includes(') Z ');
};

/** Whether a process has a handler for a signal, going by its /proc status. */
const catches = (status: string, signal: number): boolean =>
  ((BigInt(`0x${/SigCgt:\s*(\w+)/.exec(status)![1]}`) >> BigInt(signal - 1)) & 1n) === 1n;

/** The ids printed as `<name> <id>`, once there are as many. */
const pids = (lines: readonly string[], name: string, count: number): Promise<number[]> =>
  eventually(
    () => {
      const found = lines.filter((line) => line.startsWith(`${name} `)).map((line) => Number(line.split(' ')[1]));
      return found.length >= count && found;
    },
    { what: `${count} × ${name}` },
  );

const gone = (ids: readonly number[], what: string): Promise<unknown> =>
  eventually(async () => (await Promise.all(ids.map(isAlive))).every((alive) => !alive), { what });

const sleepers = `
  sleep 300 & echo child $!
  env -i sleep 300 & echo child $!
  setsid sleep 300 & echo child $!
  setsid bash -c 'trap "" TERM HUP INT; echo child $$; while :; do sleep 0.05; done' &
  echo child $$; wait`;

it('leaves none of its commands alive when an executor is killed', async () => {
  const { process: killed, lines } = await executor(sleepers);
  const children = await pids(lines, 'child', 5);
  const reaper = await pids(lines, 'reaper', 1);
  expect(await Promise.all([...children, ...reaper].map(isAlive))).toEqual(Array(6).fill(true));
  killed.kill('SIGKILL');
  await gone(children, 'the end of every command');
  await gone(reaper, 'the end of the reaper');
});

const found = await findSandbox(process.env['PATH'] ?? '');
if ('missing' in found) console.warn(`*** NO SANDBOX HERE, its tests are SKIPPED: ${found.missing} ***`);

('sandbox' in found ? it : it.skip)('leaves none alive in a sandbox either, wherever it moved to, the moment the executor is killed', async () => {
  // The ids inside are others: an argument that no other process has tells them from all.
  const seconds = String(86_400_000 + process.pid);
  const script = `env -i setsid sleep ${seconds} & (setsid env -i sleep ${seconds} &) ; sleep ${seconds}`;
  const sleeping = async (): Promise<readonly string[]> => {
    const names = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
    const lines = await Promise.all(names.map((name) => readFile(`/proc/${name}/cmdline`, 'latin1').catch(() => '')));
    return lines.filter((line) => line === `sleep\0${seconds}\0`);
  };
  const { process: killed } = await executor(script, 'sandboxed');
  await eventually(async () => (await sleeping()).length === 3, { what: 'three to sleep' });
  killed.kill('SIGKILL');
  await eventually(async () => (await sleeping()).length === 0, { what: 'the end of every one' });
});

('sandbox' in found ? it : it.skip)('leaves no bubblewrap alive that it was not told of: the executor is killed between starting it and saying so', async () => {
  // What a bubblewrap is whose outer process is gone before it has let the inner one go on: it waits for ever.
  const [waiting, noted] = [join(folder, 'waiting-bwrap'), join(folder, 'waiting-pid')];
  await writeFile(waiting, `#!/bin/sh\necho $$ > ${noted}\nexec sleep 86400\n`, { mode: 0o755 });
  const { process: killed } = await executor('true', 'sandboxed', waiting);
  expect(await once(killed, 'exit')).toEqual([null, 'SIGKILL']);
  const pid = await eventually(async () => Number(await readFile(noted, 'utf8')), { what: 'its process' });
  await gone([pid], 'the end of it');
});

it('survives the signals that stop a whole service, and the death of its executor’s process group', async () => {
  const { process: killed, lines } = await executor('setsid sleep 300 & echo child $!; echo child $$; wait');
  const [reaper] = await pids(lines, 'reaper', 1);
  const children = await pids(lines, 'child', 2);
  // Its last one; Node itself handles the others from the start, by ending.
  await eventually(async () => catches(await readFile(`/proc/${reaper}/status`, 'utf8'), 1), { what: 'its handlers' });
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.kill(reaper!, signal);
  process.kill(-killed.pid!, 'SIGKILL');
  await gone([...children, reaper!], 'everything to end');
  expect(lines.filter((line) => line.startsWith('reaper '))).toHaveLength(1);
});

it('is replaced when it dies, and the new one knows what runs', async () => {
  const { process: killed, lines } = await executor('env -i sleep 300 & echo child $!; echo child $$; wait');
  const children = await pids(lines, 'child', 2);
  const [first] = await pids(lines, 'reaper', 1);
  process.kill(first!, 'SIGKILL');
  const [, second] = await pids(lines, 'reaper', 2);
  expect(second).not.toBe(first);
  killed.kill('SIGKILL');
  await gone([...children, second!], 'everything to end');
});

it('keeps no executor from ending, and ends with it', async () => {
  const { process: ending, lines } = await executor('echo child $$');
  const reaper = await pids(lines, 'reaper', 1);
  expect(await once(ending, 'exit')).toEqual([0, null]);
  expect(lines).toContain('ended');
  await gone(reaper, 'the end of the reaper');
});
