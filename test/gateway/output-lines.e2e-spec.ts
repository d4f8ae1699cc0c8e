import { OutputStore } from '#libs/jetstream';
import { start, succeed } from '#libs/testing';
import { type Json, type Service, executions, startService } from './service.js';

let service: Service;
let store: OutputStore;
beforeAll(async () => {
  service = await startService();
  store = new OutputStore(service.nats);
}, 30_000);
afterAll(() => service.stop());

const plan = { name: 'plan', tasks: [{ id: 'a', runner: 'noop' }, { id: 'b', runner: 'noop' }] };
const requested = async (): Promise<string> => String((await service.post(executions, { plan })).body['id']);
const write = (id: string, task: string, text: string, stream: 'stdout' | 'stderr' = 'stdout'): Promise<void> =>
  store.append(service.ref(id), task, { attempt: 1, stream, chunk: 1, time: '2026-11-20T12:00:00.000Z', truncated: false, bytes: Buffer.from(text) });
const linesOf = (text: string): Json[] => text.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as Json);
const get = async (id: string, query: string): Promise<Response> => await fetch(`${service.url}${executions}/${id}/output/lines?${query}`);
const read = async (id: string, query = ''): Promise<Json[]> => linesOf(await (await get(id, query)).text());
const texts = (lines: readonly Json[]): unknown[] => lines.map((line) => line['text']);

const written = async (): Promise<string> => {
  const id = await requested();
  await write(id, 'a', 'one\ntwo WARN\n');
  await write(id, 'b', 'Three\n');
  await write(id, 'a', 'four\n', 'stderr');
  return id;
};

describe('output as lines', () => {
  it('is searched, narrowed, and cut to its end', async () => {
    const id = await written();
    expect(texts(await read(id))).toEqual(['one', 'two WARN', 'Three', 'four']);
    expect(texts(await read(id, 'task=a'))).toEqual(['one', 'two WARN', 'four']);
    expect(texts(await read(id, 'stream=stderr'))).toEqual(['four']);
    expect(texts(await read(id, 'level=warn'))).toEqual(['two WARN', 'four']);
    expect(texts(await read(id, 'search=THREE'))).toEqual(['Three']);
    expect(texts(await read(id, 'tail=2'))).toEqual(['Three', 'four']);
    const text = await get(id, 'format=text&tail=1');
    expect([await text.text(), text.headers.get('content-type')]).toEqual(['four\n', 'text/plain; charset=utf-8']);
  });

  it('goes on behind the position of any line', async () => {
    const id = await written();
    const all = await read(id);
    for (const [index, line] of all.entries()) expect(await read(id, `after=${String(line['position'])}`)).toEqual(all.slice(index + 1));
  });

  it('is followed until the execution has ended, from its last lines on', async () => {
    const id = await written();
    const answer = await get(id, 'follow=true&tail=1');
    const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
    let seen = (await reader.read()).value ?? '';
    expect(texts(linesOf(seen))).toEqual(['four']);
    await write(id, 'b', 'five\nsix');
    while (!seen.includes('five')) seen += (await reader.read()).value ?? '';
    expect(seen).not.toContain('six');
    await service.drive(id, start('a'), start('b'), succeed('a'), succeed('b'));
    for (let next = await reader.read(); !next.done; next = await reader.read()) seen += next.value;
    expect(texts(linesOf(seen))).toEqual(['four', 'five', 'six']);
  }, 20_000);

  it('is followed from the start where nothing is written, by no consumer of the broker, and no longer than the gateway lives', async () => {
    const { url, stop } = await service.startGatewayAt({});
    const id = await requested();
    const answer = await fetch(`${url}${executions}/${id}/output/lines?follow=true`);
    await write(id, 'a', 'first\n');
    const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
    const [first] = linesOf((await reader.read()).value ?? '');
    expect(first).toMatchObject({ text: 'first' });
    const consumers = await service.nats.replies.request('$JS.API.CONSUMER.NAMES.LOGS', '', 5_000);
    expect(typeof consumers === 'string' ? consumers : consumers.json()).toMatchObject({ total: 0 });
    const stopped = stop();
    expect(linesOf((await reader.read()).value ?? '')).toEqual([{ next: `${String(first?.['position'])}@${String(first?.['position']).split('/')[0]}` }]);
    expect((await reader.read()).done).toBe(true);
    await stopped;
  }, 20_000);

  it('is nothing of an execution that is deleted', async () => {
    const id = await written();
    const answer = await get(id, 'follow=true');
    const following = answer.text();
    await service.drive(id, start('a'), start('b'), succeed('a'), succeed('b'));
    await following;
    expect((await service.delete(`${executions}/${id}`)).status).toBe(202);
    expect((await get(id, '')).status).toBe(410);
    expect((await get(id, 'follow=true')).status).toBe(410);
  }, 20_000);

  it('is nothing of an execution that is not there, and of queries that make no sense', async () => {
    expect((await get('nobody', '')).status).toBe(404);
    const id = await requested();
    for (const query of ['tail=0', 'level=loud', 'after=x', 'search=', 'follow=yes', 'format=raw', 'colour=1', 'limit=0', 'limit=1&tail=1', 'case=upper', 'after=1/0@x', 'search=a&search=b']) expect((await get(id, query)).status).toBe(400);
    expect(await read(id)).toEqual([]);
    expect(await read(id, 'tail=5')).toEqual([]);
  });
});
