import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { jetstream } from '@nats-io/jetstream';
import { connect, nkeyAuthenticator } from '@nats-io/transport-node';

const HEALTH = '/app/dist/apps/health/src/main.js';
const APPS = ['gateway', 'executor', 'projector'];
/** The app itself, below the container's init. */
const APP_PID = '$(cat /proc/1/task/1/children)';

/**
 * In order: each does something and resolves with what was seen, or rejects when that is not what has to be seen. `endings` gets what
 * has to be ended when all is over, however it went.
 */
export const steps = ({ root, project, env, docker, endings, signal }) => {
  const compose = (...args) => docker('compose', ...args);
  let url = '';
  const ended = [];
  const fed = [];

  const until = async (what, look, withinMs = 60_000) => {
    const deadline = performance.now() + withinMs;
    for (;;) {
      const seen = await look();
      if (seen) return seen;
      if (performance.now() > deadline) throw new Error(`not within ${withinMs / 1_000} s: ${what}`);
      await pause(250, undefined, { signal });
    }
  };

  const answer = async (path, init) => {
    const response = await fetch(url + path, { ...init, signal });
    const text = await response.text();
    assert.ok(response.ok, `${init?.method ?? 'GET'} ${path}: ${response.status} ${text}`);
    return text;
  };
  const read = async (path) => JSON.parse(await answer(path));

  const request = async (body) => {
    const headers = { 'content-type': 'application/json' };
    return JSON.parse(await answer('/api/v1/executions', { method: 'POST', headers, body: JSON.stringify(body) })).id;
  };
  const untilCompleted = async (execution) => {
    const path = `/api/v1/executions/${execution}`;
    let status;
    const hasEnded = async () => {
      ({ status } = await read(path));
      return ['completed', 'failed', 'cancelled'].includes(status);
    };
    try {
      await until('it has ended', hasEnded);
      assert.equal(status, 'completed');
    } catch (error) {
      const [why, tasks, events] = await Promise.all([answer(`${path}/why`), answer(`${path}/tasks`), answer(`${path}/events`)]);
      throw new Error(`${execution} is ${status}: ${error.message}\n${why}\n${tasks}\n${events}`, { cause: error });
    }
    ended.push(execution);
  };
  const outputOf = (execution, task) => answer(`/api/v1/executions/${execution}/output?task=${task}&format=raw`);
  const typesOf = async (execution) =>
    (await read(`/api/v1/executions/${execution}/events?limit=1000`)).events.map(({ type }) => type);

  const within = (service, script) => compose('exec', '-T', service, 'sh', '-c', script);
  const publishedPort = async (service, port) => {
    const address = (await compose('port', service, String(port))).trim();
    assert.match(address, /^127\.0\.0\.1:\d+$/, `${service} is published on ${address}`);
    return address;
  };

  const build = async () => {
    await compose('build', 'gateway');
    const [{ Size: size, Config: config }] = JSON.parse(await docker('image', 'inspect', project));
    const [{ Size: base }] = JSON.parse(await docker('image', 'inspect', env.NODE_IMAGE));
    assert.equal(config.User, '1000:1000');
    assert.ok(config.Healthcheck);
    return `an image of ${Math.round(size / 1e6)} MB, ${Math.round((size - base) / 1e6)} MB of them above its base`;
  };

  const bringUp = async () => {
    await compose('up', '--detach', '--no-build', '--no-recreate', '--wait', '--wait-timeout', '120', '--scale', 'executor=2');
    // A container that was started anew may be published on another port.
    url = `http://${await publishedPort('gateway', 8080)}`;
  };

  const up = async () => {
    await bringUp();
    const unprivileged = 'id -u; touch /app/planted 2>/dev/null || echo read-only; grep CapEff /proc/self/status';
    for (const app of APPS) assert.match(await within(app, unprivileged), /^1000\nread-only\nCapEff:\t0+\n$/);
    return `nats, gateway, projector and two executors are healthy, unprivileged, on ${url}`;
  };

  const users = async () => {
    const keys = await Promise.all(APPS.map((app) => within(app, 'cat /run/nats/nkey; find / -name nkey -not -path "/proc/*" 2>/dev/null | wc -l')));
    for (const key of keys) assert.match(key, /^SU[A-Z2-7]{56}\n1\n$/);
    assert.equal(new Set(keys).size, APPS.length);
    await assert.rejects(connect({ servers: await publishedPort('nats', 4222), maxReconnectAttempts: 0 }), /Authorization Violation/);
    const said = await compose('logs', '--no-color');
    for (const key of keys) assert.ok(!said.includes(key.slice(0, 58)), 'a key in a log');
    return 'each app has its own key of NATS and no other, and nobody gets in without one';
  };

  const followFeed = async () => {
    const servers = await publishedPort('nats', 4222);
    const seed = new TextEncoder().encode((await compose('run', '--rm', '-T', 'users', 'cat', '/keys/observer/nkey')).trim());
    const connection = await connect({ servers, authenticator: nkeyAuthenticator(seed), inboxPrefix: '_INBOX_observer' });
    endings.push(() => connection.close());
    const consumer = await jetstream(connection).consumers.get('FEED', { filter_subjects: 'events.>' });
    await consumer.consume({ callback: (message) => fed.push(message.json()) });
    return `a plain NATS consumer with the key of the observer listens to events.> on ${servers}`;
  };

  const runPlan = async () => {
    const id = await request(JSON.parse(readFileSync(`${root}/examples/source-report.json`, 'utf8')));
    await untilCompleted(id);
    const report = (await outputOf(id, 'report')).trim().split('\n');
    const files = ['apps', 'libs', 'proto'].flatMap((folder) =>
      readdirSync(`${env.RUNLEDGER_WORKSPACE}/${folder}`, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()),
    );
    assert.equal(report[0], `files: ${files.length}`);
    return `examples/source-report.json completed as ${id}: ${report.join(', ')}`;
  };

  const runledger = (...args) => compose('run', '--rm', '-T', 'cli', ...args);

  const commandLine = async () => {
    const ran = await runledger('run', '--', 'cat', '/etc/hostname');
    const running = (await compose('ps', '-q', 'executor')).trim().split('\n').map((container) => container.slice(0, 12));
    const where = running.find((container) => ran.includes(container));
    assert.ok(where, `not the name of an executor: ${ran}`);
    return `\`runledger run\` in a container of its own ran a command in ${where}`;
  };

  const killExecutor = async () => {
    // The first attempt ends only with its container.
    const script = 'cat /etc/hostname; if [ "$RUNLEDGER_ATTEMPT" = 1 ]; then sleep 600; fi; echo done';
    const task = { id: 'survivor', runner: 'command', input: { shell: 'sh', script } };
    const execution = await request({ plan: { name: 'survivor', tasks: [task, { id: 'after', runner: 'noop', dependsOn: ['survivor'] }] } });
    const victim = (await until('the command says where it runs', () => outputOf(execution, 'survivor'))).trim();
    await docker('kill', victim);
    await untilCompleted(execution);
    const [survivor, last] = (await outputOf(execution, 'survivor')).trim().split('\n').slice(-2);
    assert.equal(last, 'done');
    assert.notEqual(survivor, victim);
    return `docker kill ${victim} in the middle of a command: ${execution} completed in ${survivor}`;
  };

  const allAreCompleted = async () => {
    for (const execution of ended) assert.equal((await read(`/api/v1/executions/${execution}`)).status, 'completed');
  };

  const crashApps = async () => {
    const crashed = ['gateway', 'projector'];
    const container = Object.fromEntries(await Promise.all(crashed.map(async (app) => [app, (await compose('ps', '-q', app)).trim()])));
    await Promise.all(crashed.map((app) => within(app, `kill -9 ${APP_PID}`)));
    for (const app of crashed) {
      await until(`${app} is back`, async () => {
        const [{ RestartCount: restarts, State: state }] = JSON.parse(await docker('inspect', container[app]));
        return restarts === 1 && state.Health.Status === 'healthy';
      });
    }
    url = `http://${await publishedPort('gateway', 8080)}`;
    await allAreCompleted();
    return `kill -9 of ${crashed.join(' and ')}: both are healthy again, and answer as before`;
  };

  const health = async () => {
    const told = await Promise.all(
      APPS.map(async (app) => {
        const frozen = `kill -STOP ${APP_PID}; node ${HEALTH} ${app} 2>&1; code=$?; kill -CONT ${APP_PID}; exit $((code != 1))`;
        return (await within(app, frozen)).trim();
      }),
    );
    for (const app of APPS) await until(`${app} is healthy again`, () => within(app, `node ${HEALTH} ${app}`).then(() => true, () => false));
    return `found of frozen apps: ${told.join('; ')}; all are healthy again after it`;
  };

  const compareFeed = async () => {
    for (const execution of ended) {
      const committed = await typesOf(execution);
      const ofExecution = () => fed.filter((event) => event.execution === execution).map(({ type }) => type.replace('runledger.v1.', ''));
      await until(`the feed has all of ${execution}`, () => ofExecution().length >= committed.length);
      assert.deepEqual(ofExecution(), committed);
    }
    assert.equal(new Set(fed.map((event) => event.id)).size, fed.length);
    return `${fed.length} events of ${ended.length} executions, each once and in the order of the log`;
  };

  const refusals = async () => {
    const refused = (await compose('logs', '--no-color', 'nats')).match(/^.*(Publish|Subscription) Violation.*$/gm);
    assert.equal(refused, null);
    return 'NATS has refused nothing to anybody who has a key';
  };

  const loseBroker = async () => {
    await docker('rm', '--force', (await compose('ps', '-q', 'nats')).trim());
    await bringUp();
    await allAreCompleted();
    const ran = await runledger('run', '--', 'echo', 'as if nothing had happened');
    assert.match(ran, /as if nothing had happened/);
    return 'docker rm --force of nats: with another container on its volume everything is there, and runs';
  };

  const verify = async () => {
    const { faults, ...rest } = JSON.parse(await runledger('verify', '--json'));
    assert.deepEqual(faults, []);
    assert.equal(rest.heads?.compared, rest.executions);
    assert.equal(rest.executions, ended.length + 2, 'those that were awaited here and those of the command line');
    return `\`runledger verify\` in a container of its own: no faults in ${rest.commits} commits of ${rest.executions} executions`;
  };

  const replay = async () => {
    const shown = [];
    for (const execution of ended) {
      const path = `/api/v1/executions/${execution}`;
      const [{ asOfSeq, ...projected }, { tasks }] = [await read(path), await read(`${path}/tasks`)];
      const folded = JSON.parse(await runledger('replay', execution, '--at', String(asOfSeq), '--json'));
      assert.deepEqual(folded, { execution: { ...projected, asOfSeq }, tasks });
      shown.push(`${execution} is ${folded.execution.status}`);
    }
    return `\`runledger replay\` in a container of its own: ${shown.join(', ')}, just as the status projection says`;
  };

  return [
    { name: 'build', take: build },
    { name: 'up', take: up },
    { name: 'users', take: users },
    { name: 'feed', take: followFeed },
    { name: 'plan', take: runPlan },
    { name: 'cli', take: commandLine },
    { name: 'kill', take: killExecutor },
    { name: 'crash', take: crashApps },
    { name: 'health', take: health },
    { name: 'feed', take: compareFeed },
    { name: 'refusals', take: refusals },
    { name: 'broker', take: loseBroker },
    { name: 'verify', take: verify },
    { name: 'replay', take: replay },
    { name: 'refusals', take: refusals },
  ];
};
