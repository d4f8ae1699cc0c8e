import { randomUUID } from 'node:crypto';
import { append, derivedId, unborn } from '#libs/ledger';
import { type Answer, type Json, type Service, executions, startService } from './service.js';

let service: Service;
beforeAll(async () => {
  service = await startService();
}, 30_000);
afterAll(() => service.stop());

const tasks = Array.from({ length: 10_000 }, (_, i) => ({ id: `layer-${Math.floor(i / 1_000)}-${i % 1_000}`, runner: 'noop', dependsOn: i < 1_000 ? [] : [`layer-${Math.floor(i / 1_000) - 1}-${i % 1_000}`] }));
const plan = { name: 'large', tasks };
const request = (key: string, headers: Json = {}): Promise<Answer> => service.post(executions, { plan }, { 'idempotency-key': key, ...headers });
const sequenceOf = ({ body }: Answer): string => String(body['sequence']);

describe('a plan of 10,000 tasks, which no commit holds', () => {
  it('is accepted once all of it is stored, and read with all its tasks, from the read model and as of then', async () => {
    const answer = await request(randomUUID());
    expect(answer).toMatchObject({ status: 202, body: { status: 'pending' } });
    const id = String(answer.body['id']);
    const history = await service.log.history(service.ref(id));
    expect(history.length).toBeGreaterThan(2);
    expect(String(history[history.length - 1]?.sequence)).toBe(sequenceOf(answer));
    expect((await service.get(`${executions}/${id}?minSeq=${sequenceOf(answer)}`)).body).toMatchObject({ status: 'pending', tasks: { total: 10_000, ended: 0 } });
    const ids = ({ body }: Answer): unknown[] => (body['tasks'] as Json[]).map((task) => task['id']);
    expect(ids(await service.get(`${executions}/${id}/tasks?minSeq=${sequenceOf(answer)}`))).toEqual(tasks.map((task) => task.id));
    const early = await service.get(`${executions}/${id}/tasks?asOf=${history[0]?.sequence}`);
    const first = history[0]?.commit.events[0];
    expect(ids(early)).toHaveLength(first?.type === 'ExecutionRequested' ? first.data.plan.tasks.length : 0);
  });

  it('of which a crash has stored a part only waits, and is completed by the same request', async () => {
    const key = randomUUID();
    const whole = await service.log.history(service.ref(String((await request(key)).body['id'])));
    const ref = { tenant: 'crashed', execution: derivedId('crashed', key) };
    await append(service.log, unborn(ref), whole[0]?.commit.events ?? []);
    const own = { 'x-tenant-id': 'crashed' };
    const why = await service.get(`${executions}/${ref.execution}/why`, own);
    expect(why.body).toMatchObject({ status: 'pending', total: 1, waitsFor: [{ kind: 'request', task: null, endedBy: [{ kind: 'client', name: 'POST /api/v1/executions' }, { kind: 'time' }] }] });
    const answer = await request(key, own);
    expect(answer).toMatchObject({ status: 202, body: { id: ref.execution, status: 'pending' } });
    const again = await request(key, own);
    expect(again).toMatchObject({ status: 202, body: answer.body });
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    const events = (await service.log.history(ref)).map(({ commit }) => commit.events);
    expect(events).toEqual(whole.map(({ commit }) => commit.events.map((event) => expect.objectContaining({ type: event.type, data: event.data }) as unknown)));
    expect((await service.get(`${executions}/${ref.execution}/why?minSeq=${sequenceOf(answer)}`, own)).body).toMatchObject({ waitsFor: expect.arrayContaining([expect.objectContaining({ kind: 'executor' })]) as unknown });
  });

  it('is one execution, however many send it at once', async () => {
    const key = randomUUID();
    const answers = await Promise.all(Array.from({ length: 5 }, () => request(key)));
    expect(new Set(answers.map(({ status, body }) => `${status} ${JSON.stringify(body)}`)).size).toBe(1);
  }, 30_000);
});

describe('what is too large for any number of commits', () => {
  it.each([
    ['a task', { plan: { name: 'x', tasks: [...tasks.slice(0, 1_000), { id: 'huge', runner: 'noop', input: { result: { pad: 'x'.repeat(262_144) } } }] } }, 413, 'PLAN_TOO_LARGE'],
    ['its input', { plan, input: { pad: 'x'.repeat(262_144) } }, 413, 'PLAN_TOO_LARGE'],
    ['10,001 tasks', { plan: { name: 'x', tasks: [...tasks, { id: 'last', runner: 'noop' }] } }, 400, 'PLAN_INVALID'],
    ['8 MiB', { plan, input: { pad: 'x'.repeat(8 * 1024 * 1024) } }, 413, 'BODY_TOO_LARGE'],
  ])('is refused: %s', async (_, body, status, code) => {
    const { sequence } = await service.log.head();
    expect(await service.post(executions, body)).toMatchObject({ status, body: { code } });
    expect((await service.log.head()).sequence).toBe(sequence);
  });
});
