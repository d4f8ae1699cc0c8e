import type { NewApiKey, Role } from '#libs/access';
import { eventually } from '#libs/testing';
import { Keys } from './keys.js';
import { type Answer, type Json, type Service, executions, startService } from './service.js';

type Headers = Record<string, string>;

let service: Service;
let keys: Keys;
beforeAll(async () => {
  service = await startService({ RUNLEDGER_AUTH_ENABLED: 'true' });
  keys = await Keys.open(service);
}, 30_000);
afterAll(async () => {
  keys.stop();
  await service.stop();
});

const person = (role: Role, more: Partial<NewApiKey> = {}): Promise<Headers> => keys.of(role, { tenant: 'default', ...more });

const ask = async (headers: Headers, input: Json = {}, more: Json = {}): Promise<string> => {
  const plan = { name: 'asking', tasks: [{ id: 'a', runner: 'approval', input: { title: 'Go?', ...input } }, { id: 'b', runner: 'noop', dependsOn: ['a'] }] };
  const { body } = await service.post(executions, { plan, ...more }, headers);
  const id = String(body['id']);
  await service.drive(id, { type: 'StartTask', taskId: 'a', executor: 'one' });
  return id;
};

const respond = (id: string, decision: string, headers: Headers, more: Json = {}): Promise<Answer> =>
  service.post(`${executions}/${id}/clarifications/a/respond`, { decision, ...more }, headers);

const delegate = (id: string, to: string, headers: Headers): Promise<Answer> => service.post(`${executions}/${id}/clarifications/a/delegate`, { to }, headers);

const asked = async (id: string, headers: Headers, query = ''): Promise<Json[]> =>
  (await service.get(`${executions}/${id}/clarifications${query}`, headers)).body['clarifications'] as Json[];

const pendingIds = async (headers: Headers, query = ''): Promise<unknown[]> => {
  const { body } = await service.get(`/api/v1/clarifications${query}`, headers);
  return (body['clarifications'] as Json[]).map(({ execution }) => execution);
};

