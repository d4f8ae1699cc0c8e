import type { StoredCommit } from '#libs/ledger';
import { CliError, misuse } from '../cli-error.js';
import { EXIT, type ExitCode } from '../exit-codes.js';
import { withLog } from '../nats-session.js';
import type { Change } from '../replay/changes.js';
import { Replay, type ReplayedCommit } from '../replay/replay.js';
import type { ClientOptions, Session } from '../session.js';
import { eventLine } from '../terminal/event-line.js';
import { clock } from '../terminal/format.js';
import { type Screen, printable } from '../terminal/screen.js';
import { type Cell, printTable } from '../terminal/table.js';
import { printShown } from './show.js';

export type ReplayOptions = ClientOptions & { readonly nats?: string; readonly at?: string };

type Past = { readonly history: readonly StoredCommit[]; readonly asOfSeq: number };

const VALUE_LENGTH = 60;

const valueOf = (value: unknown): string => {
  const text = typeof value === 'string' ? value : JSON.stringify(value ?? null);
  return printable(text.length > VALUE_LENGTH ? `${text.slice(0, VALUE_LENGTH)}…` : text);
};

const row = ({ path, before, after }: Change): readonly Cell[] => [
  { text: path, style: 'dim' },
  before === undefined || before === null ? valueOf(after) : `${valueOf(before)} → ${valueOf(after)}`,
];

/** As the API, which shows nothing of what it was. */
const mustNotBeDeleted = (id: string, history: readonly StoredCommit[]): void => {
  const event = history[history.length - 1]?.commit.events[0];
  if (event?.type !== 'ExecutionDeleted') return;
  throw new CliError(EXIT.notFound, 'EXECUTION_DELETED', `execution ${id} was deleted at ${event.at} by ${event.actor}; replay it without --at for what is left`);
};

const print = (out: Screen, { sequence, version, events, changes, execution }: ReplayedCommit): void => {
  const at = events[0]?.at ?? '';
  out.line(`${out.paint('bold', `version ${version}`)}  ${out.paint('dim', `log sequence ${sequence}  ${clock(at)}`)}`);
  for (const event of events) {
    const { subject, text, style } = eventLine(event, execution?.name ?? 'execution');
    out.line(`  ${subject}  ${out.paint(style, text)}`);
  }
  printTable(out, changes.map(row), '    ');
};

/** The state after each commit and what changed; with `at` as of then, and as JSON the very fields that the API answers for asOf. */
export const replay = async ({ out, tenant, json }: Session, id: string, { nats, at }: ReplayOptions): Promise<ExitCode> => {
  const ref = { tenant, execution: id };
  const { history, asOfSeq } = await withLog(nats, async (log): Promise<Past> => {
    const { lastSequence } = await log.info();
    const all = await log.history(ref);
    if (at === undefined) return { history: all, asOfSeq: lastSequence };
    mustNotBeDeleted(id, all);
    if (at.includes('T')) {
      if (Date.parse(at) > Date.now()) throw misuse(`${at} is in the future; leave out --at to read what is known now`);
      const until = all.filter(({ storedAt }) => Date.parse(storedAt) <= Date.parse(at));
      return { history: until, asOfSeq: until[until.length - 1]?.sequence ?? 0 };
    }
    if (Number(at) > lastSequence) throw misuse(`the log ends at ${lastSequence}, before ${at}; leave out --at to read what is known now`);
    return { history: all.filter(({ sequence }) => sequence <= Number(at)), asOfSeq: Number(at) };
  });
  if (history.length === 0) {
    const when = at === undefined ? '' : ` as of ${at}`;
    throw new CliError(EXIT.notFound, 'EXECUTION_NOT_FOUND', `the log holds no execution ${id} of tenant ${tenant}${when}; check id and --tenant`);
  }
  const replayed = new Replay(ref);
  for (const commit of replayed.commits(history)) {
    if (!json) print(out, commit);
    else if (at === undefined) out.json(commit);
  }
  const { state } = replayed;
  if (!state) return EXIT.ok;
  if (!json) {
    out.line();
    printShown(out, state);
  } else if (at !== undefined) {
    out.json({ execution: { ...state.execution, asOfSeq }, tasks: state.tasks });
  }
  return EXIT.ok;
};
