import { type Service, executions, startService } from './service.js';

let service: Service;
beforeAll(async () => {
  service = await startService();
}, 30_000);
afterAll(() => service.stop());

const waiting = { id: 'a', runner: 'signal', input: { name: 'go' } };

/** An execution whose first task waits for signal `go`. */
const listening = async (...more: object[]): Promise<string> => {
  const { body } = await service.post(executions, { plan: { name: 'waiting', tasks: [waiting, ...more] } });
  const id = String(body['id']);
  await service.drive(id, { type: 'StartTask', taskId: 'a', executor: 'one' });
  return id;
};

const send = (id: string, name: string, body?: unknown, headers = {}): ReturnType<Service['post']> => service.post(`${executions}/${id}/signals/${name}`, body, headers);

describe('a signal', () => {
  it('ends the task that waits for it, and with the last task the execution, in one commit', async () => {
    const id = await listening();
    const sent = await send(id, 'go', { payload: { n: 1 } }, { 'x-correlation-id': 'mine' });
    expect(sent).toMatchObject({ status: 200, body: { id, status: 'completed', changed: true } });
    const { body } = await service.get(`${executions}/${id}/tasks?minSeq=${String(sent.body['sequence'])}`);
    expect(body['tasks']).toMatchObject([{ status: 'completed', waitsFor: null, result: { payload: { n: 1 }, by: 'anonymous' } }]);
    const { body: page } = await service.get(`${executions}/${id}/events`);
    const events = page['events'] as { id: string; type: string; actor: string; correlationId: string }[];
    expect(events.slice(-3)).toMatchObject([
      { id: `${id}/3/0`, type: 'SignalReceived', actor: 'anonymous', correlationId: 'mine' },
      { id: `${id}/3/1`, type: 'TaskCompleted' },
      { id: `${id}/3/2`, type: 'ExecutionCompleted' },
    ]);
    expect(await send(id, 'go')).toMatchObject({ status: 409, body: { code: 'EXECUTION_TERMINAL' } });
  });

  it('is what its task waits for until then, as every read says', async () => {
    const id = await listening();
    const { sequence } = (await send(id, 'other')).body;
    for (const query of [`minSeq=${String(sequence)}`, `asOf=${String(sequence)}`]) {
      const { body } = await service.get(`${executions}/${id}/tasks?${query}`);
      expect(body['tasks']).toMatchObject([{ status: 'running', waitsFor: { kind: 'signal', name: 'go' } }]);
    }
    const { body: why } = await service.get(`${executions}/${id}/why`);
    expect(why['waitsFor']).toMatchObject([{ kind: 'signal', endedBy: [{ kind: 'client', name: `POST ${executions}/${id}/signals/go` }, {}] }]);
  });

  it('counts once under its key, whatever its name, and as often as it comes without one', async () => {
    const id = await listening({ id: 'b', runner: 'noop' });
    const key = { 'idempotency-key': 's1' };
    const first = await send(id, 'stray', {}, key);
    const again = await send(id, 'stray', {}, key);
    expect(again).toMatchObject({ status: 200, body: first.body });
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(await send(id, 'other', {}, key)).toMatchObject({ status: 409, body: { code: 'IDEMPOTENCY_KEY_REUSED' } });
    expect(await send(id, 'stray', { payload: { n: 1 } }, key)).toMatchObject({ status: 409, body: { code: 'IDEMPOTENCY_KEY_REUSED' } });
    await Promise.all(Array.from({ length: 99 }, () => send(id, 'stray')));
    expect(await send(id, 'go')).toMatchObject({ status: 409, body: { code: 'SIGNALS_FULL' } });
  }, 30_000);

  it.each<[string, string, unknown, string]>([
    ['a name that is none', 'a.b', {}, 'ID_INVALID'],
    ['a payload that is no object', 'go', { payload: [] }, 'BODY_INVALID'],
    ['a payload that is too large', 'go', { payload: { a: 'x'.repeat(16_384) } }, 'BODY_INVALID'],
    ['a payload that refers to a secret', 'go', { payload: { a: { $secret: 'b' } } }, 'BODY_INVALID'],
    ['an unknown field', 'go', { data: {} }, 'BODY_INVALID'],
  ])('is refused with %s', async (_, name, body, code) => {
    expect(await send('nobody', name, body)).toMatchObject({ status: 400, body: { code } });
    expect(await send('nobody', 'go')).toMatchObject({ status: 404, body: { code: 'EXECUTION_NOT_FOUND' } });
  });
});
