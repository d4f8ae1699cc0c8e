import { Api } from './api.js';
import { CliError } from './cli-error.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import { Screen } from './terminal/screen.js';

export type ClientOptions = { readonly url: string; readonly tenant?: string; readonly json?: boolean };

/** What a command works with. */
export type Session = {
  readonly api: Api;
  /** Of the log, where it is read without the API. */
  readonly tenant: string;
  readonly json: boolean;
  readonly out: Screen;
  readonly err: Screen;
};

/** Runs a command; what it can't do is said on standard error, as JSON where that was asked for. */
export const inSession = async (
  { url, tenant, json = false }: ClientOptions,
  work: (session: Session) => Promise<ExitCode>,
): Promise<ExitCode> => {
  const [out, err] = [new Screen(process.stdout), new Screen(process.stderr)];
  process.stderr.on('error', () => undefined);
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // Whoever reads along may leave (runledger list | head): nobody is left to tell.
    if (error.code === 'EPIPE') process.exit(EXIT.ok);
    refuse(err, json, new CliError(EXIT.unavailable, 'OUTPUT_LOST', `standard output can't be written: ${error.message}`));
    process.exit(EXIT.unavailable);
  });
  try {
    const token = process.env['RUNLEDGER_TOKEN'] || undefined;
    return await work({ api: new Api(url, { tenant, token }), tenant: tenant ?? 'default', json, out, err });
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    refuse(err, json, error);
    return error.exit;
  }
};

const refuse = (err: Screen, json: boolean, { code, message, problem, exit }: CliError): void => {
  if (json) err.json({ error: { code, message, ...problem } });
  else err.line(`${err.paint('red', 'runledger:')} ${message}${exit === EXIT.misuse || exit === EXIT.interrupted ? '' : ` [${code}]`}`);
};

/** Calls `work` with a signal that Ctrl-C ends; a second Ctrl-C kills. `farewell` says how to come back. */
export const interruptible = async <T>(farewell: () => string, work: (signal: AbortSignal) => Promise<T>): Promise<T> => {
  const asked = new AbortController();
  const heard = (): void => asked.abort();
  process.once('SIGINT', heard);
  try {
    return await work(asked.signal);
  } catch (error) {
    if (asked.signal.aborted) throw new CliError(EXIT.interrupted, 'INTERRUPTED', farewell());
    throw error;
  } finally {
    process.off('SIGINT', heard);
  }
};
