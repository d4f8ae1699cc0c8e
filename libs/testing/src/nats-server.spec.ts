import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { eventually } from './eventually.js';
import { natsServers } from './nats-binaries.js';
import { startNatsServer, type NatsServer } from './nats-server.js';
import { transpile } from './transpile.js';

describe.each(natsServers())('a nats-server for tests ($name)', ({ name: version, binary }) => {
  let server: NatsServer;

  beforeEach(async () => {
    server = await startNatsServer({ version });
  });
  afterEach(() => server.stop());

  it('keeps what was acknowledged across kill -9 and restart, on the same port', async () => {
    await withConnection(server.url, async (nc) => {
      await (await jetstreamManager(nc)).streams.add({ name: 'S', subjects: ['s.>'], allow_direct: true });
      await jetstream(nc).publish('s.a', 'one');
    });
    const first = { url: server.url, pid: server.pid };

    await server.kill();
    expect(alive(first.pid)).toBe(false);
    await server.restart();

    expect(server.url).toBe(first.url);
    expect(server.pid).not.toBe(first.pid);
    await withConnection(server.url, async (nc) => {
      const message = await (await jetstreamManager(nc)).direct.getMessage('S', { seq: 1 });
      expect(message?.string()).toBe('one');
    });
  });

  it('restarts a running server too', async () => {
    const before = server.pid;
    await server.restart();
    expect(alive(before)).toBe(false);
    expect(alive(server.pid)).toBe(true);
  });

  it('syncs every write unless told otherwise, and passes limits and extra configuration on', async () => {
    const other = await startNatsServer({
      version,
      syncAlways: false,
      maxFileStore: '16MB',
      config: 'max_payload: 4096',
    });
    try {
      expect(await configOf(server)).toContain('sync_interval: always');
      expect(await configOf(other)).not.toContain('sync_interval');
      await withConnection(other.url, async (nc) => {
        expect(nc.info?.max_payload).toBe(4096);
        const manager = await jetstreamManager(nc);
        await expect(manager.streams.add({ name: 'S', max_bytes: 32 * 1024 * 1024 })).rejects.toThrow(/storage/);
      });
    } finally {
      await other.stop();
    }
  });

  it('deletes its own folder on stop, and keeps one it was given', async () => {
    const given = await mkdtemp(join(tmpdir(), 'runledger-store-'));
    const other = await startNatsServer({ version, storeDir: given });
    await other.stop();
    await server.stop();
    expect(existsSync(given)).toBe(true);
    expect(existsSync(server.storeDir)).toBe(false);
    await rm(given, { recursive: true });
  });

  it('rejects with what the server says when it cannot start', async () => {
    await expect(startNatsServer({ version, port: server.port })).rejects.toThrow('address already in use');
    await expect(startNatsServer({ version, config: 'no_such_setting: 1' })).rejects.toThrow('no_such_setting');
  });

  it('leaves no server behind when the process that started it is killed', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'runledger-owner-'));
    const owner = await spawnOwner(folder, binary);
    const noted = async (): Promise<number> => Number(await readFile(join(folder, 'pid'), 'utf8'));
    try {
      const pid = await eventually(noted, { what: 'its pid' });
      expect(alive(pid)).toBe(true);
      owner.kill('SIGKILL');
      await eventually(() => !alive(pid), { what: `nats-server ${pid} to be gone` });
    } finally {
      owner.kill('SIGKILL');
      await rm(folder, { recursive: true });
    }
  });
});

async function spawnOwner(folder: string, binary: string): Promise<ChildProcess> {
  await transpile(import.meta.dirname, join(folder, 'testing'));
  const script = `import { writeFileSync } from 'node:fs';
    import { startNatsServer } from './testing/nats-server.js';
    writeFileSync('pid', String((await startNatsServer({ version: 'next' })).pid));
    setInterval(() => undefined, 60_000);`;
  await writeFile(join(folder, 'owner.mjs'), script);
  return spawn(process.execPath, ['owner.mjs'], {
    cwd: folder,
    stdio: 'inherit',
    env: { ...process.env, TMPDIR: folder, RUNLEDGER_TEST_NATS_SERVER_NEXT: binary },
  });
}

async function withConnection(url: string, work: (nc: NatsConnection) => Promise<void>): Promise<void> {
  const nc = await connect({ servers: url });
  try {
    await work(nc);
  } finally {
    await nc.close();
  }
}

const configOf = (server: NatsServer): Promise<string> => readFile(join(dirname(server.storeDir), 'nats.conf'), 'utf8');

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
