// Everything that `npm start` starts, in a folder of its own, for benchmarks.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { connect } from '@nats-io/transport-node';
import { connectionOptions } from '#libs/jetstream';
import { freePort } from './nats.mjs';

const runledger = 'dist/apps/cli/src/main.js';

/** Asks again until the answer is truthy, and resolves with it; throws after `withinMs`, with why it failed last. */
export const until = async (what, withinMs, ask) => {
  let cause;
  for (const end = Date.now() + withinMs; Date.now() < end; await pause(50)) {
    try {
      const answer = await ask();
      if (answer) return answer;
    } catch (error) {
      cause = error;
    }
  }
  throw new Error(`waited ${withinMs} ms in vain for ${what}`, { cause });
};

/** Starts it and waits until it is ready. `clients`: requests at once. */
export const startStack = async ({ clients = 1 } = {}) => {
  const home = mkdtempSync(join(tmpdir(), 'runledger-bench-'));
  const [port, natsPort] = [await freePort(), await freePort()];
  const environment = { ...process.env, RUNLEDGER_HOME: home, RUNLEDGER_PORT: String(port), RUNLEDGER_NATS_PORT: String(natsPort), RUNLEDGER_URL: `http://127.0.0.1:${port}` };
  const agent = new Agent({ keepAlive: true, maxSockets: clients });
  let up;

  const start = async (settings) => {
    up = spawn(process.execPath, [runledger, 'up'], { env: { ...environment, ...settings }, stdio: ['ignore', 'ignore', 'inherit'] });
    await until('the platform', 60_000, async () => (await stack.call('GET', '/readyz')) && (await stack.call('GET', '/api/v1/stats')));
  };
  const end = async () => {
    up.kill('SIGTERM');
    if (up.exitCode === null) await new Promise((resolve) => up.once('exit', resolve));
  };

  const stack = {
    home,
    port,

    /** Resolves with the answer's body; throws what is not 2xx. */
    call: (method, path, body) =>
      new Promise((resolve, reject) => {
        const outgoing = request({ agent, host: '127.0.0.1', port, method, path, headers: body && { 'content-type': 'application/json' } }, (answer) => {
          let text = '';
          answer.setEncoding('utf8').on('data', (piece) => (text += piece)).on('end', () => {
            if (answer.statusCode >= 300) reject(new Error(`${method} ${path}: ${answer.statusCode} ${text.slice(0, 300)}`));
            else resolve(JSON.parse(text));
          });
        });
        outgoing.on('error', reject).end(body);
      }),

    /** A connection to its nats-server, as one of the users there. */
    connect: (user = 'projector') =>
      connect(connectionOptions({ url: `127.0.0.1:${natsPort}`, credentials: { seed: readFileSync(join(home, `nats/users/${user}/nkey`), 'utf8') } }, user, 'bench')),

    /** A command of `runledger` to its end: `status` and `stdout`. */
    command: (...args) => spawnSync(process.execPath, [runledger, ...args], { env: environment, encoding: 'utf8', maxBuffer: 2 ** 28 }),

    /** Of each process of this run, by what it is: CPU seconds so far, the memory that it has and the most that it had, in MiB. */
    usage: () => {
      const used = {};
      for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
        try {
          if (!readFileSync(`/proc/${pid}/environ`, 'latin1').includes(home) && !readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(home)) continue;
          const line = readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ');
          const name = /apps\/(\w+)\//.exec(line)?.[1] ?? (line.includes('nats-server') ? 'nats-server' : 'other');
          const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1].split(' ');
          const status = readFileSync(`/proc/${pid}/status`, 'latin1');
          const mib = (field) => Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) / 1024;
          const before = used[name] ?? { cpuSeconds: 0, mib: 0, peakMiB: 0 };
          used[name] = {
            cpuSeconds: before.cpuSeconds + (Number(fields[11]) + Number(fields[12])) / 100,
            mib: before.mib + mib('VmRSS'),
            peakMiB: before.peakMiB + mib('VmHWM'),
          };
        } catch {
          // It ended meanwhile.
        }
      }
      return used;
    },

    /** Stops all of it and starts it on the same state, with these settings more. */
    restart: async (settings = {}) => {
      await end();
      await start(settings);
    },

    stop: async () => {
      await end();
      rmSync(home, { recursive: true, force: true });
    },
  };

  try {
    await start();
  } catch (error) {
    await stack.stop();
    throw error;
  }
  return stack;
};
