import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '#libs/testing';
import { cli, json, jsonLines } from './cli.js';
import { type Platform, startPlatform } from './platform.js';

/** What commands may see of this machine. */
const root = mkdtempSync(join(tmpdir(), 'runledger-cli-'));
let platform: Platform;
beforeAll(async () => {
  platform = await startPlatform({ RUNLEDGER_ROOTS: root });
}, 90_000);
afterAll(async () => {
  await platform.stop();
  rmSync(root, { recursive: true, force: true });
}, 60_000);

const run = (...args: readonly string[]) => cli(platform, args);
const started = async (script: string, ...more: readonly string[]): Promise<string> => {
  const { code, out } = await run('run', '--detach', ...more, '--', 'sh', '-c', script).ended;
  expect(code).toBe(0);
  return out.trim();
};
/** What a command waits for until the test lets it go on. */
const gate = (): { readonly script: string; readonly open: () => void } => {
  const file = join(root, randomUUID());
  return { script: `until [ -e ${file} ]; do sleep 0.05; done`, open: () => writeFileSync(file, '') };
};
const status = async (id: string): Promise<unknown> => (await platform.get(`/api/v1/executions/${id}`)).body['status'];

/** A plan that fails once, for the standard input of run. */
const retried = JSON.stringify({
  name: 'retried',
  tasks: [
    {
      id: 'flaky',
      runner: 'command',
      input: { shell: 'sh', script: 'echo "try $RUNLEDGER_ATTEMPT"; test $RUNLEDGER_ATTEMPT = 2' },
      retry: { maxAttempts: 2, backoff: 'fixed', delayMs: 50 },
    },
    { id: 'after', runner: 'command', input: { argv: ['echo', 'done'] }, dependsOn: ['flaky'] },
  ],
});

it('carries on what failed in new executions, and says where from', async () => {
  const { out } = await run('run', '--detach', '--plan', 'examples/delivery.json').ended;
  const id = out.trim();
  expect(await run('watch', id).ended).toMatchObject({ code: 1 });
  const retried = await run('retry', id).ended;
  expect(retried.code).toBe(1);
  expect(retried.err).toMatch(new RegExp(`requested, 2 tasks, retry of ${id}`));
  expect(retried.err).toMatch(new RegExp(`pack +completed in ${id}, carried over`));
  expect(await run('fork', id, '--input', '{"address":"12 Long Row"}', '--label', 'team=red').ended).toMatchObject({ code: 0 });
  const rerun = (await run('rerun', id, '--from', 'deliver', '--detach').ended).out.trim();
  expect((await run('show', rerun).ended).out).toContain(`rerun of ${id} from deliver`);
  expect((await run('show', id).ended).out).toMatch(new RegExp(`carried on by +${rerun} \\(rerun\\)`));
  const { value } = await json(run('list', '--origin', id, '--json'));
  expect((value as { executions: { origin: { kind: string } }[] }).executions.map(({ origin }) => origin.kind)).toEqual(['rerun', 'fork', 'retry']);
  expect(await run('retry', 'nobody').ended).toMatchObject({ code: 3 });
}, 90_000);

