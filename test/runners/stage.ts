import { randomUUID } from 'node:crypto';
import { chmod, mkdir, mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionRef, JsonObject } from '#libs/contracts';
import { type CommandPolicy, type CommandUser, createRunners, findSandbox, type Outcome, type Sandbox } from '#libs/runners';

const found = await findSandbox(process.env['PATH'] ?? '');

/** The sandbox of this machine; without one, what needs it is skipped, and loudly so. */
export const sandbox: Sandbox | undefined = 'sandbox' in found ? found.sandbox : undefined;
if ('missing' in found) console.warn(`*** NO SANDBOX HERE, its tests are SKIPPED: ${found.missing} ***`);

export const isRoot = process.getuid?.() === 0;

/** Somebody without privileges, for tests that run as root; else nobody else can be become. */
export const somebody: CommandUser | undefined = isRoot ? { uid: 12_345, gid: 12_345 } : undefined;

/** The sandbox for commands of that user. */
export const somebodysSandbox = async (): Promise<Sandbox | undefined> => {
  const theirs = somebody ? await findSandbox(process.env['PATH'] ?? '', somebody) : found;
  return 'sandbox' in theirs ? theirs.sandbox : undefined;
};

/** What an attempt said and how it ended. */
export type Seen = { readonly outcome: Outcome; readonly stdout: string; readonly stderr: string };

export type Attempting = { readonly ref: ExecutionRef; readonly abort: () => void; readonly seen: Promise<Seen>; readonly said: () => string };

export type Stage = {
  /** Holds `root` (an allowed one), `outside`, `home` and in it `work`. */
  readonly folder: string;
  begin(input: JsonObject, changes?: { policy?: Partial<CommandPolicy>; execution?: string; tenant?: string }): Attempting;
  run(input: JsonObject, changes?: { policy?: Partial<CommandPolicy>; execution?: string; tenant?: string }): Promise<Seen>;
  close(): Promise<void>;
};

/** Commands as an executor runs them, in a folder of their own. */
export async function stage(options: { sandbox?: Sandbox | undefined; user?: CommandUser | undefined } = {}): Promise<Stage> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'commands-')));
  await chmod(folder, 0o755);
  for (const name of ['root', 'outside', 'home/work']) await mkdir(join(folder, name), { recursive: true });
  const policy: CommandPolicy = { roots: [join(folder, 'root')], readable: [], network: 'never', limits: {} };
  let changed: Partial<CommandPolicy> = {};
  const command = createRunners({
    incarnation: randomUUID(),
    policyOf: () => ({ ...policy, ...changed }),
    workRoot: join(folder, 'home', 'work'),
    hidden: [join(folder, 'home')],
    graceMs: 200,
    ...(options.sandbox && { sandbox: options.sandbox }),
    ...(options.user && { user: options.user }),
  }).get('command')!;

  const begin: Stage['begin'] = (input, { policy: changes = {}, execution = randomUUID(), tenant = 'acme' } = {}) => {
    const said = { stdout: '', stderr: '' };
    const controller = new AbortController();
    const ref = { tenant, execution };
    changed = changes;
    const outcome = Promise.resolve(
      command.run({
        ref,
        taskId: 'task',
        attempt: 1,
        input,
        executionInput: {},
        idempotencyKey: 'run/task',
        signal: controller.signal,
        output: async ({ stream, bytes }) => void (said[stream] += Buffer.from(bytes).toString('latin1')),
        step: () => {},
      }),
    );
    return {
      ref,
      abort: () => controller.abort(),
      said: () => said.stdout,
      seen: outcome.then((ended) => ({ outcome: ended, ...said })),
    };
  };
  return {
    folder,
    begin,
    run: (input, changes) => begin(input, changes).seen,
    close: () => rm(folder, { recursive: true, force: true }),
  };
}

export const sh = (script: string, more: JsonObject = {}): JsonObject => ({ shell: 'sh', script, ...more });

/** Code and whether another attempt may help; 'ok' of a success. */
export const codeOf = ({ outcome }: Seen): unknown => (outcome.ok ? 'ok' : [outcome.error.code, outcome.error.retryable]);
