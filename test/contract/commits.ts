import { randomUUID } from 'node:crypto';
import type { Commit, Event, ExecutionRef } from '#libs/contracts';
import { type Append, type AppendResult, type Execution, type LogStore, hashOf, unborn } from '#libs/ledger';

const event: Event = {
  type: 'ExecutionPaused',
  at: '2026-11-20T12:00:00.000Z',
  cause: 'command-1',
  actor: 'tester',
  correlationId: 'correlation-1',
  data: {},
};

export const someone = (): ExecutionRef => ({ tenant: 'acme', execution: randomUUID() });

/** An append of one event; the store looks at nothing but the shape. */
export const commitFor = (
  ref: ExecutionRef,
  expected: number,
  {
    version = 1,
    previous = hashOf('nothing'),
    padding = 0,
  }: { readonly version?: number; readonly previous?: string; readonly padding?: number } = {},
): Append => {
  const padded: Event = padding > 0 ? { ...event, cause: 'x'.repeat(padding) } : event;
  const commit: Commit = { id: randomUUID(), version, previous, events: [padded] };
  return { ref, id: commit.id, expected, body: new TextEncoder().encode(JSON.stringify(commit)) };
};

export const sequenceOf = (result: AppendResult): number => {
  if (!result.stored) throw new Error('a conflict where there was none to be');
  return result.sequence;
};

/** Appends `count` commits one after the other, chained by hash; returns where the execution stands. */
export const appendChain = async (log: LogStore, ref: ExecutionRef, count: number): Promise<Pick<Execution, 'version' | 'sequence' | 'hash'>> => {
  let { sequence, hash } = unborn(ref);
  for (let version = 1; version <= count; version++) {
    const append = commitFor(ref, sequence, { version, previous: hash });
    sequence = sequenceOf(await log.append(append));
    hash = hashOf(append.body);
  }
  return { version: count, sequence, hash };
};
