import { eventually } from '#libs/testing';
import { type Json, type Service, executions, startService } from './service.js';
import { EventStreamClient, type Received, WebSocketClient } from './stream-clients.js';

const plan = { name: 'plan', tasks: [{ id: 'a', runner: 'noop' }] };

let service: Service;
beforeAll(async () => {
  service = await startService();
}, 30_000);
afterAll(() => service.stop());

const requested = async (url = service.url): Promise<string> => {
  const answer = await fetch(url + executions, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ plan }) });
  return String(((await answer.json()) as Json)['id']);
};

/** As a limit of stream FEED would: all but the newest events of the feed are gone. */
const discardAllBut = async (count: number): Promise<void> => {
  const answer = await service.nats.connection.request('$JS.API.STREAM.PURGE.FEED', JSON.stringify({ keep: count }));
  expect(answer.json()).toMatchObject({ success: true });
};

describe('a position that the feed does not reach back to', () => {
  it('is refused with what to do, over both kinds of stream; a snapshot comes first then, and what follows it has no gap', async () => {
    const client = await EventStreamClient.open(`${service.url}/api/v1/stream?after=0/0`);
    for (let n = 0; n < 6; n++) await requested();
    await client.until('all six', ({ events }) => events.length === 6);
    const positions = client.events.map(({ position }) => String(position));
    client.close();
    await discardAllBut(3);
    // The first gateway has them still: a position is as good there as it was.
    const still = await EventStreamClient.open(`${service.url}/api/v1/stream?after=${positions[0]}`);
    await still.until('the other five', ({ events }) => events.length === 5);
    still.close();

    const { url, stop } = await service.startGatewayAt({});
    try {
      const late = await EventStreamClient.open(`${url}/api/v1/stream`, { 'last-event-id': positions[0] ?? '' });
      expect([late.status, await late.problem()]).toEqual([410, expect.objectContaining({ code: 'CURSOR_EXPIRED', detail: expect.stringContaining('leave the position out: a snapshot comes first') as string })]);
      expect((await WebSocketClient.open(`${url}/api/v1/stream?after=${positions[1]}`)).refused).toMatchObject({ status: 410, problem: { code: 'CURSOR_EXPIRED' } });
      const known = await EventStreamClient.open(`${url}/api/v1/stream?after=${positions[3]}`);
      await known.until('the last two', ({ events }) => events.length === 2);
      known.close();

      const anew = await EventStreamClient.open(`${url}/api/v1/stream`);
      await anew.until('the snapshot', ({ received }) => received.length > 0);
      const listed = (anew.received[0] as Received).data['executions'] as Json[];
      expect(listed).toHaveLength(6);
      const id = await requested(url);
      await anew.until('the next', ({ events }) => events.length === 1);
      expect(anew.events.map(({ execution }) => execution)).toEqual([id]);
      anew.close();
      // Of one execution the log knows all.
      const one = await EventStreamClient.open(`${url}${executions}/${String(listed[5]?.['id'])}/stream?after=0/0`);
      await one.until('its event', ({ types }) => types.includes('ExecutionRequested'));
      one.close();
    } finally {
      await stop();
    }
  }, 30_000);

  it('is refused where it is of another log, which goes further', async () => {
    const client = await EventStreamClient.open(`${service.url}/api/v1/stream?after=4000000/0`);
    expect([client.status, await client.problem()]).toEqual([400, expect.objectContaining({ code: 'QUERY_INVALID', detail: expect.stringContaining('leave it out to begin with a snapshot') as string })]);
  });
});

it('goes on where somebody else has published to the feed', async () => {
  const client = await EventStreamClient.open(`${service.url}/api/v1/stream`);
  await client.until('the snapshot', ({ received }) => received.length > 0);
  const before = await requested();
  await client.until('the first', ({ events }) => events.length === 1);
  await service.nats.connection.request('events.default.x.foreign.message', '<no event>');
  const ids = [before];
  for (let n = 0; n < 3; n++) ids.push(await requested());
  await client.until('the others', ({ events }) => events.length === 4);
  expect(client.events.map(({ execution }) => execution)).toEqual(ids);
  client.close();
  await eventually(async () => (await WebSocketClient.open(`${service.url}/api/v1/stream`)).refused === undefined, { what: 'a stream to be opened' });
});
