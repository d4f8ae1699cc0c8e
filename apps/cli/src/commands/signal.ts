import { EXIT, type ExitCode } from '../exit-codes.js';
import { pathOf } from '../executions-api.js';
import type { ClientOptions, Session } from '../session.js';
import { styleOf } from '../terminal/format.js';

export type SignalOptions = ClientOptions & { readonly payload?: object };

type Signalled = { readonly id: string; readonly status: string; readonly sequence: number };

export const signal = async ({ api, out, json }: Session, id: string, name: string, { payload }: SignalOptions): Promise<ExitCode> => {
  const answer = await api.post<Signalled>(`${pathOf(id)}/signals/${name}`, payload === undefined ? {} : { payload });
  if (json) out.json(answer);
  else out.line(`${id} has signal ${name} and is ${out.paint(styleOf(answer.status), answer.status)}`);
  return EXIT.ok;
};