describe('an answer', () => {
  it('ends what waits for it; list, read, tasks and why say the same before and after', async () => {
    const [admin, ada] = [await person('admin'), await person('approver')];
    const id = await ask(admin, { description: 'really', expiresInMs: 60_000 });
    const { sequence } = (await service.get(`${executions}/${id}`, admin)).body;
    expect(await asked(id, ada, `?minSeq=${String(sequence)}`)).toMatchObject([
      { execution: id, task: 'a', attempt: 1, title: 'Go?', description: 'really', status: 'pending', approvers: [], required: 1, approvals: 0, answers: [], endedAt: null },
    ]);
    expect(await pendingIds(ada, `?minSeq=${String(sequence)}`)).toContain(id);
    expect((await service.get(`${executions}/${id}/tasks`, ada)).body['tasks']).toMatchObject([{ waitsFor: { kind: 'approval', name: 'Go?' } }, {}]);
    expect((await service.get(`${executions}/${id}/why`, ada)).body['waitsFor']).toMatchObject([{ kind: 'approval' }, { kind: 'dependencies' }]);

    const answer = await respond(id, 'approve', ada, { reason: 'tried' });
    expect(answer).toMatchObject({ status: 200, body: { id, status: 'running', changed: true } });
    const after = String(answer.body['sequence']);
    const now = await asked(id, ada, `?minSeq=${after}`);
    expect(now).toMatchObject([{ status: 'approved', approvals: 1, answers: [{ by: expect.stringMatching(/^key:/) as string, decision: 'approve', to: null, reason: 'tried' }] }]);
    expect(await pendingIds(ada, `?minSeq=${after}`)).not.toContain(id);
    expect(await asked(id, ada, `?asOf=${after}`)).toEqual(now);
    expect(await asked(id, ada, `?asOf=${String(sequence)}`)).toMatchObject([{ status: 'pending', answers: [] }]);
    expect((await service.get(`${executions}/${id}/tasks?minSeq=${after}`, ada)).body['tasks']).toMatchObject([{ status: 'completed', waitsFor: null, result: { decision: 'approved' } }, {}]);
  });

  it('is one of a person: again it changes nothing, otherwise it is refused, and a key of somebody else answers for nobody', async () => {
    const [admin, ada, bob] = [await person('admin'), await person('approver', { name: 'ada' }), await person('approver', { name: 'bob' })];
    const id = await ask(admin, { required: 2 });
    const key = { 'idempotency-key': 'one' };
    const first = await respond(id, 'approve', { ...ada, ...key });
    const again = await respond(id, 'approve', { ...ada, ...key });
    expect(again).toMatchObject({ status: 200, body: first.body });
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(await respond(id, 'approve', ada)).toMatchObject({ status: 200, body: { changed: false } });
    expect(await respond(id, 'reject', ada)).toMatchObject({ status: 409, body: { code: 'ALREADY_ANSWERED' } });
    expect(await respond(id, 'approve', { ...bob, ...key })).toMatchObject({ status: 409, body: { code: 'IDEMPOTENCY_KEY_REUSED' } });
    expect(await respond(id, 'reject', bob, { reason: 'no' })).toMatchObject({ status: 200, body: { status: 'failed' } });
    expect((await service.get(`${executions}/${id}`, admin)).body['reason']).toMatchObject({ message: expect.stringMatching(/rejected by key:.*: no/) as string });
    expect(await respond(id, 'approve', admin)).toMatchObject({ status: 403, body: { code: 'SELF_APPROVAL' } });
  });

  it('is for who has the permission, and whom the plan names', async () => {
    const [operator, viewer, ada, admin] = [await person('operator'), await person('viewer'), await person('approver'), await person('admin')];
    const id = await ask(operator, { approvers: ['role:approver'], delegable: true });
    for (const other of [operator, viewer]) expect(await respond(id, 'approve', other)).toMatchObject({ status: 403, body: { code: 'FORBIDDEN' } });
    expect(await respond(id, 'approve', admin)).toMatchObject({ status: 403, body: { code: 'NOT_AN_APPROVER' } });
    expect(await delegate(id, 'user:grace', admin)).toMatchObject({ status: 403, body: { code: 'NOT_AN_APPROVER' } });
    expect(await delegate(id, 'user:grace', ada)).toMatchObject({ status: 200, body: { changed: true } });
    expect(await respond(id, 'approve', ada)).toMatchObject({ status: 403, body: { code: 'NOT_AN_APPROVER' } });
    const { sequence } = (await service.get(`${executions}/${id}`, admin)).body;
    expect(await asked(id, ada, `?minSeq=${String(sequence)}`)).toMatchObject([{ status: 'pending', approvals: 0, answers: [{ decision: null, to: 'user:grace' }] }]);
  });

  it.each<[string, string, unknown, number, string]>([
    ['another decision', 'a/respond', { decision: 'maybe' }, 400, 'BODY_INVALID'],
    ['no body', 'a/respond', undefined, 400, 'BODY_EMPTY'],
    ['a delegation to nobody', 'a/delegate', { to: 'grace' }, 400, 'BODY_INVALID'],
    ['a task that asks nothing', 'b/respond', { decision: 'approve' }, 404, 'CLARIFICATION_NOT_FOUND'],
    ['a delegation that the plan does not allow', 'a/delegate', { to: 'user:grace' }, 409, 'DELEGATION_REFUSED'],
  ])('is refused with %s', async (_, path, body, status, code) => {
    const id = await ask(await person('operator'));
    expect(await service.post(`${executions}/${id}/clarifications/${path}`, body, await person('approver'))).toMatchObject({ status, body: { code } });
  });

  it('is asked for no more when its execution is cancelled', async () => {
    const [operator, ada] = [await person('operator'), await person('approver')];
    const id = await ask(operator);
    const { sequence } = (await service.post(`${executions}/${id}/cancel`, undefined, operator)).body;
    expect(await asked(id, ada, `?minSeq=${String(sequence)}`)).toMatchObject([{ status: 'withdrawn' }]);
    expect(await pendingIds(ada)).not.toContain(id);
    expect(await respond(id, 'approve', ada)).toMatchObject({ status: 409, body: { code: 'CLARIFICATION_CLOSED' } });
  });
});

describe('the list of what waits', () => {
  it('is of the own tenant and workspace, longest first, page by page', async () => {
    const [admin, ada] = [await person('admin', { tenant: 'default' }), await person('approver')];
    const ids = [await ask(admin), await ask(admin, {}, { labels: { workspace: 'red' } }), await ask(admin)];
    const { sequence } = (await service.get(`${executions}/${ids[2] ?? ''}`, admin)).body;
    const all = await pendingIds(ada, `?minSeq=${String(sequence)}&limit=200`);
    expect(all.filter((id) => ids.includes(String(id)))).toEqual(ids);
    const paged: unknown[] = [];
    for (let cursor: string | null = ''; cursor !== null; ) {
      const { body } = await service.get(`/api/v1/clarifications?limit=1${cursor === '' ? '' : `&cursor=${cursor}`}`, ada);
      paged.push(...(body['clarifications'] as Json[]).map(({ execution }) => execution));
      cursor = body['next'] as string | null;
    }
    expect(paged).toEqual(all);
    expect(await pendingIds(await person('approver', { workspaces: ['red'] }))).toEqual([ids[1]]);
    expect(await pendingIds(await person('approver', { tenant: 'other' }))).toEqual([]);
    expect(await service.get('/api/v1/clarifications?cursor=x', ada)).toMatchObject({ status: 400, body: { code: 'CURSOR_INVALID' } });
  });

  it('is the same after a rebuild, row by row', async () => {
    const admin = await person('admin');
    await service.post('/api/v1/projections/status/rebuild', undefined, admin);
    const rebuild = await eventually(
      async () => {
        const { body } = await service.get('/api/v1/projections/status', admin);
        const found = body['rebuild'] as Json;
        return found['endedAt'] !== null && found;
      },
      { what: 'the rebuild to end' },
    );
    expect(rebuild).toMatchObject({ phase: 'done', differs: [] });
  });
});
