import type { Command } from '#libs/execution';
import { OutputStore } from '#libs/jetstream';
import { start, succeed } from '#libs/testing';
import { type Json, type Service, executions, startService } from './service.js';

const plan = { name: 'plan', tasks: [{ id: 'a', runner: 'noop' }, { id: 'b', runner: 'noop', dependsOn: ['a'] }] };

let service: Service;
beforeAll(async () => {
  service = await startService();
}, 30_000);
afterAll(() => service.stop());

const requested = async (more: Json = {}): Promise<{ readonly id: string; readonly sequence: number }> =>
  (await service.post(executions, { plan, ...more })).body as { id: string; sequence: number };

/** The broker's clock has passed what was stored last. */
const nextMillisecond = async (): Promise<void> => {
  for (const from = Date.now(); Date.now() <= from + 1; ) await new Promise(setImmediate);
};

describe('reading one’s own writes', () => {
  it('is answered once the list knows of them, each time', async () => {
    for (let n = 0; n < 20; n++) {
      const { id, sequence } = await requested({ labels: { n: `own-${n}` } });
      const { status, body } = await service.get(`${executions}?label=n=own-${n}&minSeq=${sequence}`);
      expect(status).toBe(200);
      expect(body['executions']).toMatchObject([{ id }]);
      expect(body['asOfSeq']).toBeGreaterThanOrEqual(sequence);
    }
  });

  it('is answered once the counts know of them', async () => {
    const pending = ({ body }: { readonly body: Json }): number =>
      (body['executions'] as { byStatus: { pending: number } }).byStatus.pending;
    const tenant = { 'x-tenant-id': 'counting' };
    for (let n = 1; n <= 10; n++) {
      const { body } = await service.post(executions, { plan }, tenant);
      expect(pending(await service.get(`/api/v1/stats?minSeq=${String(body['sequence'])}`, tenant))).toBe(n);
    }
  });

  it('works for every read of the execution, with the sequence of a request as with that of a command', async () => {
    const { id, sequence } = await requested();
    const self = `${executions}/${id}`;
    expect((await service.get(`${self}?minSeq=${sequence}`)).body).toMatchObject({ status: 'pending' });
    const paused = Number((await service.post(`${self}/pause`)).body['sequence']);
    const { body } = await service.get(`${self}?minSeq=${paused}`);
    expect(body).toMatchObject({ status: 'paused', sequence: paused });
    expect(body['asOfSeq']).toBeGreaterThanOrEqual(paused);
    for (const read of ['/tasks', '/events', '/why', '/output']) {
      expect((await service.get(`${self}${read}?minSeq=${paused}`)).status).toBe(200);
    }
  });

  it('says when to come back where the log has not come to what is asked for', async () => {
    const { id, sequence } = await requested();
    for (const read of ['', '/tasks', '/events', '/why', '/output']) {
      const answer = await service.get(`${executions}/${id}${read}?minSeq=${sequence + 1_000}`);
      expect(answer).toMatchObject({ status: 503, body: { code: 'SEQUENCE_NOT_REACHED' } });
      expect(answer.headers.get('retry-after')).toBe('1');
    }
  });
});

