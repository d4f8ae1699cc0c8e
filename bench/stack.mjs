// Everything that `npm start` starts, in a folder of its own, for benchmarks.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from '@nats-io/transport-node';
import { connectionOptions } from '#libs/jetstream';
import { freePort } from './nats.mjs';

/** Starts it and waits until it is ready. `clients`: requests at once. */
export const startStack = async ({ clients = 1 } = {}) => {
  const home = mkdtempSync(join(tmpdir(), 'runledger-bench-'));
  const [port, natsPort] = [await freePort(), await freePort()];
  const up = spawn(process.execPath, ['dist/apps/cli/src/main.js', 'up'], {
    env: { ...process.env, RUNLEDGER_HOME: home, RUNLEDGER_PORT: String(port), RUNLEDGER_NATS_PORT: String(natsPort) },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const agent = new Agent({ keepAlive: true, maxSockets: clients });

  const stack = {
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

    connect: () => connect(connectionOptions({ url: `127.0.0.1:${natsPort}`, credentials: { seed: readFileSync(join(home, 'nats/users/projector/nkey'), 'utf8') } }, 'projector', 'bench')),

    /** Of each process of this run, by what it is: CPU seconds so far, and the most memory that it had, in MiB. */
    usage: () => {
      const used = {};
      for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
        try {
          if (!readFileSync(`/proc/${pid}/environ`, 'latin1').includes(home) && !readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(home)) continue;
          const line = readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ');
          const name = /apps\/(\w+)\//.exec(line)?.[1] ?? (line.includes('nats-server') ? 'nats-server' : 'other');
          const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1].split(' ');
          const kib = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0);
          const before = used[name] ?? { cpuSeconds: 0, peakMiB: 0 };
          used[name] = { cpuSeconds: before.cpuSeconds + (Number(fields[11]) + Number(fields[12])) / 100, peakMiB: before.peakMiB + kib / 1024 };
        } catch {
          // It ended meanwhile.
        }
      }
      return used;
    },

    stop: async () => {
      up.kill('SIGTERM');
      if (up.exitCode === null) await new Promise((resolve) => up.once('exit', resolve));
      rmSync(home, { recursive: true, force: true });
    },
  };

  for (const until = Date.now() + 60_000; ; ) {
    try {
      await stack.call('GET', '/readyz');
      await stack.call('GET', '/api/v1/stats');
      return stack;
    } catch (error) {
      if (Date.now() > until) {
        await stack.stop();
        throw new Error('not ready within 60 s', { cause: error });
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
};
