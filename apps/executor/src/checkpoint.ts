import type { ExecutionRef } from '#libs/contracts';
import type { Position } from '#libs/ledger';

/** Where a shard's next owner goes on: behind `position`, with these executions of before it still active. */
export type Checkpoint = { readonly position: Position; readonly active: readonly ExecutionRef[] };

export type CheckpointStore = {
  get(key: string): Promise<unknown>;
  put(key: string, value: unknown): Promise<void>;
};

/** Executions named in one value, so that none comes near the broker's message limit. */
const PER_CHUNK = 5_000;

type Mark = { readonly position: Position; readonly chunks: number };

const keyOf = (shard: number): string => `owner.${shard}`;

export const readCheckpoint = async (store: CheckpointStore, shard: number): Promise<Checkpoint | undefined> => {
  const mark = (await store.get(keyOf(shard))) as Mark | undefined;
  if (!mark) return undefined;
  const chunks = await Promise.all(
    Array.from({ length: mark.chunks }, (_, i) => store.get(`${keyOf(shard)}.${i}`) as Promise<ExecutionRef[] | undefined>),
  );
  return { position: mark.position, active: chunks.flatMap((chunk) => chunk ?? []) };
};

/**
 * The lists go first: a newer list with an older mark loads what is needed and delivers the rest again; the other way round
 * an execution would be forgotten.
 */
export const writeCheckpoint = async (store: CheckpointStore, shard: number, checkpoint: Checkpoint): Promise<void> => {
  const { position, active } = checkpoint;
  const chunks = Math.ceil(active.length / PER_CHUNK);
  for (let i = 0; i < chunks; i++) {
    await store.put(`${keyOf(shard)}.${i}`, active.slice(i * PER_CHUNK, (i + 1) * PER_CHUNK));
  }
  await store.put(keyOf(shard), { position, chunks } satisfies Mark);
};

/** The first of some positions; undefined, the log's start, when one is unknown. */
export const earliest = (positions: readonly (Position | undefined)[]): Position | undefined => {
  if (positions.length === 0 || positions.includes(undefined)) return undefined;
  return (positions as Position[]).reduce((a, b) => (b.sequence < a.sequence ? b : a));
};
