import { connect } from 'node:net';
import { setImmediate as othersTurn } from 'node:timers/promises';
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

  it('leave their room where a web page from elsewhere asks for them, whatever it accepts, and as an image', async () => {
    const { body } = await service.post('/api/v1/executions', { plan: { name: 'plan', tasks: [{ id: 'a', runner: 'noop' }] } });
    const one = `${service.url}/api/v1/executions/${String(body['id'])}`;
    const asked = [{ origin: 'https://elsewhere.example', accept: '*/*' }, { 'sec-fetch-site': 'cross-site', 'sec-fetch-dest': 'image', accept: 'image/*,*/*;q=0.8' }];
    for (const path of [`${service.url}/api/v1/stream`, `${one}/stream`, `${one}/output/lines?follow=true`]) {
      for (const headers of asked) {
        const clients = await Promise.all(Array.from({ length: MOST + 1 }, () => EventStreamClient.open(path, headers)));
        for (const client of clients) expect([client.status, await client.problem()]).toEqual([403, expect.objectContaining({ code: 'ORIGIN_NOT_ALLOWED' })]);
      }
      const own = await Promise.all(Array.from({ length: MOST }, () => EventStreamClient.open(path, { accept: '*/*', origin: 'http://localhost:3000' })));
      expect(own.map(({ status }) => status)).toEqual(own.map(() => 200));
      for (const client of own) client.close();
      await eventually(async () => {
        const client = await EventStreamClient.open(path);
        client.close();
        return client.status === 200;
      }, { what: 'room again' });
    }
  });

  it('leave their room where who asked is gone before the answer', async () => {
    const { body } = await service.post('/api/v1/executions', { plan: { name: 'plan', tasks: [{ id: 'a', runner: 'noop' }] } });
    const one = `/api/v1/executions/${String(body['id'])}`;
    for (const path of ['/api/v1/stream', `${one}/stream`, `${one}/output/lines?follow=true`]) {
      await Promise.all(
        Array.from({ length: 200 }, async (_, n) => {
          const socket = connect(Number(new URL(service.url).port), '127.0.0.1');
          socket.on('error', () => undefined);
          const upgrade = n % 2 === 0 ? '' : 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';
          socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n${upgrade}\r\n`);
          await new Promise((resolve) => socket.once('connect', resolve));
          // Before, while and after it is let in.
          for (let turns = n % 20; turns > 0; turns -= 1) await othersTurn();
          socket.resetAndDestroy();
        }),
      );
      const open: EventStreamClient[] = [];
      await eventually(async () => {
        const client = await EventStreamClient.open(service.url + path, { accept: '*/*' });
        if (client.status === 200) open.push(client);
        return open.length === MOST;
      }, { what: `room for as many as may be on ${path}` });
      for (const client of open) client.close();
    }
  });

  it('leave their room where they are refused for something else', async () => {
    for (let count = 0; count <= MOST; count += 1) {
      expect((await EventStreamClient.open(`${service.url}/api/v1/stream?after=999999/0`)).status).toBe(400);
    }
  });
});
