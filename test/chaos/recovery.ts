import type { StoredCommit } from '#libs/ledger';
import type { Done } from './faults.js';

/** Milliseconds. */
export type Spread = { readonly count: number; readonly median: number; readonly worst: number };

export type Recovery = {
  /** From a kill to the next commit of anybody. */
  readonly commits: ReadonlyMap<string, Spread>;
  /** From the kill of an executor to the next event of each task that it was running, whatever else went wrong meanwhile. */
  readonly orphans: Spread;
};

export const recoveryOf = (commits: readonly StoredCommit[], faults: readonly Done[], incarnations: ReadonlyMap<string, string>): Recovery => {
  const kills = faults.filter(({ kind }) => kind === 'kill');
  const times = new Map<string, number[]>();
  for (const kill of kills) {
    const took = nextCommit(commits, faults, kill);
    if (took !== undefined) times.set(kill.of, [...(times.get(kill.of) ?? []), took]);
  }
  return {
    commits: new Map([...times].map(([kind, of]) => [kind, spreadOf(of)])),
    orphans: spreadOf(kills.flatMap((kill) => (kill.of === 'executor' ? takenUp(commits, kill, lastBefore(kills, kill), incarnations) : []))),
  };
};

const spreadOf = (times: readonly number[]): Spread => {
  const sorted = times.toSorted((a, b) => a - b);
  return { count: sorted.length, median: sorted[Math.floor((sorted.length - 1) / 2)] ?? 0, worst: sorted[sorted.length - 1] ?? 0 };
};

const timeOf = ({ storedAt }: StoredCommit): number => Date.parse(storedAt);

/** Counted from the end of what else kept the broker from storing anything meanwhile. Undefined where nothing was left to be committed. */
const nextCommit = (commits: readonly StoredCommit[], faults: readonly Done[], kill: Done): number | undefined => {
  const next = commits.find((stored) => timeOf(stored) > kill.at);
  if (!next) return undefined;
  const outages = faults.filter((fault) => fault !== kill && fault.of === 'nats-server' && fault.at < timeOf(next));
  const from = Math.max(kill.at, ...outages.map(({ until = 0 }) => Math.min(until, timeOf(next))));
  return timeOf(next) - from;
};

/** What was running before the victim was killed for the last time is not running any more. */
const lastBefore = (kills: readonly Done[], { victim, at }: Done): number => Math.max(0, ...kills.filter((other) => other.victim === victim && other.at < at).map((other) => other.at));

const takenUp = (commits: readonly StoredCommit[], kill: Done, before: number, incarnations: ReadonlyMap<string, string>): readonly number[] => {
  const running = new Set<string>();
  const times: number[] = [];
  for (const stored of commits) {
    const at = timeOf(stored);
    for (const { type, data } of stored.commit.events) {
      if (!('taskId' in data) || !('attempt' in data)) continue;
      const name = `${stored.ref.execution}/${data.taskId}`;
      if (at > kill.at && running.has(name)) times.push(at - kill.at);
      running.delete(name);
      if (type === 'TaskStarted' && at > before && at <= kill.at && incarnations.get(data.executor) === kill.victim) running.add(name);
    }
  }
  return times;
};
