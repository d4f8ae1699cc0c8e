// `npm run test:compose`: builds the image, brings docker-compose.yml up as a project of its own on random loopback ports,
// takes the steps of steps.mjs, and takes everything down again, however it went. It needs a Docker engine with Compose
// 2.24 or later, and nothing of what is running there. Exit code 0, 1 when a step failed, 75 when there is no engine or no
// base image to be had, 130 when interrupted.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Unavailable, baseImage, describeEngine, npmSource } from './engine.mjs';
import { steps } from './steps.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));
const project = `runledger-test-${randomBytes(4).toString('hex')}`;
const interruption = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => interruption.abort(new Error('interrupted')));

const say = (text) => console.log(`test:compose: ${text}`);
const warnings = [];
const warn = (text) => {
  warnings.push(text);
  say(`*** ${text} ***`);
};

/** Resolves with what it wrote to standard output; rejects with all it wrote unless it ends with 0, in time. */
const run = (command, args, { env = process.env, withinMs, signal = interruption.signal } = {}) =>
  new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    // Detached: a Ctrl-C, which the terminal sends to everyone, reaches it from here or not at all.
    const child = spawn(command, args, { cwd: root, env, detached: true, timeout: withinMs, stdio: ['ignore', 'pipe', 'pipe'] });
    const end = () => child.kill('SIGTERM');
    signal?.addEventListener('abort', end);
    let [stdout, all] = ['', ''];
    child.stdout.on('data', (piece) => ((stdout += piece), (all += piece)));
    child.stderr.on('data', (piece) => (all += piece));
    child.once('error', reject);
    child.once('close', (code, killedBy) => {
      signal?.removeEventListener('abort', end);
      if (signal?.aborted) reject(signal.reason);
      else if (code === 0) resolve(stdout);
      else reject(new Error(`${command} ${args.join(' ')} ended with ${code ?? killedBy}\n${all}`.trimEnd()));
    });
  });

/** The environment of every `docker compose`: the checkout's own .env, overrides and settings stay out of it. */
const composeEnvironment = async (scratch) => {
  const { registry, ca } = await npmSource(run);
  const override = join(scratch, 'compose.json');
  const withCa = { services: { gateway: { build: { secrets: ['ca'] } } }, secrets: { ca: { file: ca } } };
  writeFileSync(override, JSON.stringify(ca ? withCa : { services: {} }));
  return {
    ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(RUNLEDGER|COMPOSE)_/.test(name))),
    COMPOSE_PROJECT_NAME: project,
    COMPOSE_FILE: [join(root, 'docker-compose.yml'), override].join(delimiter),
    COMPOSE_PATH_SEPARATOR: delimiter,
    COMPOSE_DISABLE_ENV_FILE: '1',
    COMPOSE_PROGRESS: 'plain',
    NODE_IMAGE: await baseImage(run, 'node', 'node:24-bookworm-slim', warn),
    NATS_IMAGE: await baseImage(run, 'nats', 'nats:2.15-alpine', warn),
    NPM_CONFIG_REGISTRY: registry,
    RUNLEDGER_IMAGE: project,
    RUNLEDGER_WORKSPACE: join(scratch, 'workspace'),
    RUNLEDGER_PORT: '0',
    RUNLEDGER_NATS_PORT: '0',
  };
};

/** What the example plan looks at, readable for everyone, as the containers' user is nobody here. */
const makeWorkspace = async (workspace) => {
  mkdirSync(workspace);
  for (const folder of ['apps', 'libs', 'proto']) cpSync(join(root, folder), join(workspace, folder), { recursive: true });
  await run('chmod', ['-R', 'a+rX', workspace]);
};

const scratch = mkdtempSync(join(tmpdir(), 'runledger-compose-'));
const endings = [];
let env;
const lastly = (...args) => run('docker', args, { env, signal: null });
try {
  say(`${await describeEngine(run)}, project ${project}`);
  env = await composeEnvironment(scratch);
  await makeWorkspace(env.RUNLEDGER_WORKSPACE);
  const docker = (...args) => run('docker', args, { env });
  for (const { name, take } of steps({ root, project, env, docker, endings, signal: interruption.signal })) {
    const started = performance.now();
    const seen = await take().catch((error) => {
      throw new Error(`${name}: ${error.message}`, { cause: error });
    });
    say(`ok ${name}: ${seen} (${((performance.now() - started) / 1_000).toFixed(1)} s)`);
  }
  say(`PASSED${warnings.length > 0 ? `, ON STAND-INS: ${env.NODE_IMAGE}, ${env.NATS_IMAGE}` : ''}`);
} catch (error) {
  const interrupted = interruption.signal.aborted;
  process.exitCode = interrupted ? 130 : error instanceof Unavailable ? 75 : 1;
  if (env && !interrupted) {
    for (const show of [['ps', '--all'], ['logs', '--tail', '40', '--no-color']]) {
      console.error(await lastly('compose', ...show).catch((fault) => fault.message));
    }
  }
  console.error(`test:compose: ${interrupted ? 'INTERRUPTED' : `FAILED: ${error.message}`}`);
} finally {
  for (const end of endings) await end();
  if (env) {
    await lastly('compose', '--profile', '*', 'down', '--volumes', '--remove-orphans', '--timeout', '10')
      .then(() => say('everything is taken down'))
      .catch((error) => {
        console.error(`test:compose: ${error.message}\nwhat is left carries the label com.docker.compose.project=${project}`);
        process.exitCode ||= 1;
      });
    await lastly('image', 'rm', '--force', project).catch(() => undefined);
  }
  rmSync(scratch, { recursive: true });
}