describe('run', () => {
  it('passes on what one command writes, byte for byte on its own streams, and how it ended', async () => {
    const well = await run('run', '--', 'sh', '-c', 'printf "to out"; echo to err >&2').ended;
    expect(well).toMatchObject({ code: 0, out: 'to out' });
    expect(well.err).toContain('to err\n');
    expect(well.err).toMatch(/command +completed/);
    const badly = await run('run', '--', 'sh', '-c', 'exit 7').ended;
    expect(badly).toMatchObject({ code: 1, out: '' });
    expect(badly.err).toContain('exit code 7');
  }, 60_000);

  it('shows the tasks of a plan as they go, and all of it as JSON', async () => {
    const shown = await cli(platform, ['run', '--plan', '-'], retried).ended;
    expect(shown).toMatchObject({ code: 0, out: 'flaky | try 1\nflaky | try 2\nafter | done\n' });
    const inOrder = [/flaky +started/, /flaky +failed, COMMAND_EXITED/, /flaky +attempt 2 in/, /flaky +completed after/, /after +completed/, /retried +completed/];
    let at = -1;
    for (const line of inOrder) {
      const found = shown.err.slice(at + 1).search(line);
      expect(found).toBeGreaterThanOrEqual(0);
      at += 1 + found;
    }
    const { code, values } = await jsonLines(cli(platform, ['run', '--plan', '-', '--json', '--label', 'team=red'], retried));
    expect(code).toBe(0);
    expect(values[0]).toMatchObject({ kind: 'accepted', status: 'pending' });
    expect(values.at(-1)).toMatchObject({ kind: 'end', id: values[0]?.['id'], status: 'completed', labels: { team: 'red' } });
    expect(new Set(values.map(({ kind }) => kind))).toEqual(new Set(['accepted', 'event', 'output', 'end']));
  }, 60_000);

  it('leaves it running at Ctrl-C and says how to come back', async () => {
    const { script, open } = gate();
    const running = run('run', '--', 'sh', '-c', `echo begun; ${script}; echo rested`);
    await eventually(() => running.out().includes('begun'), { timeoutMs: 20_000, what: 'the command to run' });
    running.signal('SIGINT');
    const { code, err } = await running.ended;
    expect(code).toBe(130);
    const [, id = ''] = /come back to it with: runledger watch (\S+)/.exec(err) ?? [];
    expect(await status(id)).toBe('running');
    open();
    const watched = await run('watch', id).ended;
    expect(watched).toMatchObject({ code: 0, out: 'begun\nrested\n' });
  }, 60_000);

  it('goes on to watch while the gateway is away', async () => {
    const { script, open } = gate();
    const running = run('run', '--', 'sh', '-c', `echo begun; ${script}; echo rested`);
    await eventually(() => running.out().includes('begun'), { timeoutMs: 20_000, what: 'the command to run' });
    await platform.killAndAwaitReturn('apps/gateway/');
    open();
    expect(await running.ended).toMatchObject({ code: 0, out: 'begun\nrested\n' });
  }, 60_000);

  it('shows each event once to who watches while the gateway is killed again and again', async () => {
    const tasks = Array.from({ length: 8 }, gate).map(({ script, open }, index) => ({
      open,
      task: { id: `t${index}`, runner: 'command', input: { argv: ['sh', '-c', `echo begun ${index}; ${script}; echo rested ${index}`] }, dependsOn: index === 0 ? [] : [`t${index - 1}`] },
    }));
    const plan = JSON.stringify({ name: 'watched', tasks: tasks.map(({ task }) => task) });
    const id = (await cli(platform, ['run', '--plan', '-', '--detach'], plan).ended).out.trim();
    const watching = [run('watch', id, '--json'), run('events', id, '--follow', '--json'), run('output', id, '--follow')];
    const [watch, events, shown] = watching;
    // Of all three, as none of them bears a gateway that is away when it begins.
    const haveSeen = (text: string): boolean => events?.out() !== '' && [watch, shown].every((each) => each?.out().includes(text));
    for (const [index, { open }] of tasks.entries()) {
      await eventually(() => haveSeen(`begun ${index}`), { timeoutMs: 20_000, what: `task ${index} to run` });
      if (index % 3 === 1) await platform.killAndAwaitReturn('apps/gateway/');
      open();
    }
    const [watched, followed, output] = await Promise.all(watching.map(({ ended }) => ended));
    const { body } = await platform.get(`/api/v1/executions/${id}/events?limit=1000`);
    const lines = (watched?.out ?? '').trim().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines.filter(({ kind }) => kind === 'event')).toEqual((body['events'] as object[]).map((event) => ({ kind: 'event', ...event })));
    expect(lines.filter(({ kind }) => kind === 'output').map(({ text }) => text).join('')).toBe(tasks.map((_, index) => `begun ${index}\nrested ${index}\n`).join(''));
    expect((followed?.out ?? '').trim().split('\n').map((line) => JSON.parse(line) as unknown)).toEqual(body['events']);
    expect(output?.out).toBe(tasks.map((_, index) => `t${index} | begun ${index}\nt${index} | rested ${index}\n`).join(''));
    expect([watched?.code, followed?.code, output?.code]).toEqual([0, 0, 0]);
    expect(watched?.err).toMatch(/no answer from .*; trying again/);
  }, 90_000);
});

describe('looking', () => {
  it('at executions, one of them, its events and its output agrees with the API', async () => {
    const id = (await cli(platform, ['run', '--plan', '-', '--detach', '--name', 'looked at', '--label', 'look=1'], retried).ended).out.trim();
    expect((await run('watch', id).ended).code).toBe(0);
    const found = await eventually(
      async () => {
        const { value } = await json(run('list', '--label', 'look=1', '--status', 'completed', '--name', 'looked*', '--json'));
        return (value['executions'] as unknown[]).length === 1 && value;
      },
      { what: 'the list to know it' },
    );
    expect(found['executions']).toEqual([expect.objectContaining({ id, name: 'looked at' })]);
    const { body } = await platform.get(`/api/v1/executions/${id}`);
    const shown = await json(run('show', id, '--json'));
    expect(shown.value['execution']).toEqual(body);
    expect(shown.value['tasks']).toEqual((await platform.get(`/api/v1/executions/${id}/tasks`)).body['tasks']);
    const events = await json(run('events', id, '--json'));
    expect(events.value['events']).toEqual((await platform.get(`/api/v1/executions/${id}/events?limit=1000`)).body['events']);
    expect((await jsonLines(run('events', id, '--follow', '--json'))).values).toEqual(events.value['events']);

    expect((await run('list', '--label', 'look=1').ended).out).toMatch(new RegExp(`${id} +completed +2/2 .* looked at\\n$`));
    expect((await run('show', id).ended).out).toMatch(/^looked at {2}completed\nid .*\n[^]*flaky +completed +2 /);
    expect((await run('events', id).ended).out).toMatch(/TaskRetryScheduled +flaky +attempt 2 in 0\.05 s/);
    expect((await run('output', id).ended).out).toBe('flaky | try 1\nflaky | try 2\nafter | done\n');
    expect((await run('output', id, '--task', 'flaky').ended).out).toBe('try 1\ntry 2\n');
    expect((await json(run('output', id, '--task', 'after', '--json'))).value['chunks']).toMatchObject([{ task: 'after', text: 'done\n' }]);
    expect((await run('output', id, '--grep', 'TRY', '--tail', '1').ended).out).toBe('flaky | try 2\n');
    expect((await run('output', id, '--search', 'TRY', '--case-sensitive').ended).out).toBe('');
    expect((await jsonLines(run('output', id, '--ndjson', '--stream', 'stdout'))).values).toMatchObject([{ text: 'try 1' }, { text: 'try 2' }, { text: 'done' }]);
    expect((await json(run('output', id, '--task', 'after', '--level', 'info', '--json'))).value['lines']).toMatchObject([{ task: 'after', level: 'info', text: 'done' }]);
  }, 60_000);

  it('at output while it comes ends with the execution', async () => {
    const { script, open } = gate();
    const id = await started(`echo one; ${script}; echo two`);
    const following = run('output', id, '--follow');
    await eventually(() => following.out() === 'one\n', { timeoutMs: 20_000, what: 'the first line' });
    open();
    expect(await following.ended).toMatchObject({ code: 0, out: 'one\ntwo\n' });
  }, 60_000);
});

