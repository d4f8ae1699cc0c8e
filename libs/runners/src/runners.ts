import { keyMissing } from '#libs/secrets';
import { commandRunner } from './command.js';
import type { CommandOptions } from './command-run.js';
import { httpRunner, type HttpOptions } from './http.js';
import { noop } from './noop.js';
import type { Runner } from './runner.js';
import { type SecretSource, withSecrets } from './with-secrets.js';

type RunnerOptions = CommandOptions & HttpOptions & {
  /** Where the values of secrets come from; without it, tasks that refer to any fail. */
  readonly secrets?: SecretSource;
};

/** The runners of one executor process by their names; those in which nothing runs are the core's own. Throws RangeError on bad options. */
export function createRunners(options: RunnerOptions): ReadonlyMap<string, Runner> {
  // It becomes part of environments and of the reaper's arguments.
  if (!/^[A-Za-z0-9._-]{1,128}$/.test(options.incarnation)) {
    throw new RangeError(`not an incarnation: ${JSON.stringify(options.incarnation)}`);
  }
  const { secrets = () => Promise.reject(keyMissing()) } = options;
  const working = [commandRunner(options), httpRunner(options)].map((runner) => withSecrets(runner, secrets));
  return new Map([noop, ...working].map((runner) => [runner.name, runner]));
}
