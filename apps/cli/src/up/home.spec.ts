import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Home } from './home.js';
import { refOf, type ProcessRef } from './process-ref.js';

describe('the home of an up', () => {
  let folder: string;
  const others: ChildProcess[] = [];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'runledger-home-'));
  });
  afterEach(async () => {
    for (const child of others.splice(0)) child.kill('SIGKILL');
    await rm(folder, { recursive: true });
  });

  const other = async (program = 'setInterval(() => undefined, 60_000)'): Promise<ProcessRef> => {
    const args = ['-e', `${program}; console.log('up')`];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] });
    others.push(child);
    await once(child.stdout, 'data');
    return refOf(child.pid as number) as ProcessRef;
  };

  it('is held by one at a time, and open to others only for their owner', async () => {
    const home = new Home(folder);
    expect(() => new Home(folder)).toThrow(expect.objectContaining({ code: 'ALREADY_UP' }));
    expect((await stat(home.nats)).mode & 0o777).toBe(0o700);
    home.release();
    new Home(folder).release();
  });

  it('is free when its holder is gone, although another process has got the same pid', async () => {
    new Home(folder);
    await writeFile(join(folder, 'pids/up.pid'), `${process.pid} another-boot/1\n`);
    new Home(folder).release();
  });

  it.each(['', 'nonsense', '12'])('is free when its pid file says %j', async (content) => {
    new Home(folder);
    await writeFile(join(folder, 'pids/up.pid'), content);
    new Home(folder).release();
  });

  it('ends leftovers, the broker last, by force where need be', async () => {
    const home = new Home(folder);
    home.note('gateway', await other());
    home.note('executor', await other("process.on('SIGTERM', () => undefined); setInterval(() => undefined, 60_000)"));
    home.note('nats-server', await other());
    const [gateway, executor, broker] = others.map((child) => once(child, 'exit'));
    const ended: string[] = [];
    void gateway?.then(([, signal]) => ended.push(`gateway ${signal}`));
    void executor?.then(([, signal]) => ended.push(`executor ${signal}`));
    void broker?.then(([, signal]) => ended.push(`nats-server ${signal}`));

    const lines: string[] = [];
    await home.endLeftovers('nats-server', 100, (line) => lines.push(line));
    await Promise.all([gateway, executor, broker]);

    expect(ended).toEqual(['gateway SIGTERM', 'executor SIGKILL', 'nats-server SIGTERM']);
    expect(lines).toHaveLength(3);
    expect(await readdir(join(folder, 'pids'))).toEqual(['up.pid']);
    home.release();
  });

  it('leaves alone who merely got the pid of a leftover', async () => {
    const home = new Home(folder);
    const innocent = await other();
    home.note('nats-server', { pid: innocent.pid, identity: 'another-boot/1' });
    const lines: string[] = [];
    await home.endLeftovers('nats-server', 100, (line) => lines.push(line));
    expect(refOf(innocent.pid)).toEqual(innocent);
    expect(lines).toEqual([]);
    home.release();
  });

  it('says what is wrong with a folder that cannot be used', async () => {
    await writeFile(join(folder, 'file'), '');
    expect(() => new Home(join(folder, 'file'))).toThrow(expect.objectContaining({ code: 'HOME_UNUSABLE' }));
  });
});
