import type { Event, ExecutionRef } from '#libs/contracts';
import { type ClientCommand, type Context, type Decision, type State, decision, fold, inParts } from '#libs/execution';
import { type Execution, type Sealed, replay, seal, unborn } from './chain.js';
import { LogError, type LogStore, MAX_COMMIT_BYTES, type StoredCommit, commitTooLarge } from './store.js';

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
 * Appends events as the next commit, which leads to `state`. Undefined on a conflict: refresh and decide again.
 * Throws LogError; after OUTCOME_UNKNOWN the execution must be read again before anything is decided on it, and `sealed.hash`
 * tells whether it was stored.
 */
export const append = async (
  log: LogStore,
  execution: Execution,
  events: readonly Event[],
  { commit, body, hash }: Sealed = seal(execution, events),
  state: State = fold(execution.state, events),
): Promise<Execution | undefined> => {
  const result = await log.append({ ref: execution.ref, id: commit.id, body, expected: execution.sequence });
  if (!result.stored) return undefined;
  return { ref: execution.ref, state, version: commit.version, sequence: result.sequence, hash };
};

/** Of a commit, without what names and chains it. */
const ROOM_BYTES = MAX_COMMIT_BYTES - 1024;

/** The events of one commit; sealed where it took that to know that they fit, and what they lead to where that is known. */
type Part = { readonly events: readonly Event[]; readonly sealed?: Sealed; readonly state?: State };

/**
 * What a request decides, in as few commits as hold it; nearly always that is one. Throws LogError COMMIT_TOO_LARGE where one has not room for
 * a single event, before anything is stored.
 */
const inCommits = (execution: Execution, { events, state }: Decision): readonly Part[] => {
  try {
    return [{ events, sealed: seal(execution, events), state }];
  } catch (error) {
    if (!(error instanceof LogError && error.code === 'COMMIT_TOO_LARGE')) throw error;
  }
  const commits: Event[][] = [[]];
  let room = ROOM_BYTES;
  for (const event of inParts(events)) {
    const bytes = Buffer.byteLength(JSON.stringify(event)) + 1;
    if (bytes > ROOM_BYTES) throw commitTooLarge(bytes);
    if (bytes > room) {
      commits.push([]);
      room = ROOM_BYTES;
    }
    commits[commits.length - 1]?.push(event);
    room -= bytes;
  }
  return commits.map((own) => ({ events: own }));
};

const decideParts = (execution: Execution, command: ClientCommand, context: Context): readonly Part[] => {
  const decided = decision(command, execution.state, context);
  if (decided.events.length === 0) return [];
  return command.type === 'RequestExecution' ? inCommits(execution, decided) : [decided];
};

type Submitted = { readonly execution: Execution; readonly events: readonly Event[] };

/**
 * The one way a client's command changes anything: read, decide, append; after a conflict again on what is new. Of a request that one commit
 * does not hold the rest follows in further ones; who fails in between may send the same command again, which goes on from there.
 * `events` are those it appended; none where the command was satisfied already. Throws Refused, LogError, BrokenHistory.
 */
export const submit = async (
  log: LogStore,
  ref: ExecutionRef,
  command: ClientCommand,
  context: Context,
): Promise<Submitted> =>
  // A new execution's first append needs no read: expectation 0 finds out whether it exists.
  await submitOn(log, command.type === 'RequestExecution' ? unborn(ref) : await load(log, ref), command, context);

/** The same, where the execution has been read; what it answers with takes the next command. */
export const submitOn = async (log: LogStore, read: Execution, command: ClientCommand, context: Context): Promise<Submitted> => {
  let execution = read;
  const stored: Event[] = [];
  for (let conflicts = 0; conflicts < MAX_TRIES; conflicts++) {
    let isDone = true;
    for (const { events, sealed, state } of decideParts(execution, command, context)) {
      const appended = await append(log, execution, events, sealed, state);
      isDone = appended !== undefined;
      if (!appended) break;
      execution = appended;
      stored.push(...events);
    }
    if (isDone) return { execution, events: stored };
    execution = await refresh(log, execution);
  }
  throw new LogError('LOG_UNAVAILABLE', `${MAX_TRIES} conflicts in a row on one execution; try again in a moment`);
};
