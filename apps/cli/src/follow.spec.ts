import { PassThrough, type Readable } from 'node:stream';
import { eventually } from '#libs/testing';
import type { Api } from './api.js';
import { CliError } from './cli-error.js';
import type { Chunk, ReadEvent } from './executions-api.js';
import { follow, nextPause } from './follow.js';

const at = (ms: number): string => new Date(Date.parse('2026-01-01T00:00:00Z') + ms).toISOString();
const envelope = { id: 'i', storedAt: at(0), cause: 'c', actor: 'a', correlationId: 'k' };
const event = (type: string, ms: number, sequence: number): ReadEvent =>
  ({ ...envelope, type, at: at(ms), position: `${sequence}/0`, data: type.startsWith('Task') ? { taskId: 't' } : {} }) as ReadEvent;
const chunk = (position: number, ms: number): Chunk => ({ position, task: 't', attempt: 1, stream: 'stdout', time: at(ms), text: `${position}` });

type Asked = Pick<Api, 'get' | 'download'>;

const refused = (): Promise<Readable> => Promise.reject(new CliError(4, 'STREAMS_FULL', 'no room'));

/** Answers each request with the next page of its kind; an error is thrown. */
const scripted = (events: readonly (ReadEvent[] | Error)[], output: readonly (Chunk[] | Error)[], download: Asked['download'] = refused) => {
  const asked: string[] = [];
  const turns = { events: [...events], output: [...output] };
  const get = (path: string, query: { after?: string | number } = {}): Promise<unknown> => {
    const kind = path.endsWith('/events') ? 'events' : 'output';
    asked.push(`${kind} ${query.after}`);
    const turn = turns[kind].shift() ?? [];
    return turn instanceof Error ? Promise.reject(turn) : Promise.resolve({ [kind === 'events' ? 'events' : 'chunks']: turn, next: null });
  };
  return { api: { get, download } as Asked, asked };
};

const run = async (api: Asked, signal = new AbortController().signal) => {
  const taken: string[] = [];
  const troubles: string[] = [];
  const end = await follow(api, 'e1', {
    signal,
    output: {},
    trouble: (message) => troubles.push(message),
    take: (news) => taken.push(...news.map((item) => String(item.position))),
  });
  return { end, taken, troubles };
};

const away = new CliError(5, 'UNREACHABLE', 'nobody there');

describe('following', () => {
  it('hands over events and output in the order in which they happened, each once, up to the end', async () => {
    const { api, asked } = scripted(
      [[event('ExecutionRequested', 0, 1), event('TaskStarted', 10, 2)], [], [event('TaskCompleted', 40, 5), event('ExecutionFailed', 40, 6)]],
      [[chunk(3, 5)], [chunk(4, 20)], [chunk(7, 30)]],
    );
    expect(await run(api)).toEqual({ end: 'failed', taken: ['1/0', '3', '2/0', '4', '7', '5/0', '6/0'], troubles: [] });
    expect(asked).toEqual(['events 0/0', 'output 0', 'events 2/0', 'output 3', 'events 2/0', 'output 4']);
  });

  it('goes on where it was when the server was away in between, also between the two questions', async () => {
    const end = [event('ExecutionCompleted', 9, 2)];
    const { api, asked } = scripted([[event('ExecutionRequested', 0, 1)], away, end, end], [[], away, []]);
    expect(await run(api)).toEqual({ end: 'completed', taken: ['1/0', '2/0'], troubles: ['nobody there; trying again'] });
    expect(asked.filter((question) => question.startsWith('events'))).toEqual(['events 0/0', 'events 1/0', 'events 1/0', 'events 1/0']);
  });

  it('does not wait for a server that was never there, nor for an execution that is not', async () => {
    await expect(run(scripted([away], []).api)).rejects.toBe(away);
    const missing = new CliError(3, 'EXECUTION_NOT_FOUND', 'none');
    await expect(run(scripted([missing], []).api)).rejects.toBe(missing);
  });

  it('looks for events when the stream says that there are some, and for output while a task runs', async () => {
    const stream = new PassThrough();
    const opened: unknown[] = [];
    const { api, asked } = scripted([[event('ExecutionRequested', 0, 1)], [event('TaskStarted', 1, 2)], [event('ExecutionCompleted', 9, 3)]], [], (path, query) => {
      opened.push([path, query]);
      return Promise.resolve(stream);
    });
    const running = run(api);
    await eventually(() => stream.listenerCount('data') > 0, { what: 'the stream to be opened' });
    stream.write('data: {}\n\n');
    await eventually(() => asked.length > 6, { what: 'some looks at output' });
    expect(asked.slice(2)).toEqual(['events 1/0', ...asked.slice(3).map(() => 'output 0')]);
    stream.write('data: {}\n\n');
    expect((await running).taken).toEqual(['1/0', '2/0', '3/0']);
    expect(asked.filter((question) => question.startsWith('events'))).toEqual(['events 0/0', 'events 1/0', 'events 2/0']);
    expect(opened).toEqual([['/executions/e1/stream', { after: '1/0' }]]);
    expect(stream.destroyed).toBe(true);
  });

  it('looks by itself once the stream has broken, and opens it again behind what it has read', async () => {
    const streams: PassThrough[] = [];
    const { api } = scripted([[event('ExecutionRequested', 0, 1)], [event('ExecutionStarted', 1, 2)], [event('ExecutionCompleted', 9, 3)]], [], (_, query) => {
      const stream = Object.assign(new PassThrough(), { after: query?.['after'] });
      stream.write('retry: 1000\n\n');
      streams.push(stream);
      return Promise.resolve(stream);
    });
    const running = run(api);
    await eventually(() => streams[0]?.listenerCount('data') === 1, { what: 'the stream to be opened' });
    streams[0]?.destroy(new Error('connection reset'));
    expect((await running).taken).toEqual(['1/0', '2/0', '3/0']);
    expect(streams[1]).toMatchObject({ after: '2/0', destroyed: true });
  });

  it('ends when it is asked to', async () => {
    const asked = new AbortController();
    asked.abort();
    await expect(run(scripted([[]], []).api, asked.signal)).rejects.toThrow('abort');
  });

  it('looks often while something comes, and once a second while nothing does', () => {
    const pauses = Array.from({ length: 12 }).reduce<number[]>((all) => [...all, nextPause(all[all.length - 1] ?? 50, false)], []);
    expect(pauses[0]).toBeLessThan(100);
    expect(pauses[11]).toBe(1_000);
    expect(nextPause(1_000, true)).toBe(50);
  });
});
