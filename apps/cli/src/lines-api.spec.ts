import { Readable } from 'node:stream';
import type { Query } from './api.js';
import { CliError } from './cli-error.js';
import { type LinesWanted, readLines } from './lines-api.js';

const line = (n: number): string => `${JSON.stringify({ position: `${n}/0`, task: 'a', stream: 'stdout', text: String(n) })}\n`;
const broken = new Error('terminated');

/** Answers each request with the next of these pieces; an error breaks it off. */
const scripted = (...answers: readonly (readonly (string | Error)[] | Error)[]) => {
  const asked: Query[] = [];
  const download = (_: string, query: Query = {}): Promise<Readable> => {
    const turn = answers[asked.push(query) - 1] ?? [];
    if (turn instanceof Error) return Promise.reject(turn);
    async function* pieces(): AsyncGenerator<Buffer> {
      for (const piece of turn as readonly (string | Error)[]) {
        if (piece instanceof Error) throw piece;
        yield await Promise.resolve(Buffer.from(piece));
      }
    }
    return Promise.resolve(Readable.from(pieces()));
  };
  return { api: { download }, asked };
};

const run = async (api: { download: (path: string, query?: Query) => Promise<Readable> }, wanted: LinesWanted) => {
  const troubles: string[] = [];
  const texts: string[] = [];
  for await (const { text } of readLines(api, 'e1', wanted, { signal: new AbortController().signal, trouble: (message) => troubles.push(message) })) texts.push(text);
  return { texts, troubles };
};

describe('lines', () => {
  it('go on behind the last one where an answer broke off, within a line and between them, and are not cut to the end again', async () => {
    const { api, asked } = scripted([line(1), '\n', line(2), line(3).slice(0, 9), broken], new CliError(5, 'CONNECTION_LOST', 'nobody there'), [line(3), broken], [line(4)]);
    const { texts, troubles } = await run(api, { tail: 2, follow: 'true' });
    expect(texts).toEqual(['1', '2', '3', '4']);
    expect(asked.map(({ tail, after }) => [tail, after])).toEqual([[2, undefined], [undefined, '2/0'], [undefined, '2/0'], [undefined, '3/0']]);
    expect(troubles).toHaveLength(2);
  });

  it('go on where an answer says that there is more', async () => {
    const { api, asked } = scripted(['{"next":"7/0@7"}\n'], [line(8), '{"next":"8/0@7"}\n'], []);
    expect((await run(api, { search: 'x' })).texts).toEqual(['8']);
    expect(asked.map(({ after }) => after)).toEqual([undefined, '7/0@7', '8/0@7']);
  });

  it('of a server that is not there, or refuses, are none', async () => {
    for (const exit of [5, 3] as const) await expect(run(scripted(new CliError(exit, 'X', 'no')).api, {})).rejects.toThrow(CliError);
    await expect(run(scripted([line(1), broken], new CliError(3, 'EXECUTION_DELETED', 'deleted')).api, {})).rejects.toThrow('deleted');
  });
});
