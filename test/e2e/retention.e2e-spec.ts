import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger, readSettings } from '#libs/platform';
import { eventually } from '#libs/testing';
import { startExecutor } from '../../apps/executor/src/executor.js';
import { type Json, type Service, executions, startService } from '../gateway/service.js';
import { Story, end, request, start, task } from '../projector/story.js';
import { cli, json } from './cli.js';

const COUNT = 300;
const KEPT = 20;

let service: Service;
let home: string;
beforeAll(async () => {
  service = await startService();
  home = mkdtempSync(join(tmpdir(), 'runledger-retention-'));
  const stories = Array.from({ length: COUNT }, (_, i) => new Story(service.log, undefined, Date.parse('2026-01-01T00:00:00Z') + i * 60_000));
  await Promise.all(stories.map(async (story, i) => {
    await story.tell(request('old', [task('a'), task('b')], { team: String(i % 3) }));
    for (const id of ['a', 'b']) await (await story.tell(start(id))).tell(end(id, 1, true));
  }));
  // It has ended never, and so stays.
  await new Story(service.log, undefined, Date.parse('2025-01-01T00:00:00Z')).tell(request('running', [task('a', { runner: 'signal', input: { name: 'go' } })]));
}, 60_000);
afterAll(async () => {
  await service.stop();
  rmSync(home, { recursive: true, force: true });
});

const bytesOf = async (stream: string): Promise<number> => {
  const reply = await service.nats.connection.request(`$JS.API.STREAM.INFO.${stream}`, '');
  return reply.json<{ state: { bytes: number } }>().state.bytes;
};

const commits = async (): Promise<number> => {
  const reply = await service.nats.connection.request('$JS.API.STREAM.INFO.LOG', '');
  return reply.json<{ state: { messages: number } }>().state.messages;
};

const rebuilt = async (name: string): Promise<Json> => {
  await service.post(`/api/v1/projections/${name}/rebuild`);
  return await eventually(
    async () => {
      const rebuild = (await service.get(`/api/v1/projections/${name}`)).body['rebuild'] as Json | null;
      return rebuild !== null && rebuild['endedAt'] !== null && rebuild;
    },
    { what: `the rebuild of ${name}`, timeoutMs: 20_000 },
  );
};

it('keeps the last ones and what has not ended; broker and rows shrink, verify and rebuild find nothing', async () => {
  const minSeq = (await service.log.head()).sequence;
  const whole = (await service.get(`/api/v1/stats?minSeq=${minSeq}`)).body as { executions: Json; storage: { bytes: number } };
  expect(whole.executions['total']).toBe(COUNT + 1);
  const published = async (): Promise<boolean> => Number((await service.nats.connection.request('$JS.API.STREAM.INFO.FEED', '')).json<{ state: { messages: number } }>().state.messages) >= COUNT * 6;
  await eventually(published, { what: 'the feed', timeoutMs: 20_000 });
  const before = { log: await bytesOf('LOG'), feed: await bytesOf('FEED'), stored: whole.storage.bytes };

  const settings = readSettings({ NATS_URL: service.natsUrl, RUNLEDGER_HOME: home, RUNLEDGER_SANDBOX: 'off', RUNLEDGER_RETENTION_EXECUTIONS: String(KEPT) });
  const stop = await startExecutor(settings, createLogger('executor', 'silent'));
  try {
    // Of each that is gone its tombstone, of each other five; the running one is started meanwhile.
    await eventually(async () => (await commits()) <= COUNT - KEPT + KEPT * 5 + 3, { what: 'the purge', timeoutMs: 60_000 });
    const end = (await service.log.head()).sequence;
    const { body } = await service.get(`${executions}?limit=1000&minSeq=${end}`);
    const left = body['executions'] as readonly { name: string; requestedAt: string }[];
    expect(left.filter(({ name }) => name === 'running')).toHaveLength(1);
    const kept = left.filter(({ name }) => name === 'old').map(({ requestedAt }) => requestedAt);
    expect(kept).toHaveLength(KEPT);
    expect(kept.toSorted()[0]).toBe(new Date(Date.parse('2026-01-01T00:00:00Z') + (COUNT - KEPT) * 60_000 + 10).toISOString());

    const { body: stats } = await service.get(`/api/v1/stats?minSeq=${end}`);
    expect(stats).toMatchObject({ executions: { total: KEPT + 1 }, tasks: { byStatus: { completed: KEPT * 2 } } });
    const after = { log: await bytesOf('LOG'), feed: await bytesOf('FEED'), stored: (stats['storage'] as { bytes: number }).bytes };
    expect(after.log).toBeLessThan(before.log / 3);
    expect(after.feed).toBeLessThan(before.feed / 3);
    expect(after.stored).toBeLessThan(before.stored / 3);

    const verified = await json(cli({ url: service.url, natsUrl: service.natsUrl }, ['verify', '--json']));
    expect(verified.value).toMatchObject({ faults: [], executions: COUNT + 1, heads: { compared: COUNT + 1 } });
    expect(verified.code).toBe(0);
    for (const name of ['status', 'stats']) {
      const rebuild = await rebuilt(name);
      expect(rebuild).toMatchObject({ phase: 'done', differs: [], error: null });
    }
    expect((await service.get(`/api/v1/stats?minSeq=${end}`)).body['executions']).toEqual((stats as Json)['executions']);
  } finally {
    await stop();
  }
}, 120_000);
