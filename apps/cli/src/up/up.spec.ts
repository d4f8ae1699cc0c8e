import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { JetStreamLog, connectNats } from '#libs/jetstream';
import { eventually, natsServers, startNatsServer, transpile } from '#libs/testing';
import { freePort } from './ports.js';

const root = fileURLToPath(new URL('../../../../', import.meta.url));
const APPS = ['gateway', 'executor', 'projector'];

/** Stands in for all three apps. Notes in the home how it ended, and whether it still had a broker then. */
const FAKE_APP = `
import { appendFileSync } from 'node:fs';
import { connect } from 'node:net';
import { basename, dirname } from 'node:path';

const name = basename(dirname(import.meta.dirname));
const asked = (process.env.FAKE ?? '')
  .split(',')
  .flatMap((part) => (part.startsWith(name + ':') ? [part.split(':')[1]] : []));
console.log(JSON.stringify({ level: 30, msg: 'hello from ' + name }));

const end = (why) => {
  if (asked.includes('hangs')) return;
  const socket = connect(Number(new URL(process.env.NATS_URL).port), '127.0.0.1');
  const note = (broker) => {
    appendFileSync(process.env.RUNLEDGER_HOME + '/ends', name + ' ' + why + ' ' + broker + '\\n');
    process.exit(0);
  };
  const last = () => setTimeout(() => note('with-broker'), asked.includes('slow') ? 1200 : 0);
  socket.once('data', last).once('error', () => note('without-broker'));
};
process.on('SIGTERM', () => end('TERM'));
process.on('disconnect', () => end('disconnect'));
process.on('SIGUSR2', () => process.send({ type: 'nats-write-stuck' }));

if (asked.includes('hopeless')) {
  process.send({ type: 'hopeless', message: 'nothing will do' }, () => process.exit(78));
  await new Promise(() => undefined);
}
if (asked.includes('breaks')) {
  console.error(name + ': the reason why');
  process.exit(3);
}
if (!process.send) throw new Error('no supervisor');
process.send({ type: 'ready', url: 'http://127.0.0.1:' + process.env.RUNLEDGER_PORT });
setInterval(() => undefined, 60_000);
`;

let stage: string;
let main: string;
let home: string;
let ports: { api: number; nats: number };
const started: ChildProcess[] = [];

beforeAll(async () => {
  // The command as it is installed, but with other apps beside it.
  stage = await mkdtemp(join(tmpdir(), 'runledger-cli-'));
  for (const source of ['apps/cli', ...['access', 'contracts', 'execution', 'jetstream', 'ledger', 'platform', 'projections', 'secrets'].map((lib) => `libs/${lib}`)]) {
    const target = join(stage, 'dist', source, 'src');
    await transpile(join(root, source, 'src'), target);
    await rm(join(target, 'package.json'));
  }
  const { version, imports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<string, unknown>;
  await writeFile(join(stage, 'package.json'), JSON.stringify({ type: 'module', version, imports }));
  await symlink(join(root, 'node_modules'), join(stage, 'node_modules'));
  for (const app of APPS) {
    await mkdir(join(stage, 'dist/apps', app, 'src'), { recursive: true });
    await writeFile(join(stage, 'dist/apps', app, 'src/main.js'), FAKE_APP);
  }
  main = join(stage, 'dist/apps/cli/src/main.js');
});
afterAll(() => rm(stage, { recursive: true, force: true }));

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'runledger-home-'));
  ports = { api: await freePort(), nats: await freePort() };
});
afterEach(async () => {
  for (const child of started.splice(0)) child.kill('SIGKILL');
  await nothingLeft();
  await rm(home, { recursive: true, force: true });
});

