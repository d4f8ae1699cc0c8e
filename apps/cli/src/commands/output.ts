import { EXIT, type ExitCode } from '../exit-codes.js';
import { type Chunk, outputPages, readShown } from '../executions-api.js';
import { follow } from '../follow.js';
import { type Line, readLines } from '../lines-api.js';
import { type ClientOptions, type Session, interruptible } from '../session.js';
import { OutputLines } from '../terminal/output-lines.js';
import { TaskText } from '../terminal/task-text.js';

/** What is only told of lines. */
type Narrowed = { readonly tail?: number; readonly search?: string; readonly caseSensitive?: boolean; readonly level?: string; readonly ndjson?: boolean };

export type OutputOptions = ClientOptions & Narrowed & { readonly task?: string; readonly stream?: string; readonly follow?: boolean };

const isOfLines = ({ tail, search, level, ndjson }: OutputOptions): boolean => tail !== undefined || search !== undefined || level !== undefined || ndjson === true;

const farewell = (id: string) => (): string => `${id} goes on; come back to it with: runledger output ${id} --follow`;

/** Lines that fit, each behind the name of its task where there are several. */
const outputLines = async ({ api, out, err, json }: Session, id: string, options: OutputOptions): Promise<ExitCode> => {
  const { task, stream, tail, search, level, ndjson = false, follow: follows = false, caseSensitive = false } = options;
  const { tasks } = await readShown(api, id);
  const width = task !== undefined || tasks.length === 1 ? 0 : Math.max(...tasks.map((each) => each.id.length));
  const wanted = { task, stream, search, level, ...(tail !== undefined && { tail }), ...(caseSensitive && { case: 'exact' }), ...(follows && { follow: 'true' as const }) };
  const all: Line[] = [];
  await interruptible(farewell(id), async (signal) => {
    for await (const line of readLines(api, id, wanted, { signal, trouble: (message) => err.line(`runledger: ${message}`) })) {
      if (ndjson || (json && follows)) out.json(line);
      else if (json) all.push(line);
      else out.line(`${width === 0 ? '' : out.paint('dim', `${line.task.padEnd(width)} | `)}${line.text}${line.continues ? '…' : ''}`);
    }
  });
  if (json && !follows) out.json({ lines: all });
  return EXIT.ok;
};

/** Output of one task as it was written (but nothing that a terminal would obey to one); of several, line by line behind the task's name. */
export const output = async (session: Session, id: string, options: OutputOptions): Promise<ExitCode> => {
  const { api, out, err, json } = session;
  const { task, stream } = options;
  if (isOfLines(options)) return await outputLines(session, id, options);
  const { tasks } = await readShown(api, id);
  const isOne = task !== undefined || tasks.length === 1;
  const lines = new OutputLines(out, out, Math.max(...tasks.map((each) => each.id.length)));
  const text = new TaskText();
  const print = (chunk: Chunk): void => {
    if (json) out.json(chunk);
    else if (isOne) text.write(out, chunk);
    else lines.take(chunk);
  };
  if (options.follow === true) {
    await interruptible(
      farewell(id),
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
