import { EXIT_MISCONFIGURED, type Environment, SettingsError } from '#libs/platform';
import { apps } from './apps.js';
import { broker } from './broker.js';
import { greeting } from './greeting.js';
import { Home } from './home.js';
import { NATS } from './nats-process.js';
import { requirePorts, type WantedPort } from './ports.js';
import { makeSecretsKey } from './secrets-key.js';
import { onStopSignals } from './stop-signals.js';
import { Supervisor } from './supervisor.js';
import { UpError } from './up-error.js';
import { readUpSettings, type UpSettings } from './up-settings.js';

/**
 * Brings everything up, keeps it running, and stops it at INT, TERM or HUP. Resolves with the exit code: 0 when it was
 * asked to stop, 1 when it could not come up, 78 when it never will with the broker as it is (both said on standard error), 130 when
 * it was asked twice and killed all.
 */
export async function up(env: Environment): Promise<number> {
  // Whoever reads along may leave (npm start | head).
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  try {
    const settings = readUpSettings(env);
    const home = new Home(settings.home);
    try {
      return await upIn(home, settings, env);
    } finally {
      home.release();
    }
  } catch (error) {
    if (!(error instanceof UpError || error instanceof SettingsError)) throw error;
    process.stderr.write(`runledger: ${error.message}\n`);
    return error.code === 'MISCONFIGURED' ? EXIT_MISCONFIGURED : 1;
  }
}

async function upIn(home: Home, settings: UpSettings, env: Environment): Promise<number> {
  const startedAt = Date.now();
  if (settings.makesSecretsKey) makeSecretsKey(home.folder);
  await home.endLeftovers(NATS, settings.stopMs, say);

  await requirePorts(wantedPorts(settings));
  const { url: natsUrl, binary, observer, process: server, prepare, environmentOf } = await broker(settings, home, env);

  const supervisor = new Supervisor({
    home,
    env,
    broker: server,
    apps: apps(settings, environmentOf),
    prepare,
    verbose: settings.verbose,
    say,
  });
  let killed = false;
  let forget = (): void => undefined;
  const asked = new Promise<string>((resolve) => {
    forget = onStopSignals(resolve, () => {
      killed = true;
      say('asked again: killing everything');
      supervisor.kill();
    });
  });

  try {
    const ready = await Promise.race([supervisor.start(), asked.then(() => undefined)]);
    if (ready !== undefined) {
      const said = ready.get('gateway')?.['url'];
      const url = typeof said === 'string' ? said : `http://${settings.host}:${settings.port}`;
      const tookMs = Date.now() - startedAt;
      process.stdout.write(greeting({ url, natsUrl, nats: binary, observer, home: home.folder, logs: home.logs, tookMs }));
    }
    say(`${await asked}: stopping everything`);
  } finally {
    await supervisor.stop();
    forget();
  }
  if (killed) return 130;
  say('stopped');
  return 0;
}

function wantedPorts({ host, port, externalNats, natsPort }: UpSettings): WantedPort[] {
  return [
    ...(port === 0 ? [] : [{ host, port, wantedBy: 'the API', setting: 'RUNLEDGER_PORT' }]),
    ...(externalNats === undefined && natsPort !== 0
      ? [{ host: '127.0.0.1', port: natsPort, wantedBy: 'nats-server', setting: 'RUNLEDGER_NATS_PORT' }]
      : []),
  ];
}

function say(line: string): void {
  process.stdout.write(`runledger: ${line}\n`);
}
