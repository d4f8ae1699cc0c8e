import type { ExitCode } from '../exit-codes.js';
import { pathOf } from '../executions-api.js';
import type { ClientOptions, Session } from '../session.js';
import { type Accepted, follow } from './run.js';

export type SuccessorOptions = ClientOptions & {
  readonly detach?: boolean;
  readonly from?: string;
  readonly at?: number;
  readonly input?: object;
  readonly label?: Readonly<Record<string, string>>;
};

/** Carries on an execution in a new one, and follows that to its end. */
export const succeed = async (session: Session, verb: 'retry' | 'rerun' | 'fork', id: string, options: SuccessorOptions): Promise<ExitCode> => {
  const { from: fromTask, at: atSequence, input, label: labels } = options;
  return await follow(session, await session.api.post<Accepted>(`${pathOf(id)}/${verb}`, { fromTask, atSequence, input, labels }), options);
};
