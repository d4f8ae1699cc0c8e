import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '#libs/testing';
import { cli, json, jsonLines } from './cli.js';
import { type Platform, startPlatform } from './platform.js';

const plan = JSON.stringify({
  plan: {
    name: 'history',
    tasks: [
      { id: 'flaky', runner: 'command', input: { shell: 'sh', script: 'test $RUNLEDGER_ATTEMPT = 2' }, retry: { maxAttempts: 2, delayMs: 10 } },
      {
        id: 'steps',
        runner: 'command',
        input: { shell: 'sh', script: 'echo STEP_START:one; echo STEP_START:two', markers: true },
        dependsOn: ['flaky'],
      },
      { id: 'nap', runner: 'command', input: { argv: ['sleep', '30'] }, dependsOn: ['steps'] },
      { id: 'never', runner: 'noop', dependsOn: ['nap'] },
    ],
  },
  labels: { team: 'red' },
});

let home: string;
let platform: Platform;
const environment = (): Record<string, string> => ({ RUNLEDGER_HOME: home });
beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'runledger-replay-'));
  platform = await startPlatform(environment());
}, 90_000);
afterAll(async () => {
  await platform.stop();
  rmSync(home, { recursive: true, force: true });
}, 60_000);

const run = (...args: readonly string[]) => cli(platform, args);
const answer = async (path: string): Promise<Record<string, unknown>> => (await platform.get(`/api/v1${path}`)).body;

