import type { Command } from '#libs/execution';
import { Keys } from './keys.js';
import { type Answer, type Json, type Service, executions, startService } from './service.js';

let service: Service;
let keys: Keys;
let admin: Record<string, string>;
let red: Record<string, string>;
let viewer: Record<string, string>;
beforeAll(async () => {
  service = await startService({ RUNLEDGER_AUTH_ENABLED: 'true', RUNLEDGER_TENANT: 'acme' });
  keys = await Keys.open(service);
  admin = await keys.of('admin');
  red = await keys.of('operator', { workspaces: ['red'] });
  viewer = await keys.of('viewer');
}, 30_000);
afterAll(async () => {
  keys.stop();
  await service.stop();
});

const plan = { name: 'plan', tasks: [{ id: 'a', runner: 'command', input: { argv: ['a'] } }, { id: 'b', runner: 'command', input: { argv: ['b'] }, dependsOn: ['a'] }] };
const start = (taskId: string): Command => ({ type: 'StartTask', taskId, executor: 'one' });
const ended = (taskId: string, ok: boolean): Command => ({
  type: 'RecordOutcome',
  taskId,
  attempt: 1,
  outcome: ok ? { ok, result: { by: taskId } } : { ok, error: { code: 'BROKEN', message: 'it broke', retryable: false } },
});

type Made = { readonly id: string; readonly sequence: number };

/** An execution of which a completed, and then b ended as told; b still runs where nothing is told. */
const executed = async (isWell?: boolean, body: object = {}, headers = admin): Promise<Made> => {
  const id = String((await service.post(executions, { plan, labels: { team: 'x' }, input: { n: 1 }, ...body }, headers)).body['id']);
  const sequence = await service.drive(id, start('a'), ended('a', true), start('b'), ...(isWell === undefined ? [] : [ended('b', isWell)]));
  return { id, sequence };
};

const post = (id: string, verb: string, body?: object, headers = admin): Promise<Answer> => service.post(`${executions}/${id}/${verb}`, body, headers);
const read = async (id: unknown, query = '', headers = admin): Promise<Json> => (await service.get(`${executions}/${String(id)}${query}`, headers)).body;
const tasksOf = async (id: unknown, query = ''): Promise<readonly Json[]> => (await read(id, `/tasks${query}`))['tasks'] as readonly Json[];
const refused = (status: number, code: string): object => ({ status, body: { code } });