describe('runledger up', () => {
  it('says where to look, and at TERM ends the apps before their broker, with 0', async () => {
    const up = await upAndReady();
    expect(up.said()).toContain(`http://127.0.0.1:${ports.api}/docs`);
    expect(up.said()).toContain(home);
    expect(up.said()).toContain('curl -s http://127.0.0.1:');
    expect(readFileSync(join(home, 'nats/nats-server.conf'), 'utf8')).toContain('sync_interval: always');

    expect(await up.stop('SIGTERM')).toBe(0);

    expect(processesOf(home)).toEqual([]);
    expect(ends()).toEqual(APPS.map((app) => `${app} TERM with-broker`).sort());
  });

  it.each([...APPS.map((app) => `apps/${app}/`), 'nats-server.conf'])('starts %s again after kill -9', async (text) => {
    const up = await upAndReady();
    const before = pidOf(text);
    process.kill(before, 'SIGKILL');
    await anotherThan(before, text);
    expect(up.said()).toMatch(/SIGKILL.*starting it again in 100 ms/);
    if (text === 'nats-server.conf') await eventually(natsAnswers, { what: 'nats-server answering again' });
    expect(await up.stop('SIGTERM')).toBe(0);
    expect(processesOf(home)).toEqual([]);
  });

  it('leaves nothing behind when it is killed itself: apps end first and in order', async () => {
    const up = await upAndReady();
    up.child.kill('SIGKILL');
    await nothingLeft();
    expect(ends().map((line) => line.split(' ')[2])).toEqual(APPS.map(() => 'with-broker'));
  });

  it('leaves nothing behind when its watchdog is killed and then it is', async () => {
    const up = await upAndReady();
    const known = new Set(processesOf(home).map(({ pid }) => pid));
    process.kill(watchdogPid(), 'SIGKILL');
    await eventually(() => processesOf(home).some(({ pid }) => !known.has(pid)), { what: 'another watchdog' });
    up.child.kill('SIGKILL');
    await nothingLeft();
  });

  it('comes up at once after it was killed, whatever is still running', async () => {
    const first = await upAndReady({ FAKE: 'executor:slow' });
    process.kill(watchdogPid(), 'SIGSTOP');
    const watchdog = watchdogPid();
    first.child.kill('SIGKILL');
    const broker = pidOf('nats-server.conf');

    const second = await upAndReady();
    expect(pidOf('nats-server.conf')).not.toBe(broker);
    process.kill(watchdog, 'SIGCONT');
    await eventually(() => !processesOf(home).some(({ pid }) => pid === watchdog), { what: 'the old watchdog to end' });

    const apps = processesOf(home).filter(({ command }) => /apps\/(gateway|executor|projector)\//.test(command));
    expect(apps).toHaveLength(3);
    expect(await natsAnswers()).toBe(true);
    expect(await second.stop('SIGTERM')).toBe(0);
  });

  it('refuses a second one in the same home, and the first goes on', async () => {
    const first = await upAndReady();
    const second = run();
    expect(await second.exited).toBe(1);
    expect(second.said()).toMatch(/already/);
    expect(second.said()).toContain('RUNLEDGER_HOME');
    expect(await natsAnswers()).toBe(true);
    expect(await first.stop('SIGTERM')).toBe(0);
  });

  it.each([
    ['api', 'RUNLEDGER_PORT'],
    ['nats', 'RUNLEDGER_NATS_PORT'],
  ] as const)('starts nothing while the %s port is in use, and names %s', async (which, setting) => {
    const taken = await listening(ports[which]);
    try {
      const up = run();
      expect(await up.exited).toBe(1);
      expect(up.said()).toContain(`port ${ports[which]}`);
      expect(up.said()).toContain(setting);
      expect(readdirSync(join(home, 'logs'))).toEqual([]);
    } finally {
      taken.close();
    }
  });

  it('kills an app that does not stop in time', async () => {
    const up = await upAndReady({ FAKE: 'executor:hangs', RUNLEDGER_STOP_MS: '300' });
    expect(await up.stop('SIGTERM')).toBe(0);
    expect(processesOf(home)).toEqual([]);
    expect(up.said()).toMatch(/executor .*killing it/);
    expect(ends()).toEqual(['gateway TERM with-broker', 'projector TERM with-broker']);
  });

  it('takes the second INT that npm passes on for the same Ctrl-C', async () => {
    const up = await upAndReady({ FAKE: 'executor:slow' });
    up.child.kill('SIGINT');
    await eventually(() => /stopping/i.test(up.said()), { what: 'the first INT to be heard' });
    up.child.kill('SIGINT');
    expect(await up.exited).toBe(0);
    expect(ends()).toHaveLength(3);
  });

  it('kills everything at a second Ctrl-C', async () => {
    const up = await upAndReady({ FAKE: 'executor:hangs' });
    up.child.kill('SIGINT');
    // Each try is a Ctrl-C; those within the first half second count as the first.
    await eventually(() => up.child.signalCode !== null || up.child.exitCode !== null || !up.child.kill('SIGINT'), {
      what: 'the end',
    });
    expect(ends()).toHaveLength(2);
    await nothingLeft();
  });

  it('starts nats-server again, once, when apps report that it can no longer write', async () => {
    const up = await upAndReady();
    const before = pidOf('nats-server.conf');
    for (const app of APPS) process.kill(pidOf(`apps/${app}/`), 'SIGUSR2');
    await anotherThan(before, 'nats-server.conf');
    await eventually(natsAnswers, { what: 'nats-server answering again' });
    expect(up.said().match(/can't write/g)).toHaveLength(1);
    expect(await up.stop('SIGTERM')).toBe(0);
  });

  it('gives up with the reason when an app ends at its start, and leaves nothing', async () => {
    const up = run({ FAKE: 'projector:breaks' });
    expect(await up.exited).toBe(1);
    expect(up.said()).toMatch(/projector .*exit code 3/);
    expect(up.said()).toContain('projector: the reason why');
    expect(processesOf(home)).toEqual([]);
  });

  it('uses the server that NATS_URL names, starts none, makes its streams, and keeps its password to itself', async () => {
    const server = await startNatsServer({ config: 'authorization { user: me, password: secret }' });
    const url = `nats://me:secret@127.0.0.1:${server.port}`;
    try {
      const up = await upAndReady({ NATS_URL: url });
      expect(processesOf(home).filter(({ command }) => command.includes('nats-server.conf'))).toEqual([]);
      expect(up.said()).not.toContain('secret');
      expect(up.said()).toContain(`nats sub --all -s nats://127.0.0.1:${server.port} 'events.>'`);
      const nats = await connectNats({ url, name: 'test' });
      expect(await new JetStreamLog(nats).info()).toMatchObject({ lastSequence: 0 });
      await nats.close();
      expect(await up.stop('SIGTERM')).toBe(0);
    } finally {
      await server.stop();
    }
  });

  it.each([
    ['refuses its credentials', 'me:wrong@', /NATS_URL|RUNLEDGER_NATS_USER/],
    ['has a log of another make', 'me:secret@', /LOG .*another account or server/],
  ])('ends at once, with one sentence and an exit code of its own, where a nats-server %s', async (_, who, sentence) => {
    const server = await startNatsServer({ config: 'authorization { user: me, password: secret }' });
    try {
      const nats = await connectNats({ url: `nats://me:secret@127.0.0.1:${server.port}`, name: 'test' });
      await nats.replies.request('$JS.API.STREAM.CREATE.LOG', JSON.stringify({ name: 'LOG', subjects: ['log.>'], storage: 'file' }), 5_000);
      await nats.close();
      const up = run({ NATS_URL: `nats://${who}127.0.0.1:${server.port}` });
      expect(await up.exited).toBe(78);
      expect(up.said().trim().split('\n')).toEqual([expect.stringMatching(sentence)]);
      expect(up.said()).not.toContain('secret');
      expect(readdirSync(join(home, 'logs')).filter((name) => /gateway|executor|projector/.test(name) && readFileSync(join(home, 'logs', name)).length > 0)).toEqual([]);
    } finally {
      await server.stop();
    }
  });

  it('ends at once where an app says that another try would not help', async () => {
    const up = run({ FAKE: 'executor:hopeless' });
    expect(await up.exited).toBe(78);
    expect(up.said()).toContain('runledger: executor: nothing will do');
    expect(up.said()).not.toContain('starting it again');
    expect(processesOf(home)).toEqual([]);
  });

  it('lets nobody on this machine in who has no key, gives each app its own, and goes on in a home from before', async () => {
    const up = await upAndReady({ RUNLEDGER_NATS_PORT: '0' });
    const url = /nats:\/\/127\.0\.0\.1:\d+/.exec(up.said())?.[0] ?? '';
    await expect(connectNats({ url, name: 'nobody' })).rejects.toMatchObject({ code: 'NATS_UNAUTHORIZED' });
    const users = join(home, 'nats/users');
    const seeds = await Promise.all((await readdir(users)).map((name) => readFile(join(users, name, 'nkey'), 'utf8')));
    expect(new Set(seeds).size).toBe(6);
    for (const name of await readdir(users)) expect((await stat(join(users, name, 'nkey'))).mode & 0o777).toBe(0o600);
    for (const app of APPS) {
      const environment = readFileSync(`/proc/${pidOf(`apps/${app}/`)}/environ`, 'latin1');
      expect(environment).toContain(`RUNLEDGER_NATS_NKEY_SEED_FILE=${users}/${app}/nkey`);
    }
    const everything = [up.said(), ...processesOf(home).map(({ pid }) => readFileSync(`/proc/${pid}/environ`, 'latin1') + readFileSync(`/proc/${pid}/cmdline`, 'latin1'))].join();
    for (const seed of seeds) expect(everything).not.toContain(seed.trim());

    const provisioner = { url, name: 'test', user: 'provisioner' as const, credentials: { seed: await readFile(join(users, 'provisioner/nkey'), 'utf8') } };
    const nats = await connectNats(provisioner);
    const { incarnation } = await new JetStreamLog(nats).info();
    await nats.close();
    expect(await up.stop('SIGTERM')).toBe(0);

    await rm(users, { recursive: true });
    const again = await upAndReady();
    const seed = await readFile(join(users, 'provisioner/nkey'), 'utf8');
    const back = await connectNats({ ...provisioner, url: `nats://127.0.0.1:${ports.nats}`, credentials: { seed } });
    expect((await new JetStreamLog(back).info()).incarnation).toBe(incarnation);
    await back.close();
    expect(await again.stop('SIGTERM')).toBe(0);
  });

  it('keeps what the apps say in a file each, and shows it on request', async () => {
    const quiet = await upAndReady();
    expect(await readFile(join(home, 'logs/gateway.log'), 'utf8')).toContain('hello from gateway');
    expect(quiet.said()).not.toContain('hello from gateway');
    expect(await quiet.stop('SIGTERM')).toBe(0);

    const verbose = await upAndReady({ RUNLEDGER_LOG: 'verbose' });
    await eventually(() => verbose.said().includes('hello from gateway'), { what: 'the line of the gateway' });
    expect(await verbose.stop('SIGTERM')).toBe(0);
  });
});

describe('the command line', () => {
  it.each([
    [['--version'], 0, /^\d+\.\d+\.\d+\n$/],
    [['--help'], 0, /Usage: runledger/],
    [[], 2, /Usage: runledger/],
    [['fly'], 2, /fly/],
    [['up', '--fast'], 2, /--fast/],
  ])('%j ends with %i and says %s', async (args, code, text) => {
    const command = run({}, args);
    expect(await command.exited).toBe(code);
    expect(command.said()).toMatch(text);
    expect(command.said()).not.toMatch(/^ +at .+:\d+:\d+/m);
  });
});

type Up = {
  readonly child: ChildProcess;
  readonly said: () => string;
  readonly exited: Promise<number | null>;
  readonly stop: (signal: NodeJS.Signals) => Promise<number | null>;
};

function run(env: Readonly<Record<string, string>> = {}, args: readonly string[] = ['up']): Up {
  const { NATS_URL: _, ...inherited } = process.env;
  const child = spawn(process.execPath, [main, ...args], {
    cwd: home,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...inherited,
      PATH: `${dirname(natsServers()[0]?.binary ?? '')}:${process.env['PATH']}`,
      RUNLEDGER_HOME: home,
      RUNLEDGER_PORT: String(ports.api),
      RUNLEDGER_NATS_PORT: String(ports.nats),
      ...env,
    },
  });
  started.push(child);
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text: Buffer) => (said += text.toString()));
  const exited = new Promise<number | null>((resolve) => child.once('close', resolve));
  const stop = (signal: NodeJS.Signals): Promise<number | null> => {
    child.kill(signal);
    return exited;
  };
  return { child, said: () => said, exited, stop };
}

