import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { misuse } from '../cli-error.js';
import { EXIT, type ExitCode } from '../exit-codes.js';
import type { ClientOptions, Session } from '../session.js';
import { watch } from './watch.js';

export type RunOptions = ClientOptions & {
  readonly plan?: string;
  readonly name?: string;
  readonly label?: Readonly<Record<string, string>>;
  readonly detach?: boolean;
};

export type Accepted = { readonly id: string; readonly sequence: number; readonly status: string };
type Body = { readonly plan?: unknown; readonly name?: unknown; readonly labels?: object };

const nameOf = (file: string): string => (file === '-' ? 'standard input' : file);

const read = (file: string): string => {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    throw misuse(`can't read the plan: ${(error as Error).message}`);
  }
};

const parse = (file: string): Body => {
  let value: unknown;
  try {
    value = JSON.parse(read(file));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw misuse(`${nameOf(file)} is not JSON: ${error.message}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw misuse(`${nameOf(file)} holds no plan: a JSON object with name and tasks`);
  // A plan by itself, or what the API takes: a plan with name, labels and input beside it.
  return 'plan' in value ? value : { plan: value };
};

/** What is sent for the arguments. Throws CliError: misuse. */
export const requestFor = (argv: readonly string[], { plan, name, label }: Pick<RunOptions, 'plan' | 'name' | 'label'>): Body => {
  const [program] = argv;
  if ((plan === undefined) === (program === undefined)) throw misuse('run takes either --plan FILE or -- COMMAND ARG…');
  const body: Body =
    plan !== undefined
      ? parse(plan)
      : { plan: { name: name ?? basename(program ?? ''), tasks: [{ id: 'command', runner: 'command', input: { argv } }] } };
  return {
    ...body,
    ...(name !== undefined && { name }),
    ...(label && { labels: { ...body.labels, ...label } }),
  };
};

export const run = async (session: Session, argv: readonly string[], options: RunOptions): Promise<ExitCode> =>
  await follow(session, await session.api.post<Accepted>('/executions', requestFor(argv, options)), options);

/** Follows what was accepted to its end, unless it is to be left running. */
export const follow = async (session: Session, accepted: Accepted, { detach }: { readonly detach?: boolean }): Promise<ExitCode> => {
  const { out, err, json } = session;
  if (detach === true) {
    if (json) out.json(accepted);
    else out.line(accepted.id);
    return EXIT.ok;
  }
  if (json) out.json({ kind: 'accepted', ...accepted });
  else err.line(err.paint('dim', `execution ${accepted.id}`));
  return await watch(session, accepted.id);
};
