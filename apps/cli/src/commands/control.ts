import { EXIT, type ExitCode } from '../exit-codes.js';
import { pathOf } from '../executions-api.js';
import type { ClientOptions, Session } from '../session.js';
import { styleOf } from '../terminal/format.js';

export type ControlOptions = ClientOptions & { readonly reason?: string; readonly graceful?: boolean };

type Controlled = { readonly id: string; readonly status: string; readonly sequence: number; readonly changed: boolean };

export const control = async (
  { api, out, json }: Session,
  verb: 'pause' | 'resume' | 'cancel',
  id: string,
  { reason, graceful }: ControlOptions,
): Promise<ExitCode> => {
  const mode = verb === 'cancel' ? { mode: graceful === true ? 'graceful' : 'immediate' } : {};
  const answer = await api.post<Controlled>(`${pathOf(id)}/${verb}`, { ...mode, ...(reason !== undefined && { reason }) });
  if (json) out.json(answer);
  else {
    const status = out.paint(styleOf(answer.status), answer.status);
    out.line(answer.changed ? `${id} is ${status}` : `${id} is ${status} already; nothing was changed`);
  }
  return EXIT.ok;
};
