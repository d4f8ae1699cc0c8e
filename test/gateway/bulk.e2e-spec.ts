import { Keys } from './keys.js';
import { type Answer, type Json, type Service, executions, startService } from './service.js';

let service: Service;
let keys: Keys;
let admin: Record<string, string>;
let stranger: Record<string, string>;
let red: Record<string, string>;
beforeAll(async () => {
  service = await startService({ RUNLEDGER_AUTH_ENABLED: 'true', RUNLEDGER_TENANT: 'acme' });
  keys = await Keys.open(service);
  admin = await keys.of('admin');
  stranger = await keys.of('admin', { tenant: 'other' });
  red = await keys.of('operator', { workspaces: ['red'] });
}, 30_000);
afterAll(async () => {
  keys.stop();
  await service.stop();
});

const plan = { name: 'plan', tasks: [{ id: 'a', runner: 'command', input: { argv: ['a'] } }] };

/** Log sequence of the last of so many executions. */
const requested = async (n: number, body: object, headers = admin): Promise<number> => {
  let sequence = 0;
  for (let i = 0; i < n; i++) sequence = Number((await service.post(executions, { plan, ...body }, headers)).body['sequence']);
  return sequence;
};
/** Once the read model knows of what was requested. */
const bulk = async (action: string, body: object | undefined, sequence = 0, headers = admin): Promise<Answer> => {
  await service.get(`${executions}?minSeq=${sequence}&limit=1`, admin);
  return await service.post(`/api/v1/bulk/${action}`, body, headers);
};
const inputOf = async (id: unknown, headers = admin): Promise<Json> => {
  const { body } = await service.get(`${executions}/${String(id)}/events`, headers);
  const [{ data }] = body['events'] as [{ data: { plan: { tasks: [{ runner: string; input: Json }] } } }];
  expect(data.plan.tasks).toMatchObject([{ runner: 'bulk' }]);
  return data.plan.tasks[0].input;
};

describe('a dry run', () => {
  it('counts what fits, shows the newest, and changes nothing', async () => {
    const sequence = await requested(7, { labels: { team: 'dry' } });
    const total = (await service.get(`${executions}?limit=1000&minSeq=${sequence}`, admin)).body['executions'] as Json[];
    const counted = await bulk('cancel', { filter: { labels: { team: 'dry' } }, dryRun: true }, sequence);
    expect(counted).toMatchObject({ status: 200, body: { dryRun: true, matched: 7, byStatus: { pending: 7 } } });
    expect((counted.body['examples'] as Json[]).map(({ id }) => id)).toEqual(total.slice(0, 5).map(({ id }) => id));
    expect((await service.get(`${executions}?limit=1000`, admin)).body['executions']).toHaveLength(total.length);
  });

  it('knows what each action is for: what can be paused can not be resumed or retried', async () => {
    const filter = { labels: { team: 'acts' } };
    const sequence = await requested(2, filter);
    const failed = String((await service.post(executions, { plan, ...filter }, admin)).body['id']);
    const outcome = { ok: false, error: { code: 'BROKEN', message: 'it broke', retryable: false } } as const;
    const ended = await service.drive(failed, { type: 'StartTask', taskId: 'a', executor: 'e' }, { type: 'RecordOutcome', taskId: 'a', attempt: 1, outcome });
    const matched = async (action: string, more: object = {}): Promise<unknown> => (await bulk(action, { filter: { ...filter, ...more }, dryRun: true }, ended)).body['matched'];
    expect([await matched('pause'), await matched('cancel'), await matched('resume'), await matched('retry')]).toEqual([2, 2, 0, 1]);
    expect(await matched('retry', { status: ['failed', 'cancelled'] })).toBe(1);
    expect(await matched('pause', { until: '2020-01-01T00:00:00Z' })).toBe(0);
    // What is carried on is left to that.
    const { body } = await service.post(`${executions}/${failed}/retry`, undefined, admin);
    expect((await bulk('retry', { filter, dryRun: true }, Number(body['sequence']))).body['matched']).toBe(0);
    expect(sequence).toBeLessThan(ended);
  });

  it('reaches no other tenant and no other workspace', async () => {
    const sequence = await requested(3, { labels: { team: 'mine', workspace: 'red' } });
    const last = Math.max(sequence, await requested(2, { labels: { team: 'mine', workspace: 'blue' } }));
    const dry = { filter: { labels: { team: 'mine' } }, dryRun: true };
    expect((await bulk('cancel', dry, last)).body['matched']).toBe(5);
    expect((await bulk('cancel', dry, last, red)).body['matched']).toBe(3);
    expect((await bulk('cancel', dry, last, stranger)).body).toMatchObject({ matched: 0, examples: [] });
    expect(await bulk('cancel', { ...dry, filter: { labels: { workspace: 'blue' } } }, last, red)).toMatchObject({ status: 403, body: { code: 'WORKSPACE_FORBIDDEN' } });
  });

  it('shows examples to those alone who may read executions', async () => {
    const blind = await keys.of('admin', { scopes: ['executions.control'] });
    const answer = await bulk('cancel', { filter: { status: ['pending'] }, dryRun: true }, 0, blind);
    expect(answer).toMatchObject({ status: 200, body: { matched: expect.any(Number) as number } });
    expect(answer.body['examples']).toBe(undefined);
  });
});

