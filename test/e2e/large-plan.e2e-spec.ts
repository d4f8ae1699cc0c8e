import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { JetStreamLog, connectNats, seedFile } from '#libs/jetstream';
import { Audit } from '#libs/ledger';
import { eventually } from '#libs/testing';
import { type Platform, startPlatform } from './platform.js';

const WIDE = 1_000;
const DEEP = 10;
const tasks = Array.from({ length: WIDE * DEEP }, (_, i) => {
  const [layer, place] = [Math.floor(i / WIDE), i % WIDE];
  return { id: `t${layer}-${place}`, runner: 'noop', dependsOn: layer === 0 ? [] : [`t${layer - 1}-${place}`, `t${layer - 1}-${(place + 1) % WIDE}`] };
});
const body = JSON.stringify({ plan: { name: 'large', tasks } });

let platform: Platform;
beforeAll(async () => {
  platform = await startPlatform();
}, 90_000);
afterAll(async () => {
  expect(await platform.stop()).toBe(0);
}, 60_000);

const requested = async (key: string): Promise<{ readonly status: number; readonly id: string }> => {
  const headers = { 'content-type': 'application/json', 'idempotency-key': key };
  const answer = await fetch(`${platform.url}/api/v1/executions`, { method: 'POST', headers, body });
  return { status: answer.status, id: String(((await answer.json()) as { id?: string }).id) };
};

/** The one that the request is, whatever is killed meanwhile. */
const accepted = async (key: string): Promise<string> => {
  let id = '';
  const isAccepted = async (): Promise<boolean> => {
    const answer = await requested(key).catch(() => undefined);
    id = answer?.id ?? '';
    return answer?.status === 202;
  };
  await eventually(isAccepted, { timeoutMs: 60_000, what: 'the plan to be accepted' });
  return id;
};

const completed = async (id: string): Promise<void> => {
  await eventually(async () => (await platform.get(`/api/v1/executions/${id}`)).body['status'] === 'completed', { timeoutMs: 120_000, what: 'all tasks to be completed' });
  const { body: detail } = await platform.get(`/api/v1/executions/${id}`);
  expect(detail).toMatchObject({ status: 'completed', tasks: { total: WIDE * DEEP, ended: WIDE * DEEP, failed: 0 } });
};

describe('a plan of 10,000 tasks, 1,000 wide and ten deep', () => {
  it('completes', async () => {
    await completed(await accepted(randomUUID()));
  }, 180_000);

  it('completes, too, where the gateway is killed in the middle of its request, and executor and projector in the middle of its run', async () => {
    const key = randomUUID();
    const seed = readFileSync(seedFile(join(platform.home, 'nats/users'), 'projector'), 'utf8');
    const nats = await connectNats({ url: platform.natsUrl, name: 'test', user: 'projector', credentials: { seed } });
    const log = new JetStreamLog(nats);
    const first = (await log.head()).sequence;
    const lost = requested(key).catch(() => undefined);
    await eventually(async () => (await log.head()).sequence > first, { what: 'its first commit' });
    await platform.killAndAwaitReturn('apps/gateway');
    await lost;
    const id = await accepted(key);
    await platform.killAndAwaitReturn('apps/executor');
    await platform.killAndAwaitReturn('apps/projector');
    await completed(id);
    const ref = { tenant: 'default', execution: id };
    const audit = new Audit('execution');
    const history = await log.history(ref);
    expect([...history.flatMap((stored) => audit.take(stored)), ...audit.end(history[history.length - 1]?.sequence ?? 0)]).toEqual([]);
    const completions = history.flatMap(({ commit }) => commit.events).filter(({ type }) => type === 'TaskCompleted');
    expect(completions).toHaveLength(WIDE * DEEP);
    await nats.close();
  }, 240_000);
});
