import { setTimeout as pause } from 'node:timers/promises';
import type { ProjectionInfo, ProjectionsAnswer, Rebuild } from '#libs/projections';
import { EXIT, type ExitCode } from '../exit-codes.js';
import { nextPause } from '../follow.js';
import { Patience } from '../patience.js';
import { type Session, interruptible } from '../session.js';
import { took } from '../terminal/format.js';

const isOver = ({ phase }: Rebuild): boolean => phase === 'done' || phase === 'failed';

const pathOf = (name: string): string => `/projections/${encodeURIComponent(name)}`;

const progressOf = (name: string, { phase, sequence, target }: Rebuild): string =>
  `${name}  ${phase}${phase === 'replaying' ? `, log sequence ${sequence} of ${target}` : ''}`;

/** Follows one until it is over. The projector may be killed meanwhile: it does what it has promised. */
const untilOver = async ({ api, err, json }: Session, name: string, begun: Rebuild, signal: AbortSignal): Promise<Rebuild> => {
  const patience = new Patience((message) => err.line(`runledger: ${message}`));
  let said = '';
  let wait = 0;
  for (let rebuild = begun; ; ) {
    const progress = progressOf(name, rebuild);
    const news = progress !== said;
    if (news && !json && !isOver(rebuild)) err.write(err.isTerminal ? `\r\u001b[K${progress}` : `${progress}\n`);
    said = progress;
    if (isOver(rebuild)) {
      if (err.isTerminal && !json) err.write('\r\u001b[K');
      return rebuild;
    }
    wait = nextPause(wait, news);
    await pause(wait, undefined, { signal });
    try {
      // A later one took its place: it is as good.
      rebuild = (await api.get<ProjectionInfo>(pathOf(name))).rebuild ?? rebuild;
      patience.restored();
    } catch (error) {
      patience.bear(error);
    }
  }
};

const print = ({ out }: Session, name: string, { phase, target, startedAt, endedAt, differs, error }: Rebuild): void => {
  if (phase === 'failed') return out.line(`${name}  ${out.paint('red', 'failed')}: ${error ?? 'no reason given'}; the rows are those from before`);
  const rows = differs.length === 0 ? out.paint('green', 'the rows were right') : out.paint('red', `rows of ${differs.join(', ')} were not what the log says; they are now`);
  out.line(`${name}  rebuilt in ${took(startedAt, endedAt)}, compared at log sequence ${target}: ${rows}`);
};

/** Rebuilds one projection, or all of them, one after the other. */
export const rebuild = async (session: Session, name: string | undefined): Promise<ExitCode> => {
  const { api, out, json } = session;
  const names = name === undefined ? (await api.get<ProjectionsAnswer>('/projections')).projections.map((projection) => projection.name) : [name];
  const rebuilt: Record<string, Rebuild> = {};
  for (const each of names) {
    const begun = await api.post<Rebuild>(`${pathOf(each)}/rebuild`);
    const end = await interruptible(
      () => `the rebuild of ${each} goes on; come back to it with: runledger rebuild ${each}`,
      (signal) => untilOver(session, each, begun, signal),
    );
    rebuilt[each] = end;
    if (!json) print(session, each, end);
  }
  if (json) out.json({ rebuilds: rebuilt });
  return Object.values(rebuilt).every(({ phase, differs }) => phase === 'done' && differs.length === 0) ? EXIT.ok : EXIT.failed;
};