describe('a retry', () => {
  it('is a new execution that names its origin, goes on from what ended well, and leaves the origin as it is', async () => {
    const { id, sequence } = await executed(false);
    const before = await read(id, `?minSeq=${sequence}`);
    const retried = await post(id, 'retry');
    const origin = { execution: id, kind: 'retry', sequence };
    expect(retried).toMatchObject({ status: 202, body: { status: 'pending', origin, links: { self: `${executions}/${String(retried.body['id'])}` } } });
    expect(retried.headers.get('location')).toBe(`${executions}/${String(retried.body['id'])}`);
    const at = `minSeq=${String(retried.body['sequence'])}`;
    for (const query of [at, `asOf=${String(retried.body['sequence'])}`]) {
      expect(await read(retried.body['id'], `?${query}`)).toMatchObject({ name: 'plan', labels: { team: 'x' }, input: { n: 1 }, origin: { ...origin, task: null }, tasks: { total: 2, ended: 1, failed: 0 } });
      expect(await tasksOf(retried.body['id'], `?${query}`)).toMatchObject([
        { id: 'a', status: 'completed', result: { by: 'a' }, carriedFrom: id, attempt: 0 },
        { id: 'b', status: 'pending', carriedFrom: null },
      ]);
    }
    const { asOfSeq: _, ...after } = await read(id, `?${at}`);
    const { asOfSeq: __, ...was } = before;
    expect(after).toEqual({ ...was, successors: [{ id: retried.body['id'], kind: 'retry' }] });
    expect((await service.get(`${executions}?origin=${id}&${at}`, admin)).body['executions']).toMatchObject([{ id: retried.body['id'], origin }]);
    await service.drive(String(retried.body['id']), start('b'), ended('b', true));
    expect(await read(retried.body['id'], '/why')).toMatchObject({ status: 'completed' });
  });

  it('takes over more than one commit holds', async () => {
    const tasks = Array.from({ length: 12 }, (_, n) => ({ id: `t${n}`, runner: 'command', input: { argv: ['a'] } }));
    const id = String((await service.post(executions, { plan: { name: 'large', tasks: [...tasks, { ...tasks[0], id: 'z' }] } }, admin)).body['id']);
    const text = 'x'.repeat(30_000);
    const done = tasks.flatMap((task): Command[] => [start(task.id), { type: 'RecordOutcome', taskId: task.id, attempt: 1, outcome: { ok: true, result: { text } } }]);
    await service.drive(id, ...done, start('z'), ended('z', false));
    const headers = { ...admin, 'idempotency-key': 'large-1' };
    const retried = await post(id, 'retry', undefined, headers);
    expect(await read(retried.body['id'], `?minSeq=${String(retried.body['sequence'])}`)).toMatchObject({ status: 'pending', version: 2, tasks: { total: 13, ended: 12 } });
    expect(await post(id, 'retry', undefined, headers)).toMatchObject({ status: 202, body: { id: retried.body['id'] } });
    await service.drive(String(retried.body['id']), start('z'), ended('z', true));
    expect(await read(retried.body['id'], '/why')).toMatchObject({ status: 'completed' });
  });

  it('does again only those of many items that failed', async () => {
    const each = { name: 'each', tasks: [{ id: 'm', runner: 'command', input: { argv: ['a', '{{ item }}'] }, forEach: { items: ['x', 'y', 'z'] } }] };
    const id = String((await service.post(executions, { plan: each }, admin)).body['id']);
    const item = (n: number): readonly Command[] => [start(`m--${n}`), ended(`m--${n}`, n !== 1)];
    await service.drive(id, { type: 'StartTask', taskId: 'm', executor: 'one', items: ['x', 'y', 'z'] }, ...item(0), ...item(1), ...item(2));
    const retried = await post(id, 'retry');
    expect(retried).toMatchObject({ status: 202, body: { status: 'pending' } });
    for (const query of [`minSeq=${String(retried.body['sequence'])}`, `asOf=${String(retried.body['sequence'])}`]) {
      expect(await tasksOf(retried.body['id'], `?${query}`)).toMatchObject([
        { id: 'm', status: 'running', attempt: 1 },
        { id: 'm--0', status: 'completed', result: { by: 'm--0' }, carriedFrom: id },
        { id: 'm--1', status: 'pending', carriedFrom: null },
        { id: 'm--2', status: 'completed', carriedFrom: id },
      ]);
    }
    await service.drive(String(retried.body['id']), start('m--1'), ended('m--1', true));
    expect(await read(retried.body['id'], '/why')).toMatchObject({ status: 'completed' });
  });

  it('is refused before the end, after a good end, of nothing, and with anything in its body', async () => {
    expect(await post((await executed()).id, 'retry')).toMatchObject(refused(409, 'EXECUTION_NOT_ENDED'));
    expect(await post((await executed(true)).id, 'retry')).toMatchObject(refused(409, 'NOTHING_TO_RETRY'));
    expect(await post('nobody', 'retry')).toMatchObject(refused(404, 'EXECUTION_NOT_FOUND'));
    expect(await post('nobody', 'retry', { fromTask: 'a' })).toMatchObject(refused(400, 'BODY_INVALID'));
  });

  it('is made once for each idempotency key, which names nothing else', async () => {
    const [first, second] = [await executed(false), await executed(false)];
    const headers = { ...admin, 'idempotency-key': 'retry-1' };
    const made = await post(first.id, 'retry', undefined, headers);
    const again = await post(first.id, 'retry', undefined, headers);
    expect(again).toMatchObject({ status: 202, body: made.body });
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(await post(second.id, 'retry', undefined, headers)).toMatchObject(refused(409, 'IDEMPOTENCY_KEY_REUSED'));
    expect(await post(first.id, 'rerun', { fromTask: 'a' }, headers)).toMatchObject(refused(409, 'IDEMPOTENCY_KEY_REUSED'));
    expect(await post(first.id, 'fork', {}, headers)).toMatchObject(refused(409, 'IDEMPOTENCY_KEY_REUSED'));
  });
});

describe('a rerun', () => {
  it('from a task runs it and what depends on it anew', async () => {
    const { id } = await executed(true);
    const rerun = await post(id, 'rerun', { fromTask: 'b' });
    expect(rerun).toMatchObject({ status: 202, body: { origin: { kind: 'rerun', task: 'b' } } });
    expect(await tasksOf(rerun.body['id'])).toMatchObject([{ status: 'completed', carriedFrom: id }, { status: 'pending' }]);
    expect(await tasksOf((await post(id, 'rerun', { fromTask: 'a' })).body['id'])).toMatchObject([{ status: 'pending' }, { status: 'pending' }]);
  });

  it.each<[string, object | undefined, number, string]>([
    ['without a task', {}, 400, 'BODY_INVALID'],
    ['without a body', undefined, 400, 'BODY_EMPTY'],
    ['from what is no id', { fromTask: 'a.b' }, 400, 'BODY_INVALID'],
    ['from an unknown task', { fromTask: 'z' }, 404, 'TASK_NOT_FOUND'],
  ])('is refused %s', async (_, body, status, code) => {
    expect(await post((await executed(true)).id, 'rerun', body)).toMatchObject(refused(status, code));
  });
});

