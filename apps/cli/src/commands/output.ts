import { EXIT, type ExitCode } from '../exit-codes.js';
import { type Chunk, bytesOf, outputPages, pathOf, readShown } from '../executions-api.js';
import { follow } from '../follow.js';
import { type ClientOptions, type Session, interruptible } from '../session.js';
import { OutputLines } from '../terminal/output-lines.js';

/** What is only told of lines. */
type Narrowed = { readonly tail?: number; readonly search?: string; readonly level?: string };

export type OutputOptions = ClientOptions & Narrowed & { readonly task?: string; readonly stream?: string; readonly follow?: boolean };

type Line = { readonly task: string; readonly text: string };

/** Lines that fit, each behind the name of its task where there are several. */
const outputLines = async ({ api, out, json }: Session, id: string, { task, stream, tail, search, level }: OutputOptions): Promise<ExitCode> => {
  const text = await api.text(`${pathOf(id)}/output/lines`, { task, stream, tail, search, level });
  const lines = text.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as Line);
  if (json) out.json({ lines });
  const width = new Set(lines.map((line) => line.task)).size > 1 ? Math.max(...lines.map((line) => line.task.length)) : 0;
  for (const line of json ? [] : lines) out.line(width === 0 ? line.text : `${out.paint('dim', line.task.padEnd(width))}  ${line.text}`);
  return EXIT.ok;
};

/** Output of one task as it was written; of several, line by line behind the task's name. */
export const output = async (session: Session, id: string, options: OutputOptions): Promise<ExitCode> => {
  const { api, out, err, json } = session;
  const { task, stream } = options;
  if (options.tail !== undefined || options.search !== undefined || options.level !== undefined) return await outputLines(session, id, options);
  const { tasks } = await readShown(api, id);
  const isOne = task !== undefined || tasks.length === 1;
  const lines = new OutputLines(out, out, Math.max(...tasks.map((each) => each.id.length)));
  const print = (chunk: Chunk): void => {
    if (json) out.json(chunk);
    else if (isOne) out.write(bytesOf(chunk));
    else lines.take(chunk);
  };
  if (options.follow === true) {
    await interruptible(
      () => `${id} goes on; come back to it with: runledger output ${id} --follow`,
      (signal) =>
        follow(api, id, {
          signal,
          output: { task, stream },
          events: false,
          trouble: (message) => err.line(`runledger: ${message}`),
          take: (news) => {
            for (const item of news) if (!('type' in item)) print(item);
          },
        }),
    );
  } else {
    const all: Chunk[] = [];
    for await (const chunks of outputPages(api, id, 0, { task, stream })) {
      if (json) all.push(...chunks);
      else chunks.forEach(print);
    }
    if (json) out.json({ chunks: all });
  }
  lines.flush();
  return EXIT.ok;
};
