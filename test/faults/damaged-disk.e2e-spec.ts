import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { eventually } from '#libs/testing';
import { cli, json } from '../e2e/cli.js';
import { type Platform, startPlatform } from '../e2e/platform.js';
import { untilStatus } from '../e2e/until-status.js';

const executions = '/api/v1/executions';

/** Milliseconds: a stuck writer is noticed after 20 s, and its broker started again. */
const RESUMED_WITHIN_MS = 90_000;
const ANSWERED_WITHIN_MS = 25_000;

/** A file system so small that a test can fill it; undefined where this process may not mount one. */
const smallDisk = (): string | undefined => {
  const folder = mkdtempSync(join(tmpdir(), 'runledger-disk-'));
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=512m', 'tmpfs', folder]);
  if (status === 0) return folder;
  rmSync(folder, { recursive: true });
  return undefined;
};
const disk = smallDisk();
if (!disk) console.warn('*** NO FILE SYSTEM CAN BE MOUNTED HERE: the test of a full disk is SKIPPED; it takes root ***');
afterAll(() => {
  if (disk) spawnSync('umount', ['--lazy', disk]);
  if (disk) rmSync(disk, { recursive: true, force: true });
});

let home: string;
let platform: Platform | undefined;
beforeEach(() => (home = mkdtempSync(join(tmpdir(), 'runledger-damaged-'))));
afterEach(async () => {
  await platform?.stop().catch(() => undefined);
  platform = undefined;
  if (home !== disk) rmSync(home, { recursive: true, force: true });
}, 60_000);

const start = async (): Promise<Platform> => (platform = await startPlatform({ RUNLEDGER_HOME: home }));
const stop = async (): Promise<void> => {
  await platform?.stop();
  platform = undefined;
};

const waiting = async (): Promise<string> => {
  const plan = { name: 'waiting', tasks: [{ id: 'go', runner: 'signal', input: { name: 'go' } }] };
  const { status, body } = await platform!.post(executions, { plan });
  expect(status).toBe(202);
  return String(body['id']);
};

const data = (): string => join(home, 'nats', 'data');

/** Changes one bit of a stored commit, in the middle of its body. */
const flipBitOf = (id: string): void => {
  const blocks = readdirSync(data(), { recursive: true, encoding: 'utf8' }).filter((name) => /streams\/LOG\/msgs\/\d+\.blk$/.test(name));
  for (const block of blocks) {
    const bytes = readFileSync(join(data(), block));
    const place = bytes.indexOf(`.${id}`);
    if (place < 0) continue;
    const type = bytes.indexOf('"dialect":"canonical"', place);
    bytes[type + 12]! ^= 1;
    writeFileSync(join(data(), block), bytes);
    return;
  }
  throw new Error(`${id} is in no block of the log`);
};

const signal = async (id: string): Promise<number> => (await platform!.post(`${executions}/${id}/signals/go`)).status;

const verified = async (): Promise<{ readonly code: number | null; readonly faults: readonly string[] }> => {
  const { code, value } = await json(cli(platform!, ['verify', '--json']));
  return { code, faults: (value['faults'] as { code: string; execution: string | null }[]).map((fault) => `${fault.code} ${fault.execution ?? ''}`.trim()) };
};

it('fault 15: a bit that flips on disk raises an alarm and halts its own execution alone; a restored backup goes on from where it was', async () => {
  await start();
  const [damaged, other] = [await waiting(), await waiting()];
  const hasStarted = async (id: string): Promise<boolean> => (await platform!.get(`${executions}/${id}`)).body['status'] === 'running';
  for (const id of [damaged, other]) await eventually(() => hasStarted(id), { what: `${id} to run`, timeoutMs: 10_000 });
  await stop();
  cpSync(data(), join(home, 'backup'), { recursive: true });

  flipBitOf(damaged);
  await start();
  await eventually(() => platform!.logs(50).includes('execution halted'), { what: 'the alarm', timeoutMs: 10_000 });
  expect(await verified()).toEqual({ code: 1, faults: ['LOG_GAP', `VERSION_GAP ${damaged}`] });
  expect(await signal(damaged)).toBe(500);
  expect(await signal(other)).toBe(200);
  await untilStatus(platform!, other, 'completed');
  await stop();

  rmSync(data(), { recursive: true });
  cpSync(join(home, 'backup'), data(), { recursive: true });
  await start();
  // What was committed since the backup is gone, and said to be, until somebody takes the log as it is.
  expect(await verified()).toMatchObject({ code: 1, faults: expect.arrayContaining(['LOG_WENT_BACK']) as string[] });
  expect((await cli(platform!, ['rebuild']).ended).code).toBe(0);
  expect(await verified()).toEqual({ code: 0, faults: [] });
  for (const id of [damaged, other]) {
    expect(await signal(id)).toBe(200);
    await untilStatus(platform!, id, 'completed');
  }
}, 180_000);

const fill = (file: string): void => void spawnSync('dd', ['if=/dev/zero', `of=${file}`, 'bs=64k']);

(disk ? it : it.skip)('fault 14: on a full disk requests are refused with 503, none hangs, and all goes on by itself once there is room', async () => {
  rmSync(home, { recursive: true });
  home = disk!;
  await start();
  const id = await waiting();
  const filler = join(home, 'filler');
  fill(filler);

  const ask = async (): Promise<{ readonly status: number; readonly code: unknown }> => {
    const from = Date.now();
    const { status, body } = await platform!.post(executions, { plan: { name: 'more', tasks: [{ id: 'a', runner: 'noop', input: { result: { filler: 'x'.repeat(20_000) } } }] } });
    expect(Date.now() - from).toBeLessThan(ANSWERED_WITHIN_MS);
    return { status, code: body['code'] };
  };
  const refused = await eventually(async () => {
    const answer = await ask();
    return answer.status !== 202 && answer;
  }, { what: 'a refusal', timeoutMs: 60_000 });
  expect(refused).toEqual({ status: 503, code: expect.stringMatching(/^(LOG_UNAVAILABLE|LOG_FULL|LOG_NEARLY_FULL|OUTCOME_UNKNOWN)$/) as string });
  expect((await platform!.get(`${executions}/${id}`)).status).toBe(200);

  rmSync(filler);
  // Nobody waits for one answer before the next one asks.
  const isAccepted = async (): Promise<boolean> => {
    const answer = ask().catch(() => undefined);
    return (await Promise.race([answer, pause(3_000, undefined)]))?.status === 202;
  };
  await eventually(isAccepted, { what: 'requests to be accepted again', timeoutMs: RESUMED_WITHIN_MS });
  await eventually(async () => (await signal(id).catch(() => 0)) === 200, { what: 'the signal to be taken', timeoutMs: 30_000 });
  await untilStatus(platform!, id, 'completed');
  expect(await verified()).toEqual({ code: 0, faults: [] });
}, 240_000);
