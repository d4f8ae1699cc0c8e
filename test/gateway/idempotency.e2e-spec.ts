import { randomUUID } from 'node:crypto';
import { type Answer, type Service, executions, startService } from './service.js';

const plan = { name: 'plan', tasks: [{ id: 'a', runner: 'noop' }] };
const many = 200;

let service: Service;
beforeAll(async () => {
  service = await startService();
}, 30_000);
afterAll(() => service.stop());

const request = (key: string, body: unknown = { plan }, headers: Record<string, string> = {}): Promise<Answer> =>
  service.post(executions, body, { 'idempotency-key': key, ...headers });
const command = (id: string, verb: string, key: string, body?: unknown): Promise<Answer> =>
  service.post(`${executions}/${id}/${verb}`, body, { 'idempotency-key': key });
const idOf = ({ body }: Answer): string => String(body['id']);
const isReplayed = ({ headers }: Answer): boolean => headers.get('idempotency-replayed') === 'true';
const typesOf = async (id: string): Promise<string[]> =>
  (await service.log.history(service.ref(id))).flatMap(({ commit }) => commit.events.map(({ type }) => type));

describe('a request with a key', () => {
  it('is one execution, however often and from wherever it comes', async () => {
    const key = randomUUID();
    const answers = await Promise.all(Array.from({ length: many }, () => request(key)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
    expect(new Set(answers.map(({ body }) => JSON.stringify(body))).size).toBe(1);
    expect(new Set(answers.map(({ headers }) => headers.get('location'))).size).toBe(1);
    expect(answers.filter((answer) => !isReplayed(answer))).toHaveLength(1);
    const [first] = answers;
    const id = idOf(first as Answer);
    expect(await service.log.history(service.ref(id))).toHaveLength(1);
    const { body: list } = await service.get(`${executions}?limit=1000&minSeq=${String(first?.body['sequence'])}`);
    expect((list['executions'] as { id: string }[]).filter((execution) => execution.id === id)).toHaveLength(1);
  });

  it('gets the answer it got, whatever the execution has come to since', async () => {
    const key = randomUUID();
    const first = await request(key);
    await service.post(`${executions}/${idOf(first)}/cancel`);
    const again = await request(key);
    expect(again).toMatchObject({ status: 202, body: first.body });
    expect(isReplayed(again)).toBe(true);
    expect(isReplayed(first)).toBe(false);
  });

  it('is the same in whatever order its members come, and with quotes around its key', async () => {
    const key = randomUUID();
    const first = await request(key, { name: 'n', labels: { a: '1', b: '2' }, plan });
    const again = await request(`"${key}"`, { plan: { tasks: plan.tasks, name: plan.name }, labels: { b: '2', a: '1' }, name: 'n' });
    expect(again).toMatchObject({ status: 202, body: first.body });
  });

  it('is refused with another body, and stays what it was', async () => {
    const key = randomUUID();
    const first = await request(key);
    expect(await request(key, { plan, name: 'other' })).toMatchObject({ status: 409, body: { code: 'IDEMPOTENCY_KEY_REUSED' } });
    expect(await request(key)).toMatchObject({ status: 202, body: first.body });
  });

  it("is another one than another tenant's with the same key", async () => {
    const key = randomUUID();
    const [one, other] = [await request(key), await request(key, { plan, name: 'other' }, { 'x-tenant-id': 'other' })];
    expect(other.status).toBe(202);
    expect(idOf(other)).not.toBe(idOf(one));
  });

  it('that was refused is checked anew', async () => {
    const key = randomUUID();
    expect(await request(key, { plan: {} })).toMatchObject({ status: 400, body: { code: 'PLAN_INVALID' } });
    expect(await request(key)).toMatchObject({ status: 202 });
  });
});

describe('a command with a key', () => {
  const requested = async (): Promise<string> => idOf(await service.post(executions, { plan }));

  it('is applied once, although it would be allowed again', async () => {
    const id = await requested();
    const first = await command(id, 'pause', 'k1', { reason: 'lunch' });
    expect(first).toMatchObject({ status: 200, body: { status: 'paused', changed: true } });
    await command(id, 'resume', 'k2');
    const again = await command(id, 'pause', 'k1', { reason: 'lunch' });
    expect(again).toMatchObject({ status: 200, body: first.body });
    expect(isReplayed(again)).toBe(true);
    expect(await typesOf(id)).toEqual(['ExecutionRequested', 'ExecutionPaused', 'ExecutionResumed']);
  });

  it('that found nothing to do is remembered too: it does nothing later either', async () => {
    const id = await requested();
    const first = await command(id, 'resume', 'k1');
    expect(first).toMatchObject({ status: 200, body: { status: 'pending', changed: false } });
    await command(id, 'pause', 'k2');
    expect(await command(id, 'resume', 'k1')).toMatchObject({ status: 200, body: first.body });
    expect((await service.get(`${executions}/${id}?minSeq=3`)).body['status']).toBe('paused');
    expect(await typesOf(id)).toEqual(['ExecutionRequested', 'ExecutionCommandSatisfied', 'ExecutionPaused']);
  });

  it('is refused with another body, or another verb, under the same key', async () => {
    const id = await requested();
    await command(id, 'pause', 'k1');
    const reused = { status: 409, body: { code: 'IDEMPOTENCY_KEY_REUSED' } };
    expect(await command(id, 'pause', 'k1', { reason: 'another' })).toMatchObject(reused);
    expect(await command(id, 'resume', 'k1')).toMatchObject(reused);
    expect(await command(id, 'cancel', 'k1')).toMatchObject(reused);
  });

  it('may come many times at once: versions stay contiguous, each key has one winner', async () => {
    const id = await requested();
    const verbs = ['pause', 'resume'];
    const answers = await Promise.all(Array.from({ length: many }, (_, i) => command(id, verbs[i % 2] ?? '', `k${i % 50}`)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(answers.filter((answer) => !isReplayed(answer))).toHaveLength(50);
    const history = await service.log.history(service.ref(id));
    expect(history.map(({ commit }) => commit.version)).toEqual(history.map((_, i) => i + 1));
    expect(history).toHaveLength(1 + 50);
  });

  it('that cancels what is cancelled leaves no trace behind the end', async () => {
    const id = await requested();
    const first = await command(id, 'cancel', 'k1');
    expect(await command(id, 'cancel', 'k1')).toMatchObject({ status: 200, body: first.body });
    expect(await command(id, 'cancel', 'k2')).toMatchObject({ status: 200, body: { status: 'cancelled', changed: false } });
    expect((await typesOf(id)).filter((type) => type === 'ExecutionCommandSatisfied')).toEqual([]);
  });
});

it.each(['', 'a b', 'ä', 'x'.repeat(256), '""'])('refuses %j as a key', async (key) => {
  const invalid = { status: 400, body: { code: 'IDEMPOTENCY_KEY_INVALID' } };
  const encoded = Buffer.from(key).toString('latin1');
  expect(await request(encoded)).toMatchObject(invalid);
});

it('lets 200 unnamed commands race on one execution: versions stay contiguous, one of each kind wins at a time', async () => {
  const id = idOf(await service.post(executions, { plan }));
  const verbs = ['pause', 'resume', 'pause', 'cancel'];
  const answers = await Promise.all(Array.from({ length: many }, (_, i) => service.post(`${executions}/${id}/${verbs[i % 4] ?? ''}`)));
  expect(answers.every(({ status }) => status === 200 || status === 409)).toBe(true);
  const history = await service.log.history(service.ref(id));
  expect(history.map(({ commit }) => commit.version)).toEqual(history.map((_, i) => i + 1));
  const winners = answers.filter(({ body }) => body['changed'] === true).map(({ body }) => body['sequence']);
  expect(winners).toHaveLength(history.length - 1);
  expect(new Set(winners)).toEqual(new Set(history.slice(1).map(({ sequence }) => sequence)));
  expect(history.filter(({ commit }) => commit.events.some(({ type }) => type === 'ExecutionCancelled'))).toHaveLength(1);
});