describe('reading as of an earlier sequence', () => {
  it('answers at each of them what was answered then, also after the end', async () => {
    const { id, sequence } = await requested();
    const self = `${executions}/${id}`;
    const reads = ['', '/tasks', '/events', '/why'];
    const at = async (query: string): Promise<Json[]> => Promise.all(reads.map(async (read) => (await service.get(`${self}${read}?${query}`)).body));
    const then = new Map<number, Json[]>();
    const remember = async (known: number): Promise<void> => void then.set(known, await at(`asOf=${known}`));
    await remember(sequence);
    for (const command of [start('a'), succeed('a'), start('b')]) await remember(await service.drive(id, command));
    await remember(Number((await service.post(`${self}/cancel`, { mode: 'graceful' })).body['sequence']));
    const last = await service.drive(id, succeed('b'));
    await remember(last);

    expect([...then.values()].map(([detail]) => detail?.['status'])).toEqual([
      'pending',
      'running',
      'running',
      'running',
      'cancelling',
      'cancelled',
    ]);
    for (const [known, answers] of then) expect(await at(`asOf=${known}`)).toEqual(answers);
    const [detail, tasks, events] = await at(`minSeq=${last}`);
    const [detailThen, tasksThen, eventsThen] = then.get(last) ?? [];
    expect({ ...detail, asOfSeq: 0 }).toEqual({ ...detailThen, asOfSeq: 0 });
    expect(tasks?.['tasks']).toEqual(tasksThen?.['tasks']);
    expect(events).toEqual(eventsThen);
  });

  it('shows what attempts have said of the execution, now and as it was then', async () => {
    const { id } = await requested();
    const say = (key: string, value: string): Command => ({ type: 'RecordMetadata', taskId: 'a', attempt: 1, key, value });
    const then = await service.drive(id, start('a'), say('version', '1'));
    const now = await service.drive(id, say('by', 'ada'), say('version', '2'));
    const metadata = async (query: string): Promise<unknown> => (await service.get(`${executions}/${id}?${query}`)).body['metadata'];
    expect(await metadata(`minSeq=${now}`)).toEqual({ by: 'ada', version: '2' });
    expect(await metadata(`asOf=${now}`)).toEqual({ by: 'ada', version: '2' });
    expect(await metadata(`asOf=${then}`)).toEqual({ version: '1' });
  });

  it('shows the output that was there, by sequence and by time', async () => {
    const { id, sequence } = await requested();
    const [output, store] = [`${executions}/${id}/output`, new OutputStore(service.nats)];
    const piece = (chunk: number, text: string) => ({
      attempt: 1,
      stream: 'stdout' as const,
      chunk,
      time: '2026-11-20T12:00:00.000Z',
      truncated: false,
      bytes: Buffer.from(text),
    });
    const texts = async (query: string): Promise<unknown[]> =>
      ((await service.get(`${output}?${query}`)).body['chunks'] as Json[]).map((chunk) => chunk['text']);
    await nextMillisecond();
    await store.append(service.ref(id), 'a', piece(0, 'first'));
    await nextMillisecond();
    const middle = await service.drive(id, start('a'));
    await nextMillisecond();
    await store.append(service.ref(id), 'a', piece(1, 'second'));
    const between = (await service.log.at(middle))?.storedAt ?? '';

    expect(await texts(`asOf=${sequence}`)).toEqual([]);
    expect(await texts(`asOf=${middle}`)).toEqual(['first']);
    expect(await texts(`asOf=${between}`)).toEqual(['first']);
    expect(await texts(`asOf=${middle}&limit=1`)).toEqual(['first']);
    expect(await texts('')).toEqual(['first', 'second']);
  });

  it('knows no execution before its request, and no future', async () => {
    const { sequence } = await requested();
    const { id } = await requested();
    const beyond = sequence + 1_000;
    for (const read of ['', '/tasks', '/events', '/why', '/output']) {
      const self = `${executions}/${id}${read}`;
      expect(await service.get(`${self}?asOf=${sequence}`)).toMatchObject({ status: 404, body: { code: 'EXECUTION_NOT_FOUND' } });
      expect(await service.get(`${self}?asOf=2026-01-01T00:00:00Z`)).toMatchObject({ status: 404 });
      expect(await service.get(`${self}?asOf=${beyond}`)).toMatchObject({ status: 400, body: { code: 'QUERY_INVALID' } });
      expect(await service.get(`${self}?asOf=2999-01-01T00:00:00Z`)).toMatchObject({ status: 400, body: { code: 'QUERY_INVALID' } });
      expect(await service.get(`${self}?asOf=yesterday`)).toMatchObject({ status: 400, body: { code: 'QUERY_INVALID' } });
    }
  });
});

describe('why an execution waits', () => {
  it('is told with no executor alive, and as of any sequence', async () => {
    const { id, sequence } = await requested();
    const why = `${executions}/${id}/why`;
    const [due] = (await service.get(why)).body['waitsFor'] as Json[];
    expect(due).toMatchObject({ kind: 'executor', task: 'a', since: { sequence } });
    expect(due?.['text']).toContain('no executor is alive');
    const paused = Number((await service.post(`${executions}/${id}/pause`)).body['sequence']);
    expect((await service.get(why)).body).toMatchObject({ status: 'paused', waitsFor: [{ kind: 'resume', since: { sequence: paused } }] });
    expect((await service.get(`${why}?asOf=${sequence}`)).body).toMatchObject({ status: 'pending', asOfSeq: sequence });
  });
});

it('reads go on without the projector, from the log', async () => {
  const { id } = await requested();
  await service.stopProjector();
  expect((await service.get(`${executions}/${id}`)).body).toMatchObject({ id, status: 'pending' });
  expect((await service.get(`${executions}/${id}/tasks`)).body['tasks']).toHaveLength(2);
  await service.startProjector();
}, 20_000);
