import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { jetstream } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { eventually } from '#libs/testing';
import { cli } from './cli.js';
import { type Platform, startPlatform } from './platform.js';
import { untilStatus } from './until-status.js';

type Example = { readonly plan: { readonly tasks: readonly { readonly id: string; readonly dependsOn?: readonly string[] }[] } };

const example = JSON.parse(readFileSync('examples/source-report.json', 'utf8')) as Example;
/** What the example reports on here: by path, in order. */
const sources = {
  'apps/one/README.md': '# One\n',
  'apps/one/main.ts': 'import "./other.js";\nstart();\n',
  'libs/other.ts': 'export {};\n',
  'proto/one.proto': 'syntax = "proto3";\n\nmessage One {}\n',
};

type Task = { id: string; status: string; attempt: number; why: string | null; result: Record<string, unknown> | null };
type FeedEvent = { id: string; type: string; execution: string; version: number; position: string; specversion: string };

const request = async (platform: Platform, body: unknown): Promise<string> => {
  const answer = await platform.post('/api/v1/executions', body);
  expect(answer.status).toBe(202);
  expect(answer.headers.get('location')).toBe(`/api/v1/executions/${String(answer.body['id'])}`);
  return String(answer.body['id']);
};

const command = (id: string, script: string, more: object = {}): object => ({
  id,
  runner: 'command',
  input: { shell: 'sh', script },
  ...more,
});

const statusOf = async (platform: Platform, id: string): Promise<string> =>
  String((await platform.get(`/api/v1/executions/${id}`)).body['status']);

const tasksOf = async (platform: Platform, id: string): Promise<Map<string, Task>> => {
  const { body } = await platform.get(`/api/v1/executions/${id}/tasks`);
  return new Map((body['tasks'] as Task[]).map((task) => [task.id, task]));
};

const untilTask = (platform: Platform, id: string, task: string, status: string): Promise<unknown> =>
  eventually(async () => (await tasksOf(platform, id)).get(task)?.status === status, {
    timeoutMs: 30_000,
    what: `task ${task} ${status}`,
  });

const eventTypes = async (platform: Platform, id: string): Promise<string[]> => {
  const { body } = await platform.get(`/api/v1/executions/${id}/events?limit=1000`);
  return (body['events'] as { type: string }[]).map(({ type }) => type);
};

const outputOf = async (platform: Platform, id: string, task: string): Promise<string> =>
  await (await fetch(`${platform.url}/api/v1/executions/${id}/output?task=${task}&format=raw`)).text();

/** What a consumer of the public feed has got once it has read all there is. */
const readFeed = async (platform: Platform): Promise<FeedEvent[]> => {
  const connection = await connect(platform.natsOptions('observer'));
  try {
    const consumer = await jetstream(connection).consumers.get('FEED', { filter_subjects: 'events.>' });
    const events: FeedEvent[] = [];
    let pending = (await consumer.info()).num_pending;
    if (pending === 0) return events;
    for await (const message of await consumer.consume()) {
      events.push(message.json());
      pending = message.info.pending;
      if (pending === 0) break;
    }
    return events;
  } finally {
    await connection.close();
  }
};

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/** The whole of the example's report. */
const report = (): string => {
  const hashes = Object.entries(sources).map(([path, text]) => `${sha256(text)}  ${path}\n`);
  return `files: 4\nlines of ts: 3\nlines of proto: 3\nlines of md: 1\ndigest of all: ${sha256(hashes.join('')).slice(0, 16)}\n`;
};