describe('control', () => {
  it('pauses, resumes and cancels, and a watch says by its exit code that it was cancelled', async () => {
    const id = await started('sleep 60');
    const watching = run('watch', id);
    await eventually(() => /command +started/.test(watching.err()), { timeoutMs: 20_000, what: 'the command to run' });
    expect(await run('pause', id, '--reason', 'lunch').ended).toMatchObject({ code: 0, out: `${id} is paused\n` });
    expect((await run('pause', id).ended).out).toBe(`${id} is paused already; nothing was changed\n`);
    expect((await json(run('resume', id, '--json'))).value).toMatchObject({ id, status: 'running', changed: true });
    expect((await run('cancel', id, '--graceful').ended).out).toBe(`${id} is cancelling\n`);
    expect((await run('cancel', id, '--immediate', '--reason', 'enough').ended).code).toBe(0);
    const { code, err } = await watching.ended;
    expect(code).toBe(130);
    expect(err).toMatch(/paused: lunch[^]*cancelling, immediate: enough[^]*cancelled/);
  }, 60_000);
});

describe('exit codes', () => {
  it.each([
    [2, ['list', '--limit', 'many'], /--limit/],
    [2, ['show', 'not.an.id'], /id/],
    [2, ['run', '--plan', '/nowhere.json', '--', 'ls'], /either/],
    [3, ['show', 'nobody'], /nobody.*EXECUTION_NOT_FOUND/],
    [3, ['watch', 'nobody'], /EXECUTION_NOT_FOUND/],
    [3, ['output', 'nobody', '--follow'], /EXECUTION_NOT_FOUND/],
    [3, ['cancel', 'nobody'], /EXECUTION_NOT_FOUND/],
    [4, ['list', '--cursor', 'x'], /CURSOR_INVALID/],
    [5, ['list', '--url', 'http://127.0.0.1:1'], /runledger up/],
  ])('%i for %j', async (code, args, said) => {
    const ended = await run(...args).ended;
    expect(ended).toMatchObject({ code, out: '' });
    expect(ended.err).toMatch(said);
    expect(ended.err).not.toContain('    at ');
  });

  it('come with the problem as JSON where JSON was asked for', async () => {
    const { code, err, out } = await run('show', 'nobody', '--json').ended;
    expect([code, out]).toEqual([3, '']);
    expect(JSON.parse(err)).toMatchObject({ error: { code: 'EXECUTION_NOT_FOUND', status: 404 } });
  });

  it('of a misuse come with JSON, too', async () => {
    const { code, err, out } = await run('list', '--json', '--limit', 'many').ended;
    expect([code, out]).toEqual([2, '']);
    expect(JSON.parse(err)).toEqual({ error: { code: 'MISUSE', message: expect.stringContaining('--limit') as string } });
    expect((await run('run', '--bogus', '--', 'ls', '--json').ended).err).toMatch(/^runledger: unknown option/);
  });

  it('tell of an answer that could not be written, and nothing of a reader who has enough', async () => {
    const shell = (script: string): ReturnType<typeof spawnSync> => {
      const environment = { ...process.env, RUNLEDGER_URL: platform.url, NATS_URL: platform.natsUrl, runledger: 'dist/apps/cli/src/main.js' };
      return spawnSync('bash', ['-o', 'pipefail', '-c', script], { env: environment, encoding: 'utf8' });
    };
    expect(shell('node $runledger list --json >/dev/full')).toMatchObject({ status: 5, stderr: expect.stringContaining('OUTPUT_LOST') as string });
    await started('true');
    expect(shell('node $runledger list --json | head -c 0')).toMatchObject({ status: 0, stderr: '' });
  }, 60_000);
});
