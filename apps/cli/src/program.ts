import { readFileSync } from 'node:fs';
import { Command, CommanderError, Option } from 'commander';
import { permissions, roles } from '#libs/access';
import { integer, jsonObject, label, listOf, moment, several, time, token, tokens, url } from './arguments.js';
import type { AnswerOptions, ApprovalsOptions } from './commands/approvals.js';
import type { BulkOptions } from './commands/bulk.js';
import type { ListArtifactsOptions, PutArtifactOptions } from './commands/artifacts.js';
import type { ControlOptions } from './commands/control.js';
import type { CreateKeyOptions } from './commands/keys.js';
import type { DeleteOptions } from './commands/delete.js';
import type { EventsOptions } from './commands/events.js';
import type { ListOptions } from './commands/list.js';
import type { NatsConfigOptions } from './commands/nats-config.js';
import type { OutputOptions } from './commands/output.js';
import type { ProvisionCommand } from './commands/provision.js';
import type { ReplayOptions } from './commands/replay.js';
import type { RunOptions } from './commands/run.js';
import type { SuccessorOptions } from './commands/successor.js';
import type { SignalOptions } from './commands/signal.js';
import type { AsOfOptions } from './commands/show.js';
import type { VerifyOptions } from './commands/verify.js';
import { EXIT, EXIT_HELP, type ExitCode } from './exit-codes.js';
import { type ClientOptions, type Session, inSession } from './session.js';
import { UP_HELP } from './up/up-help.js';

const ENVIRONMENT_HELP = `
Environment
  RUNLEDGER_URL, RUNLEDGER_TENANT, NATS_URL  as --url, --tenant, --nats
  RUNLEDGER_TOKEN                            an API key or a token, where the server asks for credentials
  NO_COLOR                                   no colours, wherever it prints
`;

