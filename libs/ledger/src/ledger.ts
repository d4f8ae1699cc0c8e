import type { Event, ExecutionRef } from '#libs/contracts';
import { type ClientCommand, type Context, decide, fold } from '#libs/execution';
import { type Execution, type Sealed, replay, seal, unborn } from './chain.js';
import { LogError, type LogStore, type StoredCommit } from './store.js';

const MAX_TRIES = 16;

/** Reads one execution; its version is 0 where there is none. Throws LogError, BrokenHistory, Refused EVENT_UNKNOWN. */
export const load = async (log: LogStore, ref: ExecutionRef): Promise<Execution> =>
  replay(unborn(ref), await log.history(ref));

/**
 * Reads what is new, and shows it to `inspect`. Throws LogError LOG_WENT_BACK where the log no longer holds what was read
 * before.
 */
export const refresh = async (
  log: LogStore,
  execution: Execution,
  inspect: (stored: StoredCommit) => void = () => undefined,
): Promise<Execution> => {
  const news = await log.history(execution.ref, { after: execution.sequence });
  news.forEach(inspect);
  if (news.length > 0 || execution.sequence === 0) return replay(execution, news);
  const head = await log.head();
  if (head.sequence >= execution.sequence) return execution;
  throw new LogError('LOG_WENT_BACK', `the log ends at ${head.sequence}, before ${execution.sequence} that was read from it`);
};

/**
 * Appends events as the next commit. Undefined on a conflict: refresh and decide again.
 * Throws LogError; after OUTCOME_UNKNOWN the execution must be read again before anything is decided on it, and `sealed.hash`
 * tells whether it was stored.
 */
export const append = async (
  log: LogStore,
  execution: Execution,
  events: readonly Event[],
  { commit, body, hash }: Sealed = seal(execution, events),
): Promise<Execution | undefined> => {
  const result = await log.append({ ref: execution.ref, id: commit.id, body, expected: execution.sequence });
  if (!result.stored) return undefined;
  const { ref, state } = execution;
  return { ref, state: fold(state, events), version: commit.version, sequence: result.sequence, hash };
};

/**
 * The one way a client's command changes anything: read, decide, append; after a conflict again on what is new.
 * `events` are those it appended; none where the command was satisfied already. Throws Refused, LogError, BrokenHistory.
 */
export const submit = async (
  log: LogStore,
  ref: ExecutionRef,
  command: ClientCommand,
  context: Context,
): Promise<{ readonly execution: Execution; readonly events: readonly Event[] }> => {
  // A new execution's first append needs no read: expectation 0 finds out whether it exists.
  let execution = command.type === 'RequestExecution' ? unborn(ref) : await load(log, ref);
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const events = decide(command, execution.state, context);
    if (events.length === 0) return { execution, events };
    const appended = await append(log, execution, events);
    if (appended) return { execution: appended, events };
    execution = await refresh(log, execution);
  }
  throw new LogError('LOG_UNAVAILABLE', `${MAX_TRIES} conflicts in a row on one execution; try again in a moment`);
};
