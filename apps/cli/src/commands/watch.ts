import type { ExecutionDetail } from '#libs/projections';
import { EXIT, type ExitCode } from '../exit-codes.js';
import { pathOf } from '../executions-api.js';
import { type End, follow } from '../follow.js';
import { type Session, interruptible } from '../session.js';
import { Progress } from '../terminal/progress.js';

export const exitOf: Readonly<Record<End, ExitCode>> = {
  completed: EXIT.ok,
  failed: EXIT.failed,
  cancelled: EXIT.interrupted,
};

/** Shows an execution from its beginning to its end; the exit code says how it ended. */
export const watch = async ({ api, out, err, json }: Session, id: string): Promise<ExitCode> => {
  const progress = new Progress(out, err, id);
  let sequence = 0;
  const end = await interruptible(
    () => `${id} goes on; come back to it with: runledger watch ${id}`,
    (signal) =>
      follow(api, id, {
        signal,
        output: {},
        trouble: (message) => err.line(`runledger: ${message}`),
        take: (news) => {
          if (!json) return progress.take(news);
          for (const item of news) {
            if ('type' in item) sequence = Number(item.position.split('/')[0]);
            out.json('type' in item ? { kind: 'event', ...item } : { kind: 'output', ...item });
          }
        },
      }),
  );
  // The status projection may not know the end yet that the log has told of.
  if (json) out.json({ kind: 'end', ...(await api.get<ExecutionDetail>(pathOf(id), { minSeq: sequence })) });
  return exitOf[end];
};
