import type { ExecutionRef } from '#libs/contracts';
import type { JetStreamLog } from '#libs/jetstream';
import { Audit, type Fault, type KnownHeads } from '#libs/ledger';
import type { Loss } from '#libs/projections';
import { CliError } from '../cli-error.js';
import { EXIT, type ExitCode } from '../exit-codes.js';
import { withLog } from '../nats-session.js';
import { readHeads, readLosses } from '../read-model-heads.js';
import type { ClientOptions, Session } from '../session.js';
import { duration } from '../terminal/format.js';
import { type Screen, printable } from '../terminal/screen.js';

export type VerifyOptions = ClientOptions & { readonly nats?: string };

type Verified = {
  readonly lastSequence: number;
  readonly commits: number;
  readonly executions: number;
  /** How many heads of read models were compared, as they were at a sequence; null when no projector answered. */
  readonly heads: { readonly compared: number; readonly asOfSeq: number } | null;
  readonly faults: readonly Fault[];
};

const SHOWN = 100;
/** Times that the end of the log is looked at anew. */
const MOST_ROUNDS = 10;

const lost = ({ sequence, foundAt, why }: Loss): Fault => ({
  code: 'LOG_WENT_BACK',
  sequence,
  tenant: null,
  execution: null,
  version: null,
  message: `at ${foundAt} a projection that had read up to here found that the log was another (${why}); restore it from a backup, or take it as it is: runledger rebuild`,
});

const audited = async (log: JetStreamLog, known: KnownHeads | undefined, err: Screen, ref?: ExecutionRef): Promise<Omit<Verified, 'heads'>> => {
  const audit = new Audit(ref ? 'execution' : 'log', known);
  let lastSequence = 0;
  const faults: Fault[] = [];
  let commits = 0;
  // What was purged while this reads is accounted for by a deletion that may stand behind what was the end.
  for (let rounds = 0; rounds === 0 || (rounds < MOST_ROUNDS && audit.hasOpenHoles); rounds++) {
    const after = lastSequence;
    ({ lastSequence } = await log.info());
    if (rounds > 0 && lastSequence === after) break;
    for await (const page of log.scan(lastSequence, ref, after)) {
      for (const message of page) {
        if ('unreadable' in message) faults.push(...audit.unreadable(message.sequence, message.subject, message.unreadable));
        else faults.push(...audit.take(message));
      }
      commits += page.length;
      if (err.isTerminal) err.write(`\rlog sequence ${page[page.length - 1]?.sequence ?? 0} of ${lastSequence} `);
    }
  }
  if (err.isTerminal) err.write('\r\u001b[K');
  faults.push(...audit.end(lastSequence));
  return { lastSequence, commits, executions: audit.executions, faults };
};

const print = ({ out, err }: Session, { lastSequence, commits, executions, heads, faults }: Verified, ms: number): void => {
  for (const { code, sequence, tenant, execution, message } of faults.slice(0, SHOWN)) {
    const where = execution === null ? '' : ` of ${String(tenant)}/${execution}`;
    out.line(`${out.paint('red', code)} at log sequence ${sequence}${where}`);
    out.line(`  ${printable(message)}`);
  }
  if (faults.length > SHOWN) out.line(`… and ${faults.length - SHOWN} more; --json lists all`);
  const result = faults.length === 0 ? out.paint('green', 'no faults') : out.paint('red', `${faults.length} fault${faults.length === 1 ? '' : 's'}`);
  out.line(`${result} in ${commits} commits of ${executions} execution${executions === 1 ? '' : 's'}, up to log sequence ${lastSequence}, in ${duration(ms)}`);
  if (heads) out.line(`compared with ${heads.compared} head${heads.compared === 1 ? '' : 's'} of the read models, as of log sequence ${heads.asOfSeq}`);
  else err.line('no projector answers: heads of read models were not compared, so that a lost tail would not show');
};

/** Checks the whole log, or one execution of it: versions, hashes, every event, and that the read models have read the same. */
export const verify = async (session: Session, id: string | undefined, { nats: url }: VerifyOptions): Promise<ExitCode> => {
  const started = performance.now();
  const ref = id === undefined ? undefined : { tenant: session.tenant, execution: id };
  const verified = await withLog(url, async (log, nats): Promise<Verified> => {
    // Before the log is read: it may grow in between, and must not be shorter than what was known.
    const known = await readHeads(nats, ref);
    const losses = ref ? [] : await readLosses(nats);
    const result = await audited(log, known, session.err, ref);
    const heads = known ? { compared: known.heads.length, asOfSeq: known.asOfSeq } : null;
    return { ...result, heads, faults: [...result.faults, ...losses.map(lost)] };
  });
  if (ref && verified.commits === 0 && verified.faults.length === 0) {
    throw new CliError(EXIT.notFound, 'EXECUTION_NOT_FOUND', `the log holds no execution ${ref.execution} of tenant ${ref.tenant}; check id and --tenant`);
  }
  if (session.json) session.out.json(verified);
  else print(session, verified, performance.now() - started);
  return verified.faults.length === 0 ? EXIT.ok : EXIT.failed;
};
