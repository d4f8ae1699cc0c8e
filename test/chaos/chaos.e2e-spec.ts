import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { eventually } from '#libs/testing';
import { repository } from '../repository/working-copy.js';

type Running = { readonly child: ChildProcess; readonly said: () => string; readonly code: Promise<number | null> };

const chaos = (seed: number, minutes: number): Running => {
  const child = spawn(process.execPath, ['test/chaos/run.mjs', '--seed', String(seed), '--minutes', String(minutes)], { cwd: repository, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (said += text));
  return { child, said: () => said, code: new Promise((resolve) => child.once('close', resolve)) };
};

const folderOf = (said: string): string => dirname(dirname(/told in (\S+)/.exec(said)?.[1] ?? '//'));

const processesOf = (folder: string): readonly string[] =>
  readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/environ`, 'latin1').includes(folder);
    } catch {
      return false;
    }
  });

it('leaves everything as it has to be, whatever is killed, paused and restarted while it is at work', async () => {
  const { code, said } = chaos(21, 0.25);
  const ended = await code;
  process.stdout.write(said());
  expect({ ended, said: said() }).toEqual({ ended: 0, said: expect.stringContaining('all is as it has to be') as string });
  expect(said()).toMatch(/killed +.*nats-server/);
  expect(existsSync(folderOf(said()))).toBe(false);
}, 240_000);

it.each(['SIGINT', 'SIGKILL'] as const)('that is ended by %s leaves neither processes nor its folder', async (signal) => {
  const { child, code, said } = chaos(2, 1);
  const folder = await eventually(() => said().includes('told in') && folderOf(said()), { what: 'its folder', timeoutMs: 20_000 });
  await eventually(() => processesOf(folder).length >= 4, { what: 'its processes', timeoutMs: 20_000 });
  child.kill(signal);
  expect(await code).toBe(signal === 'SIGINT' ? 130 : null);
  await eventually(() => processesOf(folder).length === 0 && !existsSync(folder), { what: 'everything to be gone', timeoutMs: 10_000 });
}, 60_000);
