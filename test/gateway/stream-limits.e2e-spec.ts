import { eventually } from '#libs/testing';
import { type Service, startService } from './service.js';
import { EventStreamClient, WebSocketClient } from './stream-clients.js';

const MOST = 3;

let service: Service;
beforeAll(async () => {
  service = await startService({ RUNLEDGER_STREAMS: String(MOST) });
}, 30_000);
afterAll(() => service.stop());

describe('streams that are opened all at once', () => {
  it('are as many as may be; the others are refused, and have room once somebody goes', async () => {
    const url = `${service.url}/api/v1/stream`;
    const clients = await Promise.all(Array.from({ length: 12 }, () => EventStreamClient.open(url)));
    const open = clients.filter(({ status }) => status === 200);
    expect(open).toHaveLength(MOST);
    for (const client of clients.filter((each) => !open.includes(each))) {
      expect([client.status, await client.problem()]).toEqual([503, expect.objectContaining({ code: 'STREAMS_FULL' })]);
    }
    expect((await WebSocketClient.open(url)).refused).toMatchObject({ status: 503, problem: { code: 'STREAMS_FULL' } });

    for (const client of open) client.close();
    const again: WebSocketClient[] = [];
    await eventually(async () => {
      const client = await WebSocketClient.open(url);
      if (!client.refused) again.push(client);
      return again.length === MOST;
    }, { what: 'room for others' });
    for (const client of again) client.close();
  });

  it('leave their room where they are refused for something else', async () => {
    for (let count = 0; count <= MOST; count += 1) {
      expect((await EventStreamClient.open(`${service.url}/api/v1/stream?after=999999/0`)).status).toBe(400);
    }
  });
});
