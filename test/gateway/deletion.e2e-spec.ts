import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger, readSettings } from '#libs/platform';
import { eventually } from '#libs/testing';
import { startExecutor } from '../../apps/executor/src/executor.js';
import { type Answer, type Service, executions, startService } from './service.js';

let service: Service;
beforeAll(async () => {
  service = await startService();
}, 30_000);
afterAll(() => service.stop());

const plan = { name: 'plan', tasks: [{ id: 'a', runner: 'command', input: { argv: ['true'] } }] };

const requested = async (headers = {}): Promise<string> => String((await service.post(executions, { plan }, headers)).body['id']);

const ended = async (headers = {}): Promise<string> => {
  const id = await requested(headers);
  await service.drive(id, { type: 'StartTask', taskId: 'a', executor: 'e' }, { type: 'RecordOutcome', taskId: 'a', attempt: 1, outcome: { ok: true, result: {} } });
  return id;
};

const reads = ['', '/tasks', '/why', '/events', '/output', '/clarifications'];
const gone = { status: 410, body: { code: 'EXECUTION_DELETED', detail: expect.stringMatching(/deleted at \d{4}-.*Z by anonymous \(done with it\)/) as string } };

/** What every read says, one by one. */
const read = async (id: string, query = ''): Promise<readonly Answer[]> => {
  const answers: Answer[] = [];
  for (const path of reads) answers.push(await service.get(`${executions}/${id}${path}${query}`));
  return answers;
};

describe('DELETE', () => {
  it('deletes what has ended: at once nobody reads it any more, and everybody is told when, by whom and why', async () => {
    const id = await ended();
    const before = (await service.get(`${executions}/${id}`)).body['sequence'];
    const answer = await service.delete(`${executions}/${id}?reason=done+with+it`);
    expect(answer).toMatchObject({ status: 202, body: { id, status: 'completed', changed: true } });
    const minSeq = `minSeq=${String(answer.body['sequence'])}`;
    for (const one of await read(id, `?${minSeq}`)) expect(one).toMatchObject(gone);
    // Also as of before, purged or not.
    for (const one of await read(id, `?asOf=${String(before)}`)) expect(one).toMatchObject(gone);
    const { body } = await service.get(`${executions}?${minSeq}`);
    expect((body['executions'] as { id: string }[]).map((execution) => execution.id)).not.toContain(id);
    for (const verb of ['pause', 'cancel', 'signals/go']) expect(await service.post(`${executions}/${id}/${verb}`)).toMatchObject(gone);
  });

  it('refuses what may still change, and what is not there', async () => {
    const id = await requested();
    expect(await service.delete(`${executions}/${id}`)).toMatchObject({ status: 409, body: { code: 'EXECUTION_NOT_ENDED', detail: expect.stringContaining('cancel it first') as string } });
    expect(await service.delete(`${executions}/nobody`)).toMatchObject({ status: 404, body: { code: 'EXECUTION_NOT_FOUND' } });
    expect(await service.delete(`${executions}/${id}?why=x`)).toMatchObject({ status: 400, body: { code: 'QUERY_INVALID' } });
    expect(await service.delete(`${executions}/${id}?reason=${'x'.repeat(501)}`)).toMatchObject({ status: 400, body: { code: 'QUERY_INVALID' } });
  });

  it('again changes nothing; under its key it is answered as before', async () => {
    const id = await ended();
    const key = { 'idempotency-key': 'delete-1' };
    const first = await service.delete(`${executions}/${id}`, key);
    const again = await service.delete(`${executions}/${id}`, key);
    expect(again).toMatchObject({ status: 202, body: first.body });
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(await service.delete(`${executions}/${id}`)).toMatchObject({ status: 202, body: { ...first.body, changed: false } });
    expect(await service.delete(`${executions}/${id}?reason=other`, key)).toMatchObject({ status: 409, body: { code: 'IDEMPOTENCY_KEY_REUSED' } });
  });

  it.each([false, true])('lets no id be born again: the key of its request says that it is deleted (purged: %s)', async (isPurged) => {
    const key = { 'idempotency-key': `born-${isPurged}` };
    const id = await ended(key);
    const { body } = await service.delete(`${executions}/${id}?reason=done+with+it`);
    if (isPurged) await service.log.purge(service.ref(id), Number(body['sequence']));
    expect(await service.log.history(service.ref(id))).toHaveLength(isPurged ? 1 : 4);
    expect(await service.post(executions, { plan }, key)).toMatchObject(gone);
    expect(await service.post(executions, { plan: { ...plan, name: 'other' } }, key)).toMatchObject(gone);
    expect(await service.log.history(service.ref(id))).toHaveLength(isPurged ? 1 : 4);
  });

  it('answers while the projector is away, from the log alone', async () => {
    const id = await ended();
    await service.stopProjector();
    try {
      expect(await service.delete(`${executions}/${id}?reason=done+with+it`)).toMatchObject({ status: 202 });
      for (const one of await read(id)) expect(one).toMatchObject(gone);
    } finally {
      await service.startProjector();
    }
  });

  it('with an executor, is followed by the removal of all that is left but the tombstone, in log, feed and output', async () => {
    const home = mkdtempSync(join(tmpdir(), 'runledger-deletion-'));
    const stop = await startExecutor(readSettings({ NATS_URL: service.natsUrl, RUNLEDGER_HOME: home, RUNLEDGER_SANDBOX: 'off' }), createLogger('executor', 'silent'));
    try {
      const id = String((await service.post(executions, { plan: { name: 'loud', tasks: [{ id: 'a', runner: 'command', input: { argv: ['echo', 'loud'] } }] } })).body['id']);
      await eventually(async () => (await service.get(`${executions}/${id}`)).body['status'] === 'completed', { what: 'its end', timeoutMs: 15_000 });
      type Subjects = { readonly state: { readonly subjects?: Readonly<Record<string, number>> } };
      const subjects = async (stream: string, filter: string): Promise<Readonly<Record<string, number>>> => {
        const reply = await service.nats.connection.request(`$JS.API.STREAM.INFO.${stream}`, JSON.stringify({ subjects_filter: filter }));
        return reply.json<Subjects>().state.subjects ?? {};
      };
      const left = async () => [await service.log.history(service.ref(id)), await subjects('FEED', `events.*.${id}.>`), await subjects('LOGS', `output.*.${id}.>`)] as const;
      await eventually(async () => Object.keys((await left())[1]).length > 2, { what: 'the feed' });
      expect(Object.keys((await left())[2])).toHaveLength(1);
      await service.delete(`${executions}/${id}`);
      await eventually(async () => (await left())[0].length === 1, { what: 'the purge', timeoutMs: 10_000 });
      const [history, feed, output] = await left();
      expect(history[0]?.commit.events).toMatchObject([{ type: 'ExecutionDeleted', actor: 'anonymous' }]);
      expect(feed).toEqual({ [`events.default.${id}.execution.deleted`]: 1 });
      expect(output).toEqual({});
      expect((await service.get(`${executions}/${id}`)).status).toBe(410);
    } finally {
      await stop();
      rmSync(home, { recursive: true, force: true });
    }
  }, 60_000);
});