const root = mkdtempSync(join(tmpdir(), 'runledger-sources-'));
const writeSources = (): void => {
  for (const [path, text] of Object.entries(sources)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
};

let platform: Platform;
beforeAll(async () => {
  platform = await startPlatform({ RUNLEDGER_ROOTS: root });
}, 90_000);
beforeEach(writeSources);
afterAll(async () => {
  rmSync(root, { recursive: true, force: true });
  const { home } = platform;
  expect(await platform.stop()).toBe(0);
  // Nothing that it started outlives it.
  await eventually(() => platform.processes().length === 0, { what: `no process of ${home} left` });
}, 60_000);

describe('a graph of real commands', () => {
  it('runs to its end, and status, tasks, output and events agree', async () => {
    const id = await request(platform, example);
    await untilStatus(platform, id, 'completed');
    const tasks = await tasksOf(platform, id);
    expect([...tasks.values()].map(({ status }) => status)).toEqual(Array(7).fill('completed'));
    expect(tasks.get('flaky')?.attempt).toBe(2);
    expect(await outputOf(platform, id, 'report')).toBe(report());
    expect(await outputOf(platform, id, 'flaky')).toBe('failing once, on purpose\nattempt 2 succeeds\n');
    const types = await eventTypes(platform, id);
    expect(types[0]).toBe('ExecutionRequested');
    expect(types.at(-1)).toBe('ExecutionCompleted');
    expect(types.filter((type) => type === 'TaskCompleted')).toHaveLength(7);
    expect(types.filter((type) => type === 'TaskRetryScheduled')).toHaveLength(1);
  }, 90_000);

  it('reports on the sources as they were, whatever becomes of them meanwhile', async () => {
    const [first, ...others] = example.plan.tasks;
    const meanwhile = { ...command('meanwhile', 'cd "$RUNLEDGER_ROOT" && rm -r libs && echo more >> proto/one.proto'), dependsOn: [first?.id] };
    const after = others.map((task) => ({ ...task, dependsOn: [...(task.dependsOn ?? []), 'meanwhile'] }));
    const id = await request(platform, { plan: { ...example.plan, tasks: [first, meanwhile, ...after] } });
    await untilStatus(platform, id, 'completed');
    expect(await outputOf(platform, id, 'report')).toBe(report());
  }, 90_000);
});

describe('a failing command', () => {
  it('ends the wait for another status at once, with all there is to know', async () => {
    const id = await request(platform, { plan: { name: 'failing', tasks: [command('broken', 'echo no such thing >&2; exit 3')] } });
    const failure = await untilStatus(platform, id, 'completed').catch((error: Error) => error.message);
    for (const part of [`execution ${id} is failed; it was to be completed`, 'COMMAND_EXITED', 'no such thing', 'TaskFailed', '"waitsFor"', 'shards assigned']) {
      expect(failure).toContain(part);
    }
  });
});

describe('a sleeping command', () => {
  it('finishes while paused, what depends on it starts only after resume', async () => {
    const id = await request(platform, {
      plan: { name: 'pause', tasks: [command('nap', 'sleep 1'), { id: 'after', runner: 'noop', dependsOn: ['nap'] }] },
    });
    await untilTask(platform, id, 'nap', 'running');
    expect((await platform.post(`/api/v1/executions/${id}/pause`)).status).toBe(200);
    await untilTask(platform, id, 'nap', 'completed');
    expect(await statusOf(platform, id)).toBe('paused');
    expect((await tasksOf(platform, id)).get('after')?.status).toBe('pending');
    expect((await platform.post(`/api/v1/executions/${id}/resume`)).status).toBe(200);
    await untilStatus(platform, id, 'completed');
    const again = await platform.post(`/api/v1/executions/${id}/resume`);
    expect(again.status).toBe(409);
    expect(again.body).toMatchObject({ code: 'EXECUTION_TERMINAL' });
    expect(again.body['detail']).toContain('completed');
  }, 60_000);

  it('is ended by an immediate cancel, the rest is skipped, and a second cancel answers as the first', async () => {
    const id = await request(platform, {
      plan: { name: 'cancel', tasks: [command('nap', 'sleep 30'), { id: 'after', runner: 'noop', dependsOn: ['nap'] }] },
    });
    await untilTask(platform, id, 'nap', 'running');
    await eventually(() => platform.processes().some((process) => process.command === 'sleep 30'), { what: 'sleep 30' });
    const first = await platform.post(`/api/v1/executions/${id}/cancel`, { mode: 'immediate', reason: 'enough' });
    expect(first.status).toBe(200);
    await untilStatus(platform, id, 'cancelled', 15_000);
    expect(platform.processes().filter((process) => process.command === 'sleep 30')).toEqual([]);
    const tasks = await tasksOf(platform, id);
    expect(tasks.get('nap')?.status).toBe('cancelled');
    expect(tasks.get('after')?.status).toBe('skipped');
    const second = await platform.post(`/api/v1/executions/${id}/cancel`, { mode: 'immediate' });
    expect(second.status).toBe(200);
    expect(second.body).toMatchObject({ id, status: 'cancelled', changed: false });
  }, 60_000);

  it('runs on under a graceful cancel', async () => {
    const id = await request(platform, {
      plan: { name: 'graceful', tasks: [command('nap', 'sleep 1; echo done'), { id: 'after', runner: 'noop', dependsOn: ['nap'] }] },
    });
    await untilTask(platform, id, 'nap', 'running');
    const answer = await platform.post(`/api/v1/executions/${id}/cancel`, { mode: 'graceful' });
    expect(answer.body).toMatchObject({ status: 'cancelling' });
    await untilStatus(platform, id, 'cancelled');
    expect((await tasksOf(platform, id)).get('nap')?.status).toBe('completed');
    expect(await outputOf(platform, id, 'nap')).toBe('done\n');
  }, 60_000);
});

describe('kill -9 of every process, one after another, while a plan runs', () => {
  it('loses nothing that was accepted, completes the run, leaves no command behind and feeds each event once', async () => {
    // None ends before all that is to be killed has been.
    const morning = join(root, 'morning');
    const naps = Array.from({ length: 5 }, (_, i) =>
      command(`nap-${i}`, `until [ -e ${morning} ]; do sleep 0.1; done; echo rested`, i === 0 ? {} : { dependsOn: [`nap-${i - 1}`] }),
    );
    const id = await request(platform, { plan: { name: 'survivor', tasks: naps } });
    await untilTask(platform, id, 'nap-0', 'running');
    await platform.killAndAwaitReturn('apps/gateway/');
    await eventually(async () => (await platform.get('/readyz')).status === 200, { timeoutMs: 30_000, what: 'the gateway' });
    const duringOutage = await request(platform, { plan: { name: 'bystander', tasks: [command('hello', 'echo hello')] } });
    await platform.killAndAwaitReturn('apps/executor/');
    await platform.killAndAwaitReturn('apps/projector/');
    await platform.killAndAwaitReturn('nats-server.conf');
    writeFileSync(morning, '');
    await untilStatus(platform, id, 'completed', 120_000);
    await untilStatus(platform, duringOutage, 'completed');
    for (const task of (await tasksOf(platform, id)).values()) expect(task.status).toBe('completed');
    expect(platform.processes().filter((process) => process.command.startsWith('sleep'))).toEqual([]);
    expect((await eventTypes(platform, id)).filter((type) => type === 'TaskCompleted')).toHaveLength(5);

    const committed = await eventTypes(platform, id);
    const feed = await eventually(
      async () => {
        const events = await readFeed(platform);
        return events.filter((event) => event.execution === id).length >= committed.length && events;
      },
      { timeoutMs: 30_000, what: 'the feed to catch up' },
    );
    expect(new Set(feed.map((event) => event.id)).size).toBe(feed.length);
    expect(feed.filter((event) => event.execution === id).map((event) => event.type.replace('runledger.v1.', ''))).toEqual(committed);
    const positions = feed.map((event) => event.position.split('/').map(Number));
    const inOrder = positions.every(([seq = 0, index = 0], i) => {
      const [before = -1, beforeIndex = -1] = positions[i - 1] ?? [];
      return seq > before || (seq === before && index > beforeIndex);
    });
    expect(inOrder).toBe(true);
    expect(feed.every((event) => event.specversion === '1.0')).toBe(true);
    expect(await cli(platform, ['verify']).ended).toMatchObject({ code: 0, out: expect.stringContaining('no faults') as string });
  }, 240_000);
});
