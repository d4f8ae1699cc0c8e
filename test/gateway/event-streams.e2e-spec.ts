import { start, succeed } from '#libs/testing';
import { type Json, type Service, executions, startService } from './service.js';
import { EventStreamClient, type Received } from './stream-clients.js';

const plan = { name: 'plan', tasks: [{ id: 'a', runner: 'noop' }, { id: 'b', runner: 'noop', dependsOn: ['a'] }] };

let service: Service;
const clients: EventStreamClient[] = [];
beforeAll(async () => {
  service = await startService();
}, 30_000);
afterEach(() => clients.splice(0).forEach((client) => client.close()));
afterAll(() => service.stop());

const open = async (path: string, headers: Readonly<Record<string, string>> = {}): Promise<EventStreamClient> => {
  const client = await EventStreamClient.open(service.url + path, headers);
  clients.push(client);
  return client;
};

const requested = async (more: Json = {}, headers: Record<string, string> = {}): Promise<string> => String((await service.post(executions, { plan, ...more }, headers)).body['id']);

const finish = (id: string): Promise<number> => service.drive(id, start('a'), succeed('a'), start('b'), succeed('b'));

const committed = async (id: string): Promise<readonly Json[]> => (await service.get(`${executions}/${id}/events?limit=1000`)).body['events'] as Json[];
const positionsOf = (events: readonly Json[]): readonly string[] => events.map(({ position }) => String(position));

describe('the stream of an execution', () => {
  it('begins with what there is, and goes on with every event, each once', async () => {
    const id = await requested();
    const client = await open(`${executions}/${id}/stream`);
    expect([client.status, client.headers['content-type'], client.headers['cache-control']]).toEqual([200, 'text/event-stream; charset=utf-8', 'no-store']);
    await client.until('the snapshot', ({ received }) => received.length === 1);
    const [first] = await committed(id);
    expect(client.received).toMatchObject([{ name: 'snapshot', position: first?.['position'], data: { execution: { id, status: 'pending' }, tasks: [{ id: 'a' }, { id: 'b' }] } }]);
    await finish(id);
    await client.until('the end', ({ types }) => types.includes('ExecutionCompleted'));
    const events = await committed(id);
    expect(positionsOf(client.events)).toEqual(positionsOf(events.slice(1)));
    expect(client.received.slice(1).map(({ position }) => position)).toEqual(positionsOf(client.events));
    expect(client.events.map((event) => event['id'])).toEqual(events.slice(1).map((event) => event['id']));
    expect(client.events[0]).toMatchObject({ specversion: '1.0', execution: id, data: (events[1] as Json)['data'] });
  });

  it('goes on behind the position of who comes back, wherever that is, without a snapshot', async () => {
    const id = await requested();
    await finish(id);
    const all = positionsOf(await committed(id));
    expect(all.length).toBeGreaterThan(5);
    for (const [index, position] of all.slice(0, -1).entries()) {
      const byId = await open(`${executions}/${id}/stream`, { 'last-event-id': position });
      const byQuery = await open(`${executions}/${id}/stream?after=${position}`);
      for (const client of [byId, byQuery]) {
        await client.until('the end', ({ types }) => types.includes('ExecutionCompleted'));
        expect(client.received.map((received) => received.position)).toEqual(all.slice(index + 1));
      }
    }
    const anew = await open(`${executions}/${id}/stream?after=0/0&until=end`, { 'last-event-id': '' });
    await anew.ended();
    expect(positionsOf(anew.events)).toEqual(all);
    // What a browser comes back with is newer than its address.
    const again = await open(`${executions}/${id}/stream?after=0/0`, { 'last-event-id': all[all.length - 2] ?? '' });
    await again.until('the last event', ({ events }) => events.length > 0);
    expect(positionsOf(again.events)).toEqual(all.slice(-1));
  });

  it('ends with the execution where that is asked for, and after so many events', async () => {
    const id = await requested();
    const untilEnd = await open(`${executions}/${id}/stream?until=end`);
    const two = await open(`${executions}/${id}/stream?after=0/0&limit=2`);
    await finish(id);
    await untilEnd.ended();
    await two.ended();
    expect(untilEnd.types.slice(-1)).toEqual(['ExecutionCompleted']);
    expect(two.events).toHaveLength(2);
    const late = await open(`${executions}/${id}/stream?until=end`);
    await late.ended();
    expect(late.received).toMatchObject([{ name: 'snapshot', data: { execution: { status: 'completed' } } }]);
    // To a browser that comes back this says that it need not.
    expect((await open(`${executions}/${id}/stream?until=end`, { 'last-event-id': untilEnd.lastEventId })).status).toBe(204);
  });

  it('is narrowed to types of events, statuses and a task', async () => {
    const id = await requested();
    await finish(id);
    const of = async (query: string): Promise<readonly string[]> => (await (await open(`${executions}/${id}/stream?after=0/0&until=end&${query}`)).until('its end', ({ isEnded }) => isEnded)).types;
    expect(await of('type=TaskStarted,ExecutionStarted')).toEqual(['ExecutionStarted', 'TaskStarted', 'TaskStarted']);
    expect(await of('status=completed&type=TaskCompleted')).toEqual(['TaskCompleted', 'TaskCompleted', 'ExecutionCompleted']);
    expect(await of('task=b')).toEqual(['TaskStarted', 'TaskCompleted']);
  });

  it.each([
    ['after=1', 'QUERY_INVALID'],
    ['after=999999999/0', 'QUERY_INVALID'],
    ['type=Nothing', 'QUERY_INVALID'],
    ['status=done', 'QUERY_INVALID'],
    ['until=1', 'QUERY_INVALID'],
    ['limit=0', 'QUERY_INVALID'],
    ['label=a=b', 'QUERY_INVALID'],
    ['task=a.b', 'QUERY_INVALID'],
    ['asOf=1', 'QUERY_INVALID'],
  ])('is refused for ?%s before it begins', async (query, code) => {
    const id = await requested();
    const client = await open(`${executions}/${id}/stream?${query}`);
    expect([client.status, (await client.problem())['code']]).toEqual([400, code]);
  });

  it('is refused for what is not there, of another tenant, or in a form that is no stream', async () => {
    const id = await requested();
    expect((await open(`${executions}/nobody/stream`)).status).toBe(404);
    expect((await open(`${executions}/${id}/stream`, { 'x-tenant-id': 'other' })).status).toBe(404);
    expect((await open(`${executions}/a.b/stream`)).status).toBe(400);
    expect((await open(`${executions}/${id}/stream`, { accept: 'application/json' })).status).toBe(406);
    expect((await open(`${executions}/${id}/stream`, { 'last-event-id': 'x' })).status).toBe(400);
    expect(await service.post(`${executions}/${id}/stream`)).toMatchObject({ status: 405 });
    expect((await fetch(`${service.url}${executions}/${id}/stream`, { method: 'HEAD' })).status).toBe(200);
  });
});

