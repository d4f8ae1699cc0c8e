import { EXIT, type ExitCode } from '../exit-codes.js';
import { type Chunk, bytesOf, outputPages, readShown } from '../executions-api.js';
import { follow } from '../follow.js';
import { type ClientOptions, type Session, interruptible } from '../session.js';
import { OutputLines } from '../terminal/output-lines.js';

export type OutputOptions = ClientOptions & { readonly task?: string; readonly stream?: string; readonly follow?: boolean };

/** Output of one task as it was written; of several, line by line behind the task's name. */
export const output = async ({ api, out, err, json }: Session, id: string, options: OutputOptions): Promise<ExitCode> => {
  const { task, stream } = options;
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
