import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionRef } from '#libs/contracts';
import { type Command, decide } from '#libs/execution';
import { JetStreamLog, type Nats, connectNats } from '#libs/jetstream';
import { append, load } from '#libs/ledger';
import { type Settings, createLogger, readSettings } from '#libs/platform';
import { startNatsServer } from '#libs/testing';
import { startGateway } from '../../apps/gateway/src/gateway.js';
import { startProjector } from '../../apps/projector/src/projector.js';

export type Json = Record<string, unknown>;

export const executions = '/api/v1/executions';

/** A gateway and a projector on a broker of their own; the test is the executor. */
export type Service = {
  readonly url: string;
  readonly natsUrl: string;
  readonly nats: Nats;
  readonly log: JetStreamLog;
  readonly get: (path: string, headers?: Record<string, string>) => Promise<Answer>;
  readonly put: (path: string, body: unknown, headers?: Record<string, string>) => Promise<Answer>;
  readonly delete: (path: string, headers?: Record<string, string>) => Promise<Answer>;
  readonly post: (path: string, body?: unknown, headers?: Record<string, string>) => Promise<Answer>;
  /** Commits what an executor would. Returns the log sequence. */
  readonly drive: (id: string, ...commands: readonly Command[]) => Promise<number>;
  readonly ref: (id: string) => ExecutionRef;
  /** One more, with other settings; returns what stops it. */
  readonly startGateway: (environment: Readonly<Record<string, string>>) => Promise<() => Promise<void>>;
  /** The same, with where it is. */
  readonly startGatewayAt: (environment: Readonly<Record<string, string>>) => Promise<{ readonly url: string; readonly stop: () => Promise<void> }>;
  readonly stopProjector: () => Promise<void>;
  readonly startProjector: () => Promise<void>;
  readonly stop: () => Promise<void>;
};

export type Answer = { readonly status: number; readonly headers: Headers; readonly body: Json };

export const startService = async (environment: Readonly<Record<string, string>> = {}): Promise<Service> => {
  const logger = createLogger('test', 'silent');
  const server = await startNatsServer();
  const home = mkdtempSync(join(tmpdir(), 'runledger-service-'));
  const settingsWith = (more: Readonly<Record<string, string>>): Settings =>
    readSettings({ NATS_URL: server.url, RUNLEDGER_HOME: home, RUNLEDGER_PORT: '0', ...more });
  const settings = settingsWith(environment);
  const gateway = await startGateway(settings, logger);
  let stopProjector = await startProjector(settings, logger);
  const nats = await connectNats({ url: server.url, name: 'test' });
  const log = new JetStreamLog(nats);
  const ref = (execution: string): ExecutionRef => ({ tenant: settings.tenant, execution });
  const call = async (path: string, init: RequestInit): Promise<Answer> => {
    const answer = await fetch(gateway.url + path, init);
    if (answer.headers.get('content-type')?.startsWith('text/event-stream')) {
      // It would not end.
      await answer.body?.cancel();
      return { status: answer.status, headers: answer.headers, body: {} };
    }
    return { status: answer.status, headers: answer.headers, body: answer.status === 204 ? {} : ((await answer.json()) as Json) };
  };
  return {
    url: gateway.url,
    natsUrl: server.url,
    nats,
    log,
    ref,
    get: (path, headers = {}) => call(path, { headers }),
    put: (path, body, headers = {}) =>
      call(path, { method: 'PUT', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) }),
    delete: (path, headers = {}) => call(path, { method: 'DELETE', headers }),
    post: (path, body, headers = {}) =>
      call(path, {
        method: 'POST',
        headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      }),
    drive: async (id, ...commands) => {
      for (const command of commands) {
        const current = await load(log, ref(id));
        const context = { now: Date.now(), cause: 'executor', actor: 'executor', correlationId: 'c' };
        await append(log, current, decide(command, current.state, context));
      }
      return (await load(log, ref(id))).sequence;
    },
    startGateway: async (more) => (await startGateway(settingsWith(more), logger)).stop,
    startGatewayAt: (more) => startGateway(settingsWith(more), logger),
    stopProjector: () => stopProjector(),
    startProjector: async () => void (stopProjector = await startProjector(settings, logger)),
    stop: async () => {
      await Promise.all([gateway.stop(), stopProjector(), nats.close()]);
      await server.stop();
      rmSync(home, { recursive: true, force: true });
    },
  };
};