describe('the stream of a tenant', () => {
  const tenant = { 'x-tenant-id': 'streams' };

  it('shows what was committed right before it was opened, in the snapshot or behind it', async () => {
    for (let n = 0; n < 20; n++) {
      const id = await requested({}, tenant);
      const client = await open('/api/v1/stream', tenant);
      await client.until('the execution', ({ received }) =>
        received.some(({ name, data }) => (name === 'snapshot' ? (data['executions'] as Json[]).some((known) => known['id'] === id) : data['execution'] === id)),
      );
      client.close();
    }
  });

  it('carries the events of all its executions in the order of the log, and of no other tenant', async () => {
    const ids = [await requested({}, { 'x-tenant-id': 'many' }), await requested({}, { 'x-tenant-id': 'many' })];
    const client = await open('/api/v1/stream', { 'x-tenant-id': 'many' });
    await requested({}, { 'x-tenant-id': 'few' });
    ids.push(await requested({}, { 'x-tenant-id': 'many' }));
    for (const id of ids) await service.post(`${executions}/${id}/pause`, undefined, { 'x-tenant-id': 'many' });
    await client.until('all pauses', ({ types }) => types.filter((type) => type === 'ExecutionPaused').length === 3);
    const place = (text: string): number => Number(text.split('/')[0]) * 1_000 + Number(text.split('/')[1]);
    const places = client.received.map(({ position }) => place(position));
    expect(places).toEqual([...new Set(places)].toSorted((a, b) => a - b));
    expect(new Set(client.events.map((event) => event['tenant']))).toEqual(new Set(['many']));
    const again = await open('/api/v1/stream?after=0/0', { 'x-tenant-id': 'many' });
    await again.until('all pauses again', ({ types }) => types.filter((type) => type === 'ExecutionPaused').length === 3);
    expect(again.types.filter((type) => type === 'ExecutionRequested')).toHaveLength(3);
    // From the middle on it is the same as before.
    const middle = client.received[2]?.position ?? '';
    const rest = await open('/api/v1/stream', { 'x-tenant-id': 'many', 'last-event-id': middle });
    await rest.until('the last', ({ lastEventId }) => lastEventId === client.lastEventId);
    expect(rest.received).toEqual(client.received.slice(3));
  });

  it('is narrowed to labels of executions, also of such as were requested before', async () => {
    const [red, blue] = [await requested({ labels: { team: 'red' } }), await requested({ labels: { team: 'blue' } })];
    const client = await open('/api/v1/stream?label=team=red');
    await client.until('the snapshot', ({ received }) => received.length > 0);
    expect(((client.received[0] as Received).data['executions'] as Json[]).map(({ id }) => id)).toEqual([red]);
    await finish(blue);
    await finish(red);
    await client.until('the end', ({ types }) => types.includes('ExecutionCompleted'));
    expect(new Set(client.events.map((event) => event['execution']))).toEqual(new Set([red]));
  });
});