describe('a fork', () => {
  it('of an execution under way has another input and other labels, and that one goes on', async () => {
    const { id } = await executed();
    const fork = await post(id, 'fork', { input: { n: 2 }, labels: { team: 'y' } });
    expect(await read(fork.body['id'])).toMatchObject({ input: { n: 2 }, labels: { team: 'y' }, origin: { execution: id, kind: 'fork' } });
    expect(await tasksOf(fork.body['id'])).toMatchObject([{ status: 'completed' }, { status: 'pending' }]);
    await service.drive(id, ended('b', true));
    expect(await read(id, '?minSeq=1')).toMatchObject({ input: { n: 1 } });
  });

  it('at a sequence has what had ended by then', async () => {
    const { id } = await executed(true);
    const events = (await read(id, '/events'))['events'] as { type: string; position: string }[];
    const sequenceOf = (type: string): number => Number(events.find((event) => event.type === type)?.position.split('/')[0]);
    const early = await post(id, 'fork', { atSequence: sequenceOf('TaskStarted') });
    expect(early.body['origin']).toEqual({ execution: id, kind: 'fork', sequence: sequenceOf('TaskStarted') });
    expect(await tasksOf(early.body['id'])).toMatchObject([{ status: 'pending' }, { status: 'pending' }]);
    const late = await post(id, 'fork', { atSequence: sequenceOf('TaskCompleted') });
    expect(await tasksOf(late.body['id'])).toMatchObject([{ status: 'completed' }, { status: 'pending' }]);
    expect(await post(id, 'fork', { atSequence: sequenceOf('ExecutionRequested') - 1 })).toMatchObject(refused(404, 'EXECUTION_NOT_FOUND'));
    expect(await post(id, 'fork', { atSequence: 1_000_000 })).toMatchObject(refused(400, 'QUERY_INVALID'));
    expect((await post(id, 'fork', { atSequence: 1_000_000 })).body['detail']).toMatch(/^log sequence 1000000 is beyond the log's end at \d+; take one from/);
  });

  it('that is sent again under its key takes over the same, whatever has happened since', async () => {
    const { id } = await executed();
    const headers = { ...admin, 'idempotency-key': 'fork-1' };
    const made = await post(id, 'fork', {}, headers);
    await service.drive(id, ended('b', true));
    expect(await post(id, 'fork', {}, headers)).toMatchObject({ status: 202, body: made.body });
    expect(await tasksOf(made.body['id'])).toMatchObject([{ status: 'completed' }, { status: 'pending' }]);
    expect((await post(id, 'fork', {})).body['status']).toBe('completed');
  });

  it.each<[string, object]>([
    ['a sequence that is none', { atSequence: 0 }],
    ['an input that is no object', { input: [] }],
    ['an input that refers to a secret', { input: { a: { $secret: 'b' } } }],
    ['labels that are none', { labels: { team: 1 } }],
    ['an unknown field', { plan: {} }],
  ])('is refused with %s', async (_, body) => {
    expect(await post('nobody', 'fork', body)).toMatchObject(refused(400, 'BODY_INVALID'));
  });
});

describe('who', () => {
  it('may request executions may carry them on, in their workspace, which what comes of it stays in', async () => {
    const mine = await executed(false, { labels: { workspace: 'red' } });
    const other = await executed(false, { labels: { workspace: 'blue' } });
    expect(await post(mine.id, 'retry', undefined, viewer)).toMatchObject(refused(403, 'FORBIDDEN'));
    expect(await post(other.id, 'retry', undefined, red)).toMatchObject(refused(403, 'WORKSPACE_FORBIDDEN'));
    expect(await read((await post(mine.id, 'retry', undefined, red)).body['id'])).toMatchObject({ labels: { workspace: 'red' } });
    expect(await read((await post(mine.id, 'fork', { labels: { a: 'b' } }, red)).body['id'])).toMatchObject({ labels: { a: 'b', workspace: 'red' } });
    for (const headers of [red, admin]) {
      expect(await post(mine.id, 'fork', { labels: { workspace: 'blue' } }, headers)).toMatchObject(refused(403, 'WORKSPACE_FORBIDDEN'));
    }
  });

  it('asked is the actor of the new execution', async () => {
    const { id } = await executed(false);
    const retried = await post(id, 'retry', undefined, admin);
    const [requested, carried] = (await read(retried.body['id'], '/events'))['events'] as Json[];
    expect(requested).toMatchObject({ type: 'ExecutionRequested', actor: carried?.['actor'] });
    expect(requested?.['actor']).toMatch(/^key:/);
    expect(carried).toMatchObject({ type: 'TaskCarriedOver', data: { taskId: 'a', from: id, attempt: 1 } });
  });
});
