import { fileURLToPath } from 'node:url';
import { type Settings, readSettings } from '#libs/platform';
import { UpFailure } from './failure.js';
import { type Home, openHome } from './home.js';
import { ManagedProcess, type ProcessSpec } from './managed-process.js';
import { findNatsServer } from './nats-binary.js';
import { isFree, natsInfo } from './sockets.js';
import { Watchdog } from './watchdog.js';

const READY_WITHIN_MS = 60_000;
const APP_GRACE_MS = 20_000;
const BROKER_GRACE_MS = 10_000;

type Environment = Readonly<Record<string, string | undefined>>;

const portOf = (env: Environment): number => {
  const text = env['RUNLEDGER_NATS_PORT'] || '4222';
  const port = Number(text);
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port;
  throw new UpFailure(`RUNLEDGER_NATS_PORT=${text} is not a port`);
};

const broker = async (env: Environment, home: Home, port: number): Promise<ProcessSpec> => {
  if (!(await isFree('127.0.0.1', port))) {
    throw new UpFailure(
      `port ${port}, meant for the embedded nats-server, is in use; stop what listens there, set RUNLEDGER_NATS_PORT to another port, ` +
        'or set NATS_URL to use a nats-server that runs already',
    );
  }
  const { path } = await findNatsServer(env['PATH'] ?? '');
  return {
    name: 'nats-server',
    command: path,
    args: ['-c', home.natsConfig],
    env,
    role: 'broker',
    logFile: home.logFile('nats-server'),
    ready: async () => (await natsInfo('127.0.0.1', port))?.['jetstream'] === true,
  };
};

const app = (name: string, env: Environment, home: Home): ProcessSpec => ({
  name,
  command: process.execPath,
  args: [fileURLToPath(new URL(`../../../${name}/src/main.js`, import.meta.url))],
  env,
  role: 'app',
  logFile: home.logFile(name),
  ready: 'message',
});

const greeting = ({ host, port }: Settings, natsUrl: string, home: Home): string => {
  const url = `http://${host}:${port}`;
  const plan = '{"plan":{"name":"hello","tasks":[{"id":"greet","runner":"command","input":{"argv":["echo","hello"]}}]}}';
  return [
    'Runledger is ready.',
    `  API       ${url}/api/v1/executions`,
    `  described ${url}/docs`,
    `  NATS      ${natsUrl}   (events: nats sub 'events.>')`,
    `  state     ${home.path}`,
    `  logs      ${home.logFile('<process>')}`,
    '',
    'Try:',
    `  curl -s ${url}/api/v1/executions -H 'content-type: application/json' -d '${plan}'`,
    '',
    'Ctrl-C stops everything.',
  ].join('\n');
};

/** Brings everything up and keeps it up until a signal comes. Resolves with the exit code. Throws UpFailure, SettingsError. */
export const up = async (given: Environment, say: (line: string) => void): Promise<number> => {
  const natsPort = portOf(given);
  const external = given['NATS_URL'];
  const natsUrl = external || `nats://127.0.0.1:${natsPort}`;
  const settings = readSettings({ ...given, NATS_URL: natsUrl });
  if (!(await isFree(settings.host, settings.port))) {
    throw new UpFailure(`port ${settings.port} on ${settings.host} is in use; stop what listens there, or set RUNLEDGER_PORT to another port`);
  }
  const home = await openHome(settings.home, natsPort);
  const env = { ...given, NATS_URL: natsUrl, RUNLEDGER_HOME: home.path, RUNLEDGER_SUPERVISED: '1' };

  const watchdog = new Watchdog();
  let natsServer: ManagedProcess | undefined;
  const events = {
    restarted: (name: string, why: string, inMs: number) => say(`${name} ended (${why}); starting it again in ${inMs} ms`),
    message: (name: string, message: unknown) => {
      if ((message as { readonly type?: string }).type !== 'nats-write-stuck') return;
      say(`${name} says that nats-server can't write any more; starting it again`);
      natsServer?.restart();
    },
  };
  const make = (spec: ProcessSpec): ManagedProcess => new ManagedProcess(spec, watchdog, events);
  const apps: ManagedProcess[] = [];

  let stop: ((code: number) => void) | undefined;
  const stopped = new Promise<number>((resolve) => {
    stop = resolve;
  });
  let asked = false;
  const onSignal = (): void => {
    if (asked) for (const process of [...apps, ...(natsServer ? [natsServer] : [])]) process.kill();
    else say('Stopping; once more ends everything at once.');
    asked = true;
    stop?.(0);
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  process.on('SIGHUP', onSignal);

  const start = async (): Promise<void> => {
    if (!external) {
      natsServer = make(await broker(given, home, natsPort));
      await starting(natsServer);
    }
    apps.push(...['gateway', 'executor', 'projector'].map((name) => make(app(name, env, home))));
    await Promise.all(apps.map(starting));
    say(greeting(settings, natsUrl, home));
  };
  try {
    return await Promise.race([stopped, start().then(() => stopped)]);
  } finally {
    await Promise.all(apps.map((managed) => managed.stop(APP_GRACE_MS)));
    await natsServer?.stop(BROKER_GRACE_MS);
    watchdog.dismiss();
    home.release();
  }
};

const starting = async (managed: ManagedProcess): Promise<void> => {
  try {
    await managed.start(READY_WITHIN_MS);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new UpFailure(`${why}. Its last lines:\n${managed.lastLines(15)}`);
  }
};
