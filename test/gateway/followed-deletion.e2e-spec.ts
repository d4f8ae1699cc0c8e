import { eventually, start, succeed } from '#libs/testing';
import { type Json, type Service, executions, startService } from './service.js';
import { EventStreamClient, WebSocketClient } from './stream-clients.js';

const MOST = 5;
const plan = { name: 'plan', tasks: [{ id: 'a', runner: 'noop' }] };

let service: Service;
beforeAll(async () => {
  service = await startService({ RUNLEDGER_STREAMS: String(MOST) });
}, 30_000);
afterAll(() => service.stop());

const requested = async (): Promise<string> => String((await service.post(executions, { plan })).body['id']);
const finish = (id: string): Promise<number> => service.drive(id, start('a'), succeed('a'));
const deleted = async (id: string): Promise<number> => Number((await service.delete(`${executions}/${id}?reason=tidy`)).body['sequence']);

describe('an execution that is deleted while it is followed', () => {
  it('ends its streams with that event, or with why where that is not among what was asked for, and gives their places back', async () => {
    const id = await requested();
    await finish(id);
    const path = `${service.url}${executions}/${id}/stream`;
    const all = await EventStreamClient.open(path);
    const narrowed = await EventStreamClient.open(`${path}?after=0/0&type=TaskCompleted`);
    const socket = await WebSocketClient.open(path);
    const narrowedSocket = await WebSocketClient.open(`${path}?status=failed`);
    const ofTenant = await EventStreamClient.open(`${service.url}/api/v1/stream?type=ExecutionDeleted`);
    await narrowed.until('what there is', ({ events }) => events.length === 1);
    for (const client of [all, socket, narrowedSocket, ofTenant]) await client.until('the snapshot', ({ received }) => received.length === 1);

    const sequence = await deleted(id);
    const position = `${sequence}/0`;
    await Promise.all([all.ended(), narrowed.ended()]);
    const dropped = { name: 'dropped', position, data: expect.objectContaining({ code: 'EXECUTION_DELETED' }) as unknown };
    expect(all.types).toEqual(['ExecutionDeleted']);
    expect(all.events[0]).toMatchObject({ position, data: { reason: 'tidy' } });
    expect(all.received.slice(-1)).toEqual([dropped]);
    expect(narrowed.received.slice(1)).toEqual([dropped]);
    for (const client of [socket, narrowedSocket]) {
      await client.until('the end', ({ closed }) => closed !== undefined);
      expect(client.closed).toEqual({ code: 1000, reason: `EXECUTION_DELETED after=${position}` });
    }
    expect([socket.types, narrowedSocket.types]).toEqual([['ExecutionDeleted'], []]);
    // That of the tenant goes on.
    await ofTenant.until('the event', ({ types }) => types.includes('ExecutionDeleted'));
    const other = await requested();
    await finish(other);
    await deleted(other);
    await ofTenant.until('the next event', ({ events }) => events.length === 2);
    ofTenant.close();

    for (const back of [await EventStreamClient.open(path, { 'last-event-id': position }), await EventStreamClient.open(`${path}?until=end`)]) {
      expect([back.status, await back.problem()]).toEqual([410, expect.objectContaining({ code: 'EXECUTION_DELETED' })]);
    }
    expect((await WebSocketClient.open(path)).refused).toMatchObject({ status: 410, problem: { code: 'EXECUTION_DELETED' } });
    const again = await Promise.all(Array.from({ length: MOST }, async () => await eventually(async () => {
      const client = await EventStreamClient.open(`${service.url}/api/v1/stream`);
      return client.status === 200 && client;
    }, { what: 'a place for one more' })));
    for (const client of again) client.close();
  });

  it('is refused to who comes late, also where nobody but the log knows of the deletion', async () => {
    const id = await requested();
    await finish(id);
    await service.stopProjector();
    const sequence = await deleted(id);
    await service.log.purge(service.ref(id), sequence);
    expect((await EventStreamClient.open(`${service.url}${executions}/${id}/stream?after=1/0`)).status).toBe(410);
    await service.startProjector();
  });

  it('ends the output that is followed, with where to come back, which is answered by what has happened', async () => {
    const id = await requested();
    await service.drive(id, start('a'));
    const path = `${service.url}${executions}/${id}/output/lines?follow=true`;
    const [ndjson, text] = await Promise.all([fetch(path), fetch(`${path}&format=text`)]);
    expect([ndjson.status, text.status]).toEqual([200, 200]);
    // Nobody looks in between: what was followed is gone at once.
    await service.drive(id, succeed('a'));
    await deleted(id);
    const [line, said] = [await ndjson.text(), await text.text()];
    // Who was answered between the end and the deletion has all of it.
    expect(line).toMatch(/^(\{"next":"\d+\/\d+@\d+"\}\n)?$/);
    expect(said).toMatch(/^(\[runledger\] not all of it: .*\n)?$/);
    const back = await fetch(`${path}&after=0/0`);
    expect([back.status, (await back.json()) as Json]).toEqual([410, expect.objectContaining({ code: 'EXECUTION_DELETED' })]);
    for (let n = 0; n <= MOST; n++) {
      const next = await requested();
      await finish(next);
      expect((await fetch(`${service.url}${executions}/${next}/output/lines?follow=true`).then(async (answer) => [answer.status, await answer.text()]))[0]).toBe(200);
    }
  });
});