describe('a bulk operation', () => {
  it('is an execution whose one task holds what was asked for, by whom, and in which workspace', async () => {
    const answer = await bulk('cancel', { filter: { status: ['pending'], labels: { team: 'x' } }, reason: 'enough', mode: 'graceful', ratePerSecond: 7 }, 0, { ...red, 'x-correlation-id': 'mine' });
    expect(answer).toMatchObject({ status: 202, body: { status: 'pending', links: {} } });
    expect(answer.headers.get('location')).toBe(`${executions}/${String(answer.body['id'])}`);
    const detail = (await service.get(String(answer.headers.get('location')), red)).body;
    expect(detail).toMatchObject({ name: 'bulk cancel', labels: { workspace: 'red' }, tasks: { total: 1 } });
    const input = await inputOf(answer.body['id'], red);
    expect(input).toMatchObject({
      action: 'cancel',
      filter: { status: ['pending'], labels: { team: 'x', workspace: 'red' } },
      mode: 'graceful',
      reason: 'enough',
      ratePerSecond: 7,
      actor: expect.stringMatching(/^key:/) as string,
      correlationId: 'mine',
    });
    expect((input['filter'] as Json)['until'] as string <= String(detail['requestedAt'])).toBe(true);
  });

  it('is made once for each idempotency key', async () => {
    const headers = { ...admin, 'idempotency-key': 'bulk-1' };
    const body = { filter: { status: ['paused'] } };
    const first = await bulk('resume', body, 0, headers);
    const again = await bulk('resume', body, 0, headers);
    expect(again).toMatchObject({ status: 202, body: first.body });
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(await bulk('cancel', body, 0, headers)).toMatchObject({ status: 409, body: { code: 'IDEMPOTENCY_KEY_REUSED' } });
  });

  it('needs the permission of its action', async () => {
    const filter = { status: ['failed'] };
    const controls = await keys.of('admin', { scopes: ['executions.control'] });
    const requests = await keys.of('admin', { scopes: ['executions.request'] });
    expect(await bulk('retry', { filter }, 0, controls)).toMatchObject({ status: 403, body: { code: 'FORBIDDEN' } });
    expect(await bulk('retry', { filter }, 0, requests)).toMatchObject({ status: 202 });
    expect(await bulk('delete', { filter }, 0, controls)).toMatchObject({ status: 403, body: { code: 'FORBIDDEN' } });
    expect(await bulk('delete', { filter: { status: ['running'] } })).toMatchObject({ status: 400, body: { code: 'BODY_INVALID' } });
    expect(await bulk('delete', { filter, reason: 'old' })).toMatchObject({ status: 202 });
    expect(await bulk('cancel', { filter: { status: ['running'] } }, 0, requests)).toMatchObject({ status: 403, body: { code: 'FORBIDDEN' } });
  });

  it('is not carried on by another execution, nor part of a plan', async () => {
    const id = String((await bulk('cancel', { filter: { status: ['paused'] } })).body['id']);
    await service.post(`${executions}/${id}/cancel`, undefined, admin);
    for (const [verb, body] of [['retry', undefined], ['rerun', { fromTask: 'bulk' }], ['fork', {}]] as const) {
      expect(await service.post(`${executions}/${id}/${verb}`, body, admin)).toMatchObject({ status: 409, body: { code: 'BULK_NOT_CARRIED_ON' } });
    }
    const input = await inputOf(id);
    expect(await service.post(executions, { plan: { name: 'p', tasks: [{ id: 'bulk', runner: 'bulk', input }] } }, admin)).toMatchObject({ status: 400, body: { code: 'PLAN_INVALID' } });
  });

  it.each<[string, string, object | undefined, string]>([
    ['nothing said', 'cancel', undefined, 'BODY_EMPTY'],
    ['no filter', 'cancel', {}, 'BODY_INVALID'],
    ['a filter that names nothing', 'cancel', { filter: {} }, 'BODY_INVALID'],
    ['an unknown filter', 'cancel', { filter: { tenant: 'other' } }, 'BODY_INVALID'],
    ['a status that nobody cancels', 'cancel', { filter: { status: ['completed'] } }, 'BODY_INVALID'],
    ['a time that is none', 'cancel', { filter: { from: 'yesterday' } }, 'BODY_INVALID'],
    ['labels that are none', 'cancel', { filter: { labels: [] } }, 'BODY_INVALID'],
    ['a name that is none', 'cancel', { filter: { name: 1 } }, 'BODY_INVALID'],
    ['an origin that is none', 'cancel', { filter: { origin: 'a.b' } }, 'BODY_INVALID'],
    ['no pace', 'cancel', { filter: { name: 'x' }, ratePerSecond: 0 }, 'BODY_INVALID'],
    ['a mode of pausing', 'pause', { filter: { name: 'x' }, mode: 'graceful' }, 'BODY_INVALID'],
    ['a dry run that is none', 'pause', { filter: { name: 'x' }, dryRun: 'no' }, 'BODY_INVALID'],
  ])('is refused with %s', async (_, action, body, code) => {
    expect(await bulk(action, body)).toMatchObject({ status: 400, body: { code } });
  });

  it('says where a filter that names nothing stands', async () => {
    expect(await bulk('cancel', { filter: {} })).toMatchObject({ body: { problems: [{ path: '/filter' }] } });
  });
});