async function upAndReady(env: Readonly<Record<string, string>> = {}): Promise<Up> {
  const up = run(env);
  await Promise.race([
    eventually(() => up.said().includes('curl'), { timeoutMs: 15_000, what: 'the greeting' }),
    up.exited.then((code) => {
      throw new Error(`up ended with ${code}:\n${up.said()}`);
    }),
  ]);
  return up;
}

type Process = { readonly pid: number; readonly command: string };

/** Everything alive that carries the home in its environment or command line. */
function processesOf(folder: string): Process[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) return [];
    try {
      const command = readFileSync(`/proc/${name}/cmdline`, 'latin1').replaceAll('\0', ' ').trim();
      const environment = readFileSync(`/proc/${name}/environ`, 'latin1');
      return command !== '' && (environment + command).includes(folder) ? [{ pid: Number(name), command }] : [];
    } catch {
      return [];
    }
  });
}

function nothingLeft(): Promise<unknown> {
  return eventually(() => processesOf(home).length === 0, { timeoutMs: 15_000, what: `no process of ${home}` });
}

function anotherThan(before: number, text: string): Promise<unknown> {
  const another = ({ pid, command }: Process): boolean => pid !== before && command.includes(text);
  return eventually(() => processesOf(home).some(another), { what: `another ${text}` });
}

function pidOf(text: string): number {
  const found = processesOf(home).find(({ command }) => command.includes(text));
  if (found === undefined) throw new Error(`no ${text} among ${JSON.stringify(processesOf(home))}`);
  return found.pid;
}

function watchdogPid(): number {
  const found = processesOf(home).find(({ command }) => !/main\.js|nats-server\.conf/.test(command));
  if (found === undefined) throw new Error('no watchdog');
  return found.pid;
}

function ends(): string[] {
  try {
    return readFileSync(join(home, 'ends'), 'utf8').trim().split('\n').sort();
  } catch {
    return [];
  }
}

function natsAnswers(): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(ports.nats, '127.0.0.1');
    socket.once('error', () => resolve(false));
    socket.once('data', (bytes) => {
      resolve(bytes.toString().includes('"jetstream":true'));
      socket.destroy();
    });
  });
}

function listening(port: number, greeting = ''): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.on('error', () => undefined).write(greeting)).once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}