/** Runs the command line; the number is the exit code. What a command needs is loaded when it is called. */
export const runProgram = async (args: readonly string[]): Promise<number> => {
  // As everywhere else an empty variable is as good as none; commander would take it for the value.
  for (const name of ['RUNLEDGER_URL', 'RUNLEDGER_TENANT', 'NATS_URL']) if (process.env[name] === '') delete process.env[name];
  let code: number = EXIT.ok;
  // What stands behind -- belongs to the command that is run.
  const isJson = args.slice(0, args.includes('--') ? args.indexOf('--') : undefined).includes('--json');
  const program = new Command('runledger')
    .description('Durable execution on NATS JetStream: run plans, follow them, and read their history.')
    .version(version(), '-v, --version', 'print the version')
    .helpOption('-h, --help', 'print this')
    .helpCommand(false)
    .showHelpAfterError(isJson ? false : '(--help tells more)')
    .addHelpText('after', ENVIRONMENT_HELP + EXIT_HELP)
    .configureOutput({ outputError: (text, write) => write(misused(text.replace(/^error: /, '').trimEnd(), isJson)) })
    .exitOverride();

  program
    .command('up')
    .description('start everything on this machine: nats-server, gateway, executor, projector')
    .addHelpText('after', UP_HELP)
    .action(async () => {
      code = await (await import('./up/up.js')).up(process.env);
    });

  program
    .command('provision')
    .description('make the streams, or see that they are as they must be: with the credentials of the provisioning user')
    .option('--tenant <tenant>', 'one more tenant that gets a bucket for artifacts; may be repeated', tokens)
    .action(async (options: ProvisionCommand) => {
      code = await (await import('./commands/provision.js')).provisionStreams(process.env, options);
    });

  program
    .command('nats-config')
    .description("print what a nats-server's configuration needs: Runledger's users and what each may do")
    .option('--keys <folder>', 'users have keys: makes those that are missing, <folder>/<user>/nkey; default: passwords, from the environment of the server')
    .option('--observer <tenant>', 'one more user, who hears what is published for this tenant; may be repeated', tokens)
    .action(async (options: NatsConfigOptions) => {
      code = (await import('./commands/nats-config.js')).natsConfig(options);
    });

  const client = (usage: string, description: string, parent: Command = program): Command =>
    parent
      .command(usage)
      .description(description)
      .addOption(new Option('--url <url>', 'where the API is').env('RUNLEDGER_URL').argParser(url).default('http://127.0.0.1:8080'))
      .addOption(new Option('--tenant <tenant>', 'whose executions; default: the tenant of RUNLEDGER_TOKEN, or default').env('RUNLEDGER_TENANT').argParser(token))
      .option('--json', 'print JSON; while following, a JSON value a line');
  const on = async (options: ClientOptions, work: (session: Session) => Promise<ExitCode>): Promise<void> => {
    code = await inSession(options, work);
  };
  const ofOne = (name: string, description: string): Command =>
    client(name, description).argument('<id>', 'the execution', token);

  client('run', 'run a plan, or one command, and follow it to its end')
    .usage('[options] (--plan FILE | -- COMMAND ARG…)')
    .argument('[command...]', 'a command and its arguments, behind --')
    .option('--plan <file>', 'a JSON file, - for standard input: a plan, or {plan, name, labels, input}')
    .option('--name <name>', 'what lists show; default: the name of the plan or command')
    .option('--label <key=value>', 'what lists filter by; may be repeated', label)
    .option('--detach', 'print the id and leave it running')
    .action((argv: string[], options: RunOptions) => on(options, async (session) => (await import('./commands/run.js')).run(session, argv, options)));

  client('list', 'executions, newest first')
    .option('--status <status>', 'pending, running, paused, cancelling, completed, failed or cancelled; several with commas', several)
    .option('--label <key=value>', 'those with this label; may be repeated', label)
    .option('--name <name>', 'those of this name; a trailing * matches the rest')
    .option('--parent <id>', 'those that are tasks of this execution')
    .option('--from <time>', 'requested at or after this time', time)
    .option('--until <time>', 'requested before this time', time)
    .option('--origin <id>', 'those that carry on this execution', token)
    .option('--limit <n>', 'at most so many', integer(1, 1_000))
    .option('--cursor <cursor>', 'go on where an earlier answer ended')
    .action((options: ListOptions) => on(options, async (session) => (await import('./commands/list.js')).list(session, options)));

  const asOf = (command: Command): Command =>
    command.option('--as-of <moment>', 'as it was then: a log sequence, or a time (RFC 3339)', moment);
  asOf(ofOne('show', 'one execution and its tasks'))
    .action((id: string, options: AsOfOptions) => on(options, async (session) => (await import('./commands/show.js')).show(session, id, options)));
  asOf(ofOne('why', 'what an execution waits for, since when, and who could end it'))
    .action((id: string, options: AsOfOptions) => on(options, async (session) => (await import('./commands/why.js')).why(session, id, options)));

  ofOne('watch', 'progress and output of an execution, from its beginning to its end')
    .action((id: string, options: ClientOptions) => on(options, async (session) => (await import('./commands/watch.js')).watch(session, id)));

  const control = (verb: 'pause' | 'resume' | 'cancel', description: string): Command =>
    ofOne(verb, description)
      .option('--reason <text>', 'why, for the record')
      .action((id: string, options: ControlOptions) => on(options, async (session) => (await import('./commands/control.js')).control(session, verb, id, options)));
  control('pause', 'start no further task; running ones finish');
  control('resume', 'go on with a paused execution');
  control('cancel', 'end an execution; what runs is ended at once')
    .option('--immediate', 'end what runs: TERM, then KILL (the default)')
    .addOption(new Option('--graceful', 'let what runs finish').conflicts('immediate'));

  const successor = (verb: 'retry' | 'rerun' | 'fork', description: string): Command =>
    ofOne(verb, description)
      .option('--detach', 'print the id and leave it running')
      .action((id: string, options: SuccessorOptions) => on(options, async (session) => (await import('./commands/successor.js')).succeed(session, verb, id, options)));
  successor('retry', 'carry on a failed or cancelled execution in a new one: what ended well stays, the rest runs anew');
  successor('rerun', 'run a task anew, and all that depends on it, in a new execution').requiredOption('--from <task>', 'the task', token);
  successor('fork', 'a new execution with what had ended well, and another input; this one goes on')
    .option('--at <sequence>', 'with what was known at this log sequence; default: now', integer(1, Number.MAX_SAFE_INTEGER))
    .option('--input <json>', 'an object, in the place of its input', jsonObject)
    .option('--label <key=value>', 'in the place of its labels; may be repeated', label);

  ofOne('delete', 'delete an execution that has ended, with its history, output and artifacts')
    .option('--reason <text>', 'why, for the record')
    .action((id: string, options: DeleteOptions) => on(options, async (session) => (await import('./commands/delete.js')).deleteExecution(session, id, options)));

  const bulk = program.command('bulk').description('one thing done to all executions that fit: an execution itself, which can be watched, paused and cancelled');
  const ofMany = (action: 'pause' | 'resume' | 'cancel' | 'retry' | 'delete', description: string): Command =>
    client(action, description, bulk)
      .option('--status <status>', 'in one of these; several with commas', several)
      .option('--label <key=value>', 'with this label; may be repeated', label)
      .option('--name <name>', 'of this name; a trailing * matches the rest')
      .option('--from <time>', 'requested at or after this time', time)
      .option('--until <time>', 'requested before this time', time)
      .option('--origin <id>', 'that carry on this execution', token)
      .option('--dry-run', 'count what fits, and change nothing')
      .option('--rate <n>', 'so many a second; default: 20', integer(1, 200))
      .option('--detach', 'print the id of the operation and leave it running')
      .action((options: BulkOptions) => on(options, async (session) => (await import('./commands/bulk.js')).bulk(session, action, options)));
  ofMany('pause', 'pause what fits').option('--reason <text>', 'why, for the record');
  ofMany('resume', 'resume what is paused and fits').option('--reason <text>', 'why, for the record');
  ofMany('cancel', 'cancel what fits').option('--reason <text>', 'why, for the record').option('--graceful', 'let what runs finish');
  ofMany('retry', 'retry what failed and fits, each in a new execution');
  ofMany('delete', 'delete what has ended and fits').option('--reason <text>', 'why, for the record');

  ofOne('signal', 'send a signal: the task that has waited longest for its name takes it')
    .argument('<name>', 'what the task waits for', token)
    .option('--payload <json>', 'an object; it becomes part of the result of the task', jsonObject)
    .action((id: string, name: string, options: SignalOptions) => on(options, async (session) => (await import('./commands/signal.js')).signal(session, id, name, options)));

  client('approvals', 'what waits for an answer of somebody, longest first')
    .option('--limit <n>', 'at most so many', integer(1, 200))
    .option('--cursor <cursor>', 'go on where an earlier answer ended')
    .action((options: ApprovalsOptions) => on(options, async (session) => (await import('./commands/approvals.js')).approvals(session, options)));
  for (const [verb, description] of [['approve', 'approve what a task asks'], ['reject', 'reject it: the task fails']] as const) {
    ofOne(verb, description)
      .argument('<task>', 'the task that asks', token)
      .option('--reason <text>', 'why, for the record')
      .action((id: string, task: string, options: AnswerOptions) =>
        on(options, async (session) => (await import('./commands/approvals.js')).respond(session, verb, id, task, options)),
      );
  }
  ofOne('delegate', 'leave your answer to somebody else')
    .argument('<task>', 'the task that asks', token)
    .argument('<to>', 'an actor, such as user:ada')
    .action((id: string, task: string, to: string, options: ClientOptions) =>
      on(options, async (session) => (await import('./commands/approvals.js')).delegate(session, id, task, to)),
    );

  ofOne('output', 'what the tasks wrote')
    .option('--task <id>', 'of this task only', token)
    .addOption(new Option('--stream <stream>', 'of this stream only').choices(['stdout', 'stderr']))
    .option('--follow', 'go on until the execution has ended')
    .addOption(new Option('--tail <n>', 'the last so many lines that fit, and with --follow what comes').argParser(integer(1, 10_000)))
    .option('--grep, --search <text>', 'lines that contain the text, which is no pattern')
    .option('--case-sensitive', 'with --search: tell upper from lower case')
    .addOption(new Option('--level <level>', 'lines of this level at least').choices(['debug', 'info', 'warn', 'error']))
    .addOption(new Option('--ndjson', 'lines with task, time, stream, level and position, a JSON object each').conflicts('json'))
    .action((id: string, options: OutputOptions) => on(options, async (session) => (await import('./commands/output.js')).output(session, id, options)));

  ofOne('events', 'everything that happened, from the log itself')
    .option('--follow', 'go on until the execution has ended')
    .action((id: string, options: EventsOptions) => on(options, async (session) => (await import('./commands/events.js')).events(session, id, options)));

  const onLog = (command: Command): Command =>
    command.addOption(new Option('--nats <url>', 'where NATS is; default: the one that runs here, or nats://127.0.0.1:4222').env('NATS_URL'));

  onLog(ofOne('replay', 'fold the history of an execution: each commit and what it changed, and the state at the end'))
    .option('--at <moment>', 'stop at a log sequence, or at a time (RFC 3339)', moment)
    .action((id: string, options: ReplayOptions) => on(options, async (session) => (await import('./commands/replay.js')).replay(session, id, options)));

  onLog(client('verify', 'check the log: versions, hashes, every event, and that the read models have read the same'))
    .argument('[id]', 'one execution; default: the whole log, of all tenants', token)
    .action((id: string | undefined, options: VerifyOptions) =>
      on(options, async (session) => (await import('./commands/verify.js')).verify(session, id, options)),
    );

  client('rebuild', 'rebuild read models from the log beside the live ones, compare, and put them in their place')
    .argument('[name]', 'status or stats; default: all')
    .action((name: string | undefined, options: ClientOptions) =>
      on(options, async (session) => (await import('./commands/rebuild.js')).rebuild(session, name)),
    );

  const keys = program.command('keys').description('API keys: who may call the API, and for what');
  onLog(client('create', 'make a key; its token is printed once', keys))
    .requiredOption('--name <name>', 'what it is for')
    .addOption(new Option('--role <role>', 'what it may do; may be repeated').choices(roles).argParser(listOf(roles)).makeOptionMandatory())
    .addOption(new Option('--scope <permission>', 'of what the roles grant, only this; may be repeated').choices(permissions).argParser(listOf(permissions)))
    .option('--workspace <id>', 'sees this workspace only; may be repeated', tokens)
    .option('--expires <time>', 'when it ends (RFC 3339)', time)
    .option('--direct', 'written to NATS itself: the first key of a server that lets nobody in yet')
    .action((options: CreateKeyOptions) => on(options, async (session) => (await import('./commands/keys.js')).createKey(session, options)));
  client('list', 'keys of the tenant, newest first', keys)
    .action((options: ClientOptions) => on(options, async (session) => (await import('./commands/keys.js')).listKeys(session)));
  client('revoke', 'end a key at once', keys)
    .argument('<id>', 'the key', token)
    .action((id: string, options: ClientOptions) => on(options, async (session) => (await import('./commands/keys.js')).revokeKey(session, id)));

  const secrets = program.command('secrets').description('secrets that plans refer to by name; values go in and never come out');
  client('set', 'store a secret; its value is read from standard input', secrets)
    .argument('<name>', 'the secret', token)
    .action((name: string, options: ClientOptions) => on(options, async (session) => (await import('./commands/secrets.js')).setSecret(session, name)));
  client('list', 'names, versions and times', secrets)
    .action((options: ClientOptions) => on(options, async (session) => (await import('./commands/secrets.js')).listSecrets(session)));
  client('remove', 'remove a secret', secrets)
    .argument('<name>', 'the secret', token)
    .action((name: string, options: ClientOptions) => on(options, async (session) => (await import('./commands/secrets.js')).removeSecret(session, name)));

  const artifacts = program.command('artifacts').description('files of executions');
  client('list', 'artifacts, newest first', artifacts)
    .option('--execution <id>', 'of one execution', token)
    .option('--task <id>', 'made by this task', token)
    .option('--step <id>', 'made in this step')
    .option('--type <type>', 'document, image, data, log, archive, report or other')
    .option('--tag <tag>', 'with this tag; may be repeated', several)
    .option('--limit <n>', 'at most so many, 1 to 200', integer(1, 200))
    .action((options: ClientOptions & ListArtifactsOptions) =>
      on(options, async (session) => {
        const { execution, task, step, type, tag, limit } = options;
        return (await import('./commands/artifacts.js')).listArtifacts(session, { ...(execution !== undefined && { execution }), ...(task !== undefined && { task }), ...(step !== undefined && { step }), ...(type !== undefined && { type }), ...(tag && { tag }), ...(limit !== undefined && { limit }) });
      }),
    );
  client('get', 'download an artifact', artifacts)
    .argument('<id>', 'the artifact', token)
    .argument('[file]', 'where to; default: standard output')
    .action((id: string, file: string | undefined, options: ClientOptions) => on(options, async (session) => (await import('./commands/artifacts.js')).getArtifact(session, id, file)));
  client('put', 'upload a file; prints the id of the artifact', artifacts)
    .argument('<execution>', 'whose artifact it becomes', token)
    .argument('<file>', 'the file')
    .option('--name <name>', 'for people; default: that of the file')
    .option('--type <type>', 'document, image, data, log, archive, report or other; default: what it looks like')
    .option('--tag <tag>', 'may be repeated', several)
    .option('--description <text>', 'for people')
    .option('--public', 'anybody may download it, without credentials')
    .option('--retention-days <n>', 'then it is deleted by itself', integer(1, 3_660))
    .action((execution: string, file: string, options: ClientOptions & PutArtifactOptions) =>
      on(options, async (session) => (await import('./commands/artifacts.js')).putArtifact(session, execution, file, options)),
    );
  client('delete', 'delete an artifact, and its bytes', artifacts)
    .argument('<id>', 'the artifact', token)
    .action((id: string, options: ClientOptions) => on(options, async (session) => (await import('./commands/artifacts.js')).deleteArtifact(session, id)));

  try {
    await program.parseAsync(args, { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.misuse;
    throw error;
  }
};

const misused = (message: string, isJson: boolean): string =>
  isJson ? `${JSON.stringify({ error: { code: 'MISUSE', message } })}\n` : `runledger: ${message}\n`;

/** From the package this file belongs to, wherever that is installed. */
function version(): string {
  const file = new URL('../../../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