describe('an execution with a past', () => {
  let id: string;
  beforeAll(async () => {
    id = (await cli(platform, ['run', '--plan', '-', '--detach'], plan).ended).out.trim();
    const started = async (): Promise<boolean> => /nap +running/.test((await run('show', id).ended).out);
    await eventually(started, { timeoutMs: 30_000, what: 'the nap to run' });
    for (const verb of ['pause', 'resume', 'pause']) expect((await run(verb, id, '--reason', 'because').ended).code).toBe(0);
  }, 60_000);

  it('says what it waits for, since when, and who could end it', async () => {
    const { out } = await run('why', id).ended;
    expect(out).toMatch(/ is paused\n/);
    expect(out).toMatch(/\n- +paused: 1 running.*\(log sequence \d+\) +runledger resume, runledger cancel\n/);
    expect(out).toMatch(/\nnap +attempt 1 runs on executor/);
    const sequence = /\nnap .*\(log sequence (\d+)\)/.exec(out)?.[1] ?? '';
    expect((await run('why', id, '--as-of', sequence).ended).out).toMatch(/ SINCE .*\nnap +attempt 1 runs on executor.* \d{4}-\d\d-\d\d [\d:]{8} \(log/);
    const { asOfSeq: _, ...now } = (await json(run('why', id, '--json'))).value;
    expect(await answer(`/executions/${id}/why`)).toMatchObject(now);
  }, 60_000);

  it('is replayed to what the projection says, and at every sequence of it to what the API says as of then', async () => {
    expect((await run('cancel', id).ended).code).toBe(0);
    expect((await run('watch', id).ended).code).toBe(130);
    const { values, code } = await jsonLines(run('replay', id, '--json'));
    expect(code).toBe(0);
    const last = values.at(-1)!;
    const projected = await eventually(
      async () => {
        const { asOfSeq, ...detail } = await answer(`/executions/${id}`);
        return Number(asOfSeq) >= Number(last['sequence']) && detail;
      },
      { what: 'the projection to catch up' },
    );
    expect(last['execution']).toEqual(projected);
    expect(last).toMatchObject({ execution: { status: 'cancelled' } });
    const end = await json(run('replay', id, '--at', String(last['sequence']), '--json'));
    expect(end.value['tasks']).toEqual((await answer(`/executions/${id}/tasks`))['tasks']);

    const [first] = values;
    expect(values.length).toBeGreaterThan(8);
    for (let sequence = Number(first?.['sequence']); sequence <= Number(last['sequence']); sequence++) {
      const at = String(sequence);
      const replayed = (await json(run('replay', id, '--at', at, '--json'))).value;
      const { tasks } = await answer(`/executions/${id}/tasks?asOf=${at}`);
      expect(replayed).toEqual({ execution: await answer(`/executions/${id}?asOf=${at}`), tasks });
      const commit = values.findLast((value) => Number(value['sequence']) <= sequence);
      expect(replayed['execution']).toEqual({ ...(commit?.['execution'] as object), asOfSeq: sequence });
    }
    const at = String(values[3]?.['sequence']);
    expect((await json(run('show', id, '--as-of', at, '--json'))).value).toEqual((await json(run('replay', id, '--at', at, '--json'))).value);
    const time = String(values[3]?.['storedAt']);
    expect((await json(run('show', id, '--as-of', time, '--json'))).value).toEqual((await json(run('replay', id, '--at', time, '--json'))).value);
  }, 180_000);

  it('shows people what each commit changed, and how it was at the end', async () => {
    const { out } = await run('replay', id).ended;
    expect(out).toMatch(/^version 1 {2}log sequence \d+ {2}\S+\n {2}history {2}requested, 4 tasks\n {4}execution\/id +/);
    expect(out).toMatch(/flaky {2}failed, COMMAND_EXITED: exit code 1\n[^]*tasks\/flaky\/status +running → pending/);
    expect(out).toMatch(/tasks\/steps\/steps\/steps\.1\.1\/name +one/);
    expect(out).toMatch(/history {2}paused: because\n {4}execution\/status +running → paused/);
    expect(out).toMatch(/\n\nhistory {2}cancelled\nid +\S+\n/);
    const { out: early } = await run('replay', id, '--at', (/version 3 {2}log sequence (\d+)/.exec(out) ?? [])[1] ?? '').ended;
    expect(early).toContain('version 3');
    expect(early).not.toContain('version 4  ');
  }, 60_000);

  it.each([
    [2, ['--at', '999999'], /ends at/],
    [2, ['--at', 'yesterday'], /RFC 3339/],
    [2, ['--at', '2999-01-01T00:00:00Z'], /in the future/],
    [3, ['--at', '2020-01-01T00:00:00Z'], /as of/],
    [3, ['--tenant', 'other'], /no execution/],
  ])('ends with %i for %j', async (code, args, said) => {
    const ended = await run('replay', id, ...args).ended;
    expect(ended).toMatchObject({ code, out: '' });
    expect(ended.err).toMatch(said);
  });
});

describe('read models', () => {
  it('are rebuilt one or all, say whether they were right, and answer the same', async () => {
    const before = (await json(run('list', '--json'))).value;
    const all = await run('rebuild').ended;
    expect(all).toMatchObject({ code: 0 });
    expect(all.out).toMatch(/^(?:(?:status|stats|artifacts) +rebuilt in .*: the rows were right\n){3}$/);
    const { value } = await json(run('rebuild', 'stats', '--json'));
    expect(value).toEqual({ rebuilds: { stats: expect.objectContaining({ phase: 'done', differs: [] }) as object } });
    expect((await json(run('list', '--json'))).value).toEqual(before);
    expect(await run('rebuild', 'nothing').ended).toMatchObject({ code: 3, out: '' });
  }, 60_000);

  it('tell verify of a log that was restored to an earlier state, until a rebuild takes it as it is', async () => {
    const backup = mkdtempSync(join(tmpdir(), 'runledger-backup-'));
    try {
      await platform.stop();
      cpSync(join(home, 'nats'), backup, { recursive: true });
      platform = await startPlatform(environment());
      expect((await run('run', '--', 'echo', 'soon forgotten').ended).code).toBe(0);
      const known = async (): Promise<boolean> => (await run('list', '--name', 'echo').ended).out.includes('completed');
      await eventually(known, { timeoutMs: 30_000, what: 'the projection to catch up' });
      await platform.stop();
      rmSync(join(home, 'nats'), { recursive: true });
      cpSync(backup, join(home, 'nats'), { recursive: true });
      platform = await startPlatform(environment());

      const found = await eventually(
        async () => {
          const { code, value } = await json(run('verify', '--json'));
          return code === 1 && (value['faults'] as { code: string; message: string }[]);
        },
        { timeoutMs: 30_000, what: 'the lost tail to be found' },
      );
      expect(new Set(found.map(({ code }) => code))).toEqual(new Set(['LOG_WENT_BACK']));
      expect((await run('rebuild').ended).code).toBe(0);
      expect(await run('verify').ended).toMatchObject({ code: 0 });
    } finally {
      rmSync(backup, { recursive: true, force: true });
    }
  }, 120_000);
});
