import { EXIT, type ExitCode } from '../exit-codes.js';
import { pathOf } from '../executions-api.js';
import type { ClientOptions, Session } from '../session.js';

export type DeleteOptions = ClientOptions & { readonly reason?: string };

type Deleted = { readonly id: string; readonly status: string; readonly sequence: number; readonly changed: boolean };

export const deleteExecution = async ({ api, out, json }: Session, id: string, { reason }: DeleteOptions): Promise<ExitCode> => {
  const query = reason === undefined ? '' : `?${new URLSearchParams({ reason }).toString()}`;
  const answer = await api.delete<Deleted>(`${pathOf(id)}${query}`);
  if (json) out.json(answer);
  else out.line(answer.changed ? `${id} is deleted` : `${id} is deleted already; nothing was changed`);
  return EXIT.ok;
};
