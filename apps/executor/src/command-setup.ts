import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Json, JsonObject } from '#libs/contracts';
import { type Logger, type Settings, SettingsError } from '#libs/platform';
import { type CommandPolicy, type CommandUser, findSandbox, policiesFrom, policyProblems, type Sandbox } from '#libs/runners';
import { commandUser, makePassage, requirePassage } from './command-user.js';

/** How this executor runs commands. */
export type CommandSetup = {
  readonly policyOf: (tenant: string) => CommandPolicy;
  readonly workRoot: string;
  readonly graceMs: number;
  readonly hidden: readonly string[];
  readonly user?: CommandUser;
  readonly sandbox?: Sandbox;
};

/** Reads the policies, finds the user and tries the sandbox; says in the log what is missing. Throws SettingsError. */
export async function commandSetup({ home, executor }: Settings, logger: Logger): Promise<CommandSetup> {
  const { command, graceMs, roots } = executor;
  const { network, readable, programs, limits } = command;
  const defaults = { roots, readable, network, limits, ...(programs && { programs }) };
  const document = command.policies === undefined ? {} : await readPolicies(command.policies);
  const user = command.user === undefined ? undefined : await commandUser(command.user);
  const workRoot = join(home, 'work');
  if (user) {
    await makePassage(home, workRoot);
    await requirePassage(user, workRoot);
  }
  const sandbox = await sandboxOf(command.sandbox, user, logger);
  if (process.getuid?.() === 0 && !user) {
    logger.warn('commands run as root: set RUNLEDGER_COMMAND_USER to a user without privileges');
  }
  return {
    policyOf: policiesFrom(document, defaults),
    workRoot,
    graceMs,
    // The log of an embedded broker, the work of other tenants.
    hidden: [home],
    ...(user && { user }),
    ...(sandbox && { sandbox }),
  };
}

async function readPolicies(file: string): Promise<JsonObject> {
  let document: Json;
  try {
    document = JSON.parse(await readFile(file, 'utf8')) as Json;
  } catch (error) {
    throw new SettingsError(`RUNLEDGER_POLICIES=${file} can't be read as JSON: ${(error as Error).message}`);
  }
  const problems = policyProblems(document);
  if (problems.length > 0) {
    const faults = problems.map(({ path, message }) => `${path || 'the document'} ${message}`);
    throw new SettingsError(`RUNLEDGER_POLICIES=${file} can't be used: ${faults.join('; ')}`);
  }
  return document as JsonObject;
}

const CONSEQUENCE =
  'commands see and can reach what this executor can, the network included; limits of processes and of /tmp are not kept';

async function sandboxOf(
  wanted: Settings['executor']['command']['sandbox'],
  user: CommandUser | undefined,
  logger: Logger,
): Promise<Sandbox | undefined> {
  if (wanted === 'off') {
    logger.warn(`RUNLEDGER_SANDBOX=off: ${CONSEQUENCE}`);
    return undefined;
  }
  const found = await findSandbox(process.env['PATH'] ?? '/usr/bin:/bin', user);
  if ('sandbox' in found) return found.sandbox;
  if (wanted === 'required') {
    throw new SettingsError(`RUNLEDGER_SANDBOX=required, but there is no bubblewrap to use: ${found.missing}`);
  }
  logger.warn(`no sandbox for commands: ${found.missing}. Without it ${CONSEQUENCE}`);
  return undefined;
}
